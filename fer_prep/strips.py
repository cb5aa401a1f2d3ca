"""Rows of small pictures, side by side: clips and tracks to look at."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

GAP = 2  # pixels between pictures
MARK = (220, 38, 38)  # red: no face was found in this frame


def strip(rows: Sequence[NDArray[np.uint8]], *, tile: int) -> NDArray[np.uint8]:
    """Rows of equally many pictures (N,H,W,3) as one picture (…,3) with white gaps; every picture is `tile` wide."""
    pictures = [np.stack([sized(image, tile) for image in images]) for images in rows]
    columns, step = len(pictures[0]), tile + GAP
    canvas = np.full((len(rows) * step - GAP, columns * step - GAP, 3), 255, np.uint8)
    for line, images in enumerate(pictures):
        for column, image in enumerate(images):
            canvas[line * step : line * step + tile, column * step : column * step + tile] = image
    return canvas


def stacked(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures of any width one below the other, flush left on white."""
    width = max(picture.shape[1] for picture in pictures)
    space = 4 * GAP
    return np.concatenate(
        [
            np.pad(picture, ((0, space), (0, width - picture.shape[1]), (0, 0)), constant_values=255)
            for picture in pictures
        ]
    )[:-space]


def sized(rgb_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A square picture enlarged or reduced; unchanged if it has that size."""
    if rgb_HWC.shape[0] == side:
        return rgb_HWC
    how = cv2.INTER_AREA if rgb_HWC.shape[0] > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb_HWC, (side, side), interpolation=how), np.uint8)


def marked(rgb_HWC: NDArray[np.uint8], *, width: int) -> NDArray[np.uint8]:
    """The picture within a red frame of some pixels."""
    framed = rgb_HWC.copy()
    for edge in (np.s_[:width], np.s_[-width:], np.s_[:, :width], np.s_[:, -width:]):
        framed[edge] = MARK
    return framed


def spread(n: int, most: int) -> NDArray[np.int64]:
    """At most so many of the numbers 0 … n-1, evenly, the first and the last among them."""
    return np.unique(np.rint(np.linspace(0, n - 1, min(n, most))).astype(np.int64))


def png_file(rgb_HWC: NDArray[np.uint8]) -> bytes:
    """A picture as a PNG file."""
    return cv2.imencode(".png", cv2.cvtColor(rgb_HWC, cv2.COLOR_RGB2BGR))[1].tobytes()
