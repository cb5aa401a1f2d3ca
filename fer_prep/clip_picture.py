"""A clip as one picture: every frame above its flow, with its number in the recording."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.clip_reader import ClipFrames
from fer_prep.colour_wheel import flow_colours
from fer_prep.strips import GAP, MARK, strip

COLUMNS = 16
SMALLEST, LARGEST = 96, 256  # pixels of a frame in the picture
BAND = 18  # pixels above the frames, for their numbers
BLACK, PALE = (0, 0, 0), (150, 150, 150)


def clip_picture(clip: ClipFrames, *, full_px: float) -> NDArray[np.uint8]:
    """Lines of at most COLUMNS frames: numbers, faces, flow.

    A red number: no face was found in this frame. A grey one: the frame does not exist, the last one is repeated.

    Args:
        full_px: flow magnitude of the full colour.

    Returns:
        (…, …, 3) uint8 RGB. Faces keep their size where it is between SMALLEST and LARGEST.
    """
    tile = int(np.clip(clip.rgb_THWC.shape[1], SMALLEST, LARGEST))
    flow_THWC = flow_colours(clip.flow_THW2, full_px=full_px)
    lines = []
    for first in range(0, len(clip.rgb_THWC), COLUMNS):
        part = slice(first, first + COLUMNS)
        pictures = strip([clip.rgb_THWC[part], flow_THWC[part]], tile=tile)
        lines.append(np.concatenate([_numbers(clip, first, pictures.shape[1], tile), pictures]))
    width = lines[0].shape[1]
    return np.concatenate(
        [np.pad(line, ((0, GAP), (0, width - line.shape[1]), (0, 0)), constant_values=255) for line in lines]
    )


def _numbers(clip: ClipFrames, first: int, width: int, tile: int) -> NDArray[np.uint8]:
    band = np.full((BAND, width, 3), 255, np.uint8)
    for t in range(first, min(first + COLUMNS, len(clip.rgb_THWC))):
        exists = t < clip.n_valid
        colour = PALE if not exists else BLACK if clip.detected_T[t] else MARK
        number = clip.first_frame + min(t, clip.n_valid - 1)
        place = ((t - first) * (tile + GAP) + 3, BAND - 5)
        cv2.putText(band, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return band
