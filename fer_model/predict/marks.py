"""The marks of the frames of a recording: in which of them a face was found.

Axes: N frames, H rows, W columns, C channels.
"""

from collections.abc import Iterator

import h5py
import numpy as np
import numpy.typing as npt

from fer_model.errors import ShardError
from fer_model.frames import FrameReader
from fer_model.layout import REBUILD
from fer_model.predict.decisions import Decision

FRAMES_PER_READ = 64


def detected(decision: Decision) -> npt.NDArray[np.bool_]:
    """Frame of the recording -> whether a face was found in it, (N,).

    Raises:
        ShardError: the shard does not tell.
    """
    shard, recording = decision.shard, decision.recording
    try:
        with h5py.File(shard.path, "r") as file:
            marks = file["frames/detected"]
            if marks.shape != (shard.n_frames,) or marks.dtype != bool:
                raise ShardError(f"{shard.path}: frames/detected is {marks.dtype}{marks.shape}; {REBUILD}.")
            rows: npt.NDArray[np.bool_] = marks[recording.first_frame : recording.first_frame + recording.n_frames]
            return rows
    except (OSError, KeyError, RuntimeError, AttributeError) as error:
        raise ShardError(f"{shard.path}: frames/detected cannot be read ({error}); {REBUILD}.") from error


def runs(marks_N: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First frame of each run of true marks, and the frame after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks_N, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def faces(decision: Decision, reader: FrameReader, first: int, last: int) -> npt.NDArray[np.uint8]:
    """Frames `first` to `last - 1` of the recording, rgb_NHWC.

    Raises:
        ShardError: they cannot be read.
    """
    shard, begin = decision.shard, decision.recording.first_frame
    rgb = np.empty((last - first, shard.height, shard.width, 3), np.uint8)
    flow = np.empty((last - first, shard.height, shard.width, 2), np.int16)
    reader.read(shard, begin + first, begin + last, out=(rgb, flow))
    return rgb


def all_faces(decision: Decision, reader: FrameReader) -> Iterator[npt.NDArray[np.uint8]]:
    """Each frame of the recording, rgb_HWC; few are in memory at a time.

    Raises:
        ShardError: they cannot be read.
    """
    n_frames = decision.recording.n_frames
    for first in range(0, n_frames, FRAMES_PER_READ):
        yield from faces(decision, reader, first, min(first + FRAMES_PER_READ, n_frames))
