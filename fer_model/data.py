"""The store that hands out clips in batches, from memory or from disk.

Axes: B clips of a batch, T time, H rows, W columns, C channels, N frames.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fer_model.folds import ClipRef, shards_of
from fer_model.frames import FrameReader
from fer_model.inputs import area_average
from fer_model.shards import Shard

FRAMES_PER_READ = 64  # whole chunks, so that each is read once
BATCHES_AHEAD = 2
Frames: TypeAlias = tuple[Tensor, Tensor]  # rgb_NHWC uint8, flow_NHWC int16


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Clips as stored, of the network's size: uint8, int16 (dx, dy) in units of the shards' flow scale, int64."""

    rgb_BTHWC: Tensor
    flow_BTHWC: Tensor
    label_B: Tensor


class BatchSource(Protocol):
    """Whatever hands out clips in batches."""

    def batches(self, wanted: Iterable[Sequence[ClipRef]]) -> Generator[Batch, None, None]:
        """Batches of the clips asked for, in that order."""


class ClipStore:
    """Hands out clips of size×size pixels.

    Frames of loaded shards come from memory, all others from disk; the clips are the same. A store may be used by
    several threads, and in forked or spawned processes: no file is open before the first frame is read.

    Args:
        clip_length: frames of a clip; shorter ones are padded by the rule of docs/shard-format.md.
        size: side of a frame for the network, pixels; at most that of the stored faces, which are area-averaged.
        readers: threads that read and decode.
        pinned: whether batches lie in memory that a GPU can fetch them from while both go on.
    """

    def __init__(self, *, clip_length: int, size: int, readers: int, pinned: bool = False) -> None:
        self.clip_length = clip_length
        self.size = size
        self._readers = readers
        self._pinned = pinned
        self._reader = FrameReader()
        self._loaded: dict[Path, Frames] = {}

    def load(self, refs: Sequence[ClipRef]) -> Iterator[int]:
        """Read the frames of these clips' shards into memory, each chunk once; yields numbers of frames as they come.

        `frames_bytes` says beforehand how much memory that takes.

        Raises:
            ShardError: frames cannot be read.
        """
        with self._threads() as pool:
            parts: dict[Future[None], int] = {}
            loading: dict[Path, Frames] = {}
            for shard in shards_of(refs):
                loading[shard.path] = empty_frames(shard.n_frames, size=self.size)
                parts |= self._submit(pool, shard, out=loading[shard.path])
            for part in as_completed(parts):
                part.result()
                yield parts[part]
            self._loaded |= loading

    def frames(self, shard: Shard) -> Frames:
        """All frames of a shard: (rgb_NHWC uint8, flow_NHWC int16).

        Raises:
            ShardError: they cannot be read.
        """
        frames = empty_frames(shard.n_frames, size=self.size)
        with self._threads() as pool:
            for part in self._submit(pool, shard, out=frames):
                part.result()
        return frames

    def _submit(self, pool: ThreadPoolExecutor, shard: Shard, *, out: Frames) -> dict[Future[None], int]:
        """Have all frames of a shard read; numbers of frames of the parts."""
        parts = {}
        for first in range(0, shard.n_frames, FRAMES_PER_READ):
            last = min(first + FRAMES_PER_READ, shard.n_frames)
            parts[pool.submit(self._read, shard, first, last, out=rows(out, first, last))] = last - first
        return parts

    def clip(self, ref: ClipRef) -> Frames:
        """One clip: (rgb_THWC uint8, flow_THWC int16).

        Raises:
            ShardError: frames cannot be read.
        """
        frames = empty_frames(self.clip_length, size=self.size)
        self._read_clip(ref, out=frames)
        return frames

    def batches(self, wanted: Iterable[Sequence[ClipRef]]) -> Generator[Batch, None, None]:
        """Batches of the clips asked for, in that order; some are read ahead.

        Raises:
            ShardError: frames cannot be read.
        """
        ahead: deque[tuple[Batch, list[Future[None]]]] = deque()
        with self._threads() as pool:
            for refs in wanted:
                batch = self._empty_batch(refs)
                clips = zip(batch.rgb_BTHWC, batch.flow_BTHWC, strict=True)
                parts = [pool.submit(self._read_clip, ref, out=clip) for ref, clip in zip(refs, clips, strict=True)]
                ahead.append((batch, parts))
                if len(ahead) > BATCHES_AHEAD:
                    yield _finished(*ahead.popleft())
            while ahead:
                yield _finished(*ahead.popleft())

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        # One thread of torch in each of ours. Torch takes that as the default of all new threads: set back at the end.
        before = torch.get_num_threads()
        pool = ThreadPoolExecutor(self._readers, "reader", initializer=torch.set_num_threads, initargs=(1,))
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)

    def _empty_batch(self, refs: Sequence[ClipRef]) -> Batch:
        rgb, flow = empty_frames(len(refs), self.clip_length, size=self.size, pinned=self._pinned)
        return Batch(rgb_BTHWC=rgb, flow_BTHWC=flow, label_B=torch.tensor([ref.label for ref in refs]))

    def _read_clip(self, ref: ClipRef, *, out: Frames) -> None:
        first, n = ref.clip.first_frame, ref.clip.n_valid
        loaded = self._loaded.get(ref.shard.path)
        if loaded is None:
            self._read(ref.shard, first, first + n, out=rows(out, 0, n))
        else:
            for whole, part in zip(loaded, out, strict=True):
                part[:n] = whole[first : first + n]
        pad_clip(*out, n_valid=n)

    def _read(self, shard: Shard, first: int, last: int, *, out: Frames) -> None:
        if self.size == shard.height == shard.width:
            self._reader.read(shard, first, last, out=(out[0].numpy(), out[1].numpy()))
            return
        stored = empty_frames(last - first, size=(shard.height, shard.width))
        self._reader.read(shard, first, last, out=(stored[0].numpy(), stored[1].numpy()))
        for large, small in zip(stored, out, strict=True):
            small[:] = area_average(large, size=self.size)


class ClipDataset(Dataset[tuple[Tensor, Tensor, int]]):
    """Labelled clips for a DataLoader of your own: (rgb_THWC uint8, flow_THWC int16, label).

    `fer-train` does not need it: it reads in threads, which copy nothing between processes.
    """

    def __init__(self, refs: Sequence[ClipRef], store: ClipStore) -> None:
        self.refs, self.store = refs, store

    def __len__(self) -> int:
        return len(self.refs)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, int]:
        return (*self.store.clip(self.refs[i]), self.refs[i].label)


def _finished(batch: Batch, parts: Sequence[Future[None]]) -> Batch:
    for part in parts:
        part.result()
    return batch


def pad_clip(rgb_THWC: Tensor, flow_THWC: Tensor, *, n_valid: int) -> None:
    """Fill what lies behind the frames that exist: the last image repeated, no flow."""
    rgb_THWC[n_valid:] = rgb_THWC[n_valid - 1]
    flow_THWC[n_valid:] = 0


def empty_frames(*numbers: int, size: int | tuple[int, int], pinned: bool = False) -> Frames:
    """Room for so many images and flows of one size, pixels: side, or height and width."""
    shape = (*numbers, *((size, size) if isinstance(size, int) else size))
    return (
        torch.empty((*shape, 3), dtype=torch.uint8, pin_memory=pinned),
        torch.empty((*shape, 2), dtype=torch.int16, pin_memory=pinned),
    )


def rows(frames: Frames, first: int, last: int) -> Frames:
    """A part of some frames, in the same memory."""
    return frames[0][first:last], frames[1][first:last]


def frames_bytes(shards: Sequence[Shard], *, size: int) -> int:
    """Memory of all frames of some shards at the network's size: 3 bytes of colour and 4 of flow a pixel."""
    return sum(shard.n_frames for shard in shards) * size * size * (3 + 2 * 2)
