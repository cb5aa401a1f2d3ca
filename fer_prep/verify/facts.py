"""Every frame of a shard is decoded, some at a time, and what matters of it is kept: a few bytes a frame."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray

from fer_prep.stored import FRAME_DATASETS
from fer_prep.verify.words import hdf5_words

BLOCK_BYTES = 4 << 20  # of the larger dataset, decoded
LARGEST = np.iinfo(np.int16).max
READ_ERRORS = (OSError, RuntimeError, KeyError, ValueError)


@dataclass
class Facts:
    """What is known of N frames.

    Attributes:
        unread: dataset -> frames that cannot be decoded.
        reasons: dataset -> why, in HDF5's words.
        plain_N: the image is one colour.
        black_N: that colour is black.
        change_N: mean absolute difference of the image from that before, grey levels; NaN for frame 0.
        even_N: the flow is the same everywhere; then `flow_N` is that vector, two int16 in one int32.
        at_limit: flow values of the largest size that is stored.
        landmarks_N, transform_N: 0: all numbers are NaN; 1: all finite; 2: neither.
    """

    unread: dict[str, NDArray[np.bool_]]
    reasons: dict[str, str]
    plain_N: NDArray[np.bool_]
    black_N: NDArray[np.bool_]
    change_N: NDArray[np.float32]
    even_N: NDArray[np.bool_]
    flow_N: NDArray[np.int32]
    detected_N: NDArray[np.uint8]
    confidence_N: NDArray[np.float32]
    landmarks_N: NDArray[np.uint8]
    transform_N: NDArray[np.uint8]
    at_limit: int = 0
    _last: NDArray[np.uint8] | None = field(default=None, repr=False)

    @classmethod
    def nothing(cls, n: int) -> Self:
        """Of n frames, before any is decoded."""
        return cls(
            unread={name: np.zeros(n, np.bool_) for name in FRAME_DATASETS},
            reasons={},
            plain_N=np.zeros(n, np.bool_),
            black_N=np.zeros(n, np.bool_),
            change_N=np.full(n, np.nan, np.float32),
            even_N=np.zeros(n, np.bool_),
            flow_N=np.zeros(n, np.int32),
            detected_N=np.zeros(n, np.uint8),
            confidence_N=np.zeros(n, np.float32),
            landmarks_N=np.zeros(n, np.uint8),
            transform_N=np.zeros(n, np.uint8),
        )

    @property
    def read_N(self) -> NDArray[np.bool_]:
        """Frames of which everything could be decoded."""
        read_N = np.ones(len(self.plain_N), np.bool_)
        for unread_N in self.unread.values():
            read_N &= ~unread_N
        return read_N


def gather(file: h5py.File, progress: Callable[[float], None]) -> Facts:
    """Decode everything.

    Args:
        progress: told the share of the frames that was decoded since it was told last.
    """
    datasets = {name: file[f"frames/{name}"] for name in FRAME_DATASETS}
    n = len(datasets["rgb"])
    facts = Facts.nothing(n)
    takers: dict[str, Callable[[Facts, slice, NDArray[np.generic]], None]] = {
        "rgb": _take_rgb, "flow": _take_flow, "detected": _take_detected, "confidence": _take_confidence,
        "landmarks": _take_landmarks, "transform": _take_transform,
    }  # fmt: skip
    for first, end in _steps(datasets["rgb"], datasets["flow"]):
        for name, dataset in datasets.items():
            for rows, block in _readable(dataset, first, end, facts.unread[name], facts.reasons):
                takers[name](facts, rows, block)
        progress((end - first) / n)
    return facts


def _steps(*datasets: h5py.Dataset) -> Iterator[tuple[int, int]]:
    """Rows that are decoded at a time: whole chunks, which are powers of two."""
    n = len(datasets[0])
    frame_bytes = max(d.dtype.itemsize * int(np.prod(d.shape[1:])) for d in datasets)
    chunk = max(d.chunks[0] for d in datasets)
    step = max(1, BLOCK_BYTES // frame_bytes // chunk) * chunk
    for first in range(0, n, step):
        yield first, min(first + step, n)


def _readable(
    dataset: h5py.Dataset, first: int, end: int, unread_N: NDArray[np.bool_], reasons: dict[str, str]
) -> Iterator[tuple[slice, NDArray[np.generic]]]:
    """The rows in one block; where they cannot be decoded, in as many as can. Marks the others."""
    rows = slice(first, end)
    try:
        block = dataset[rows]
    except READ_ERRORS as error:
        step = dataset.chunks[0]
        inner = first - first % step + step  # where the next chunk begins
        if inner >= end:
            unread_N[rows] = True
            reasons.setdefault(dataset.name.rpartition("/")[2], hdf5_words(error))
            return
        yield from _readable(dataset, first, inner, unread_N, reasons)
        for begin in range(inner, end, step):
            yield from _readable(dataset, begin, min(begin + step, end), unread_N, reasons)
        return
    yield rows, block


def _take_rgb(facts: Facts, rows: slice, block: NDArray[np.generic]) -> None:
    flat = block.reshape(len(block), -1).view(np.uint8)
    facts.plain_N[rows] = (flat[:, 3:] == flat[:, :-3]).all(axis=1)
    facts.black_N[rows] = facts.plain_N[rows] & (flat[:, :3] == 0).all(axis=1)
    before = facts._last if rows.start and not facts.unread["rgb"][rows.start - 1] else None
    images = flat if before is None else np.concatenate([before[None], flat])
    larger, smaller = np.maximum(images[1:], images[:-1]), np.minimum(images[1:], images[:-1])
    facts.change_N[rows.start + (before is None) : rows.stop] = (larger - smaller).mean(axis=1, dtype=np.float32)
    facts._last = flat[-1]


def _take_flow(facts: Facts, rows: slice, block: NDArray[np.generic]) -> None:
    vectors = np.ascontiguousarray(block).reshape(len(block), -1).view(np.int32)
    facts.even_N[rows] = (vectors[:, 1:] == vectors[:, :-1]).all(axis=1)
    facts.flow_N[rows] = vectors[:, 0]
    values = block.reshape(-1).view(np.int16)
    if values.max() >= LARGEST or values.min() <= -LARGEST:
        facts.at_limit += int(((values >= LARGEST) | (values <= -LARGEST)).sum())


def _take_detected(facts: Facts, rows: slice, block: NDArray[np.generic]) -> None:
    facts.detected_N[rows] = block.view(np.uint8)


def _take_confidence(facts: Facts, rows: slice, block: NDArray[np.generic]) -> None:
    facts.confidence_N[rows] = block.view(np.float32)


def _take_landmarks(facts: Facts, rows: slice, block: NDArray[np.generic]) -> None:
    facts.landmarks_N[rows] = _numbers(block)


def _take_transform(facts: Facts, rows: slice, block: NDArray[np.generic]) -> None:
    facts.transform_N[rows] = _numbers(block)


def _numbers(block: NDArray[np.generic]) -> NDArray[np.uint8]:
    flat = block.reshape(len(block), -1).view(np.float32)
    kind = np.full(len(flat), 2, np.uint8)
    kind[np.isfinite(flat).all(axis=1)] = 1
    kind[np.isnan(flat).all(axis=1)] = 0
    return kind
