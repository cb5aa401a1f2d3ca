"""Real clips become many recordings as long as eNTERFACE's: cut, mirrored, made smaller, encoded as its files are."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from fer_prep.decode import open_recording

PIECE = 75  # frames: three seconds
SCALES = (1.0, 0.75)


def cut_into_pieces(clips: list[Path], home: Path) -> Iterator[tuple[Path, str, int, int]]:
    """Files in `home`: each with its clip's name, the number of the piece in there, and its frames.

    A last piece of less than half the length is left out.
    """
    for clip in clips:
        with open_recording(clip) as video:
            frames = video.frames()
            for number in range(1000):
                piece = list(islice(frames, PIECE))
                if len(piece) < PIECE / 2:
                    break
                for mirrored in (False, True):
                    for scale in SCALES:
                        path = home / f"{clip.stem}-{number}-{'m' * mirrored}{scale}.avi"
                        _encode(path, [_changed(rgb_HWC, scale, mirrored) for rgb_HWC in piece])
                        yield path, clip.stem, number, len(piece)


def _changed(rgb_HWC: NDArray[np.uint8], scale: float, mirrored: bool) -> NDArray[np.uint8]:
    height, width = (round(side * scale) // 2 * 2 for side in rgb_HWC.shape[:2])
    changed_HWC = cv2.resize(rgb_HWC, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(changed_HWC[:, ::-1] if mirrored else changed_HWC, np.uint8)


def _encode(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 3_000_000
        for rgb_HWC in frames:
            container.mux(stream.encode(VideoFrame.from_ndarray(rgb_HWC, format="rgb24")))
        container.mux(stream.encode())
