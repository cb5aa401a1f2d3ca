"""Which clips a fold trains on and tests on, and the store that hands them out in batches.

Axes: B clips of a batch, T time, H rows, W columns, C channels, N frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fer_model.errors import ArgumentError, FoldError
from fer_model.inputs import area_average
from fer_model.shards import Clip, Corpus, Shard, read_frames

FRAMES_PER_READ = 256


@dataclass(frozen=True, kw_only=True)
class ClipRef:
    """A labelled clip and the shard that it lies in."""

    shard: Shard
    clip: Clip

    @property
    def label(self) -> int:
        """Index of the recording's class."""
        return self.clip.recording.label


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The labelled clips of one fold; `validation` is empty unless a group was taken out of the training groups."""

    train: tuple[ClipRef, ...]
    validation: tuple[ClipRef, ...]
    test: tuple[ClipRef, ...]


def select_fold(corpus: Corpus, *, test_group: int, validation_group: int | None) -> Fold:
    """Train on all groups but `test_group` (and `validation_group`), test on `test_group`.

    Raises:
        ArgumentError: a group does not exist, or the two are the same.
        FoldError: a part has no labelled clip, or two parts share a subject.
    """
    n_groups = corpus.index.n_groups
    if not 1 <= test_group <= n_groups:
        raise ArgumentError(f"fold {test_group} does not exist: these shards have folds 1 to {n_groups}.")
    if validation_group is not None and not 1 <= validation_group <= n_groups:
        raise ArgumentError(f"validation group {validation_group} does not exist: there are groups 1 to {n_groups}.")
    if validation_group == test_group:
        raise ArgumentError(f"validation group {validation_group} is the test group: take one of the training groups.")
    held_out = {test_group, validation_group}
    fold = Fold(
        train=_labelled(corpus, {shard.group for shard in corpus.shards} - held_out),
        validation=_labelled(corpus, {validation_group} if validation_group is not None else set()),
        test=_labelled(corpus, {test_group}),
    )
    check_fold(fold, validated=validation_group is not None)
    return fold


def check_fold(fold: Fold, *, validated: bool) -> None:
    """Refuse a fold that cannot be trained, or whose result would be worthless.

    Raises:
        FoldError: a part has no labelled clip, or two parts share a subject.
    """
    parts = {"training": fold.train, "test": fold.test} | ({"validation": fold.validation} if validated else {})
    owner: dict[str, str] = {}
    for name, refs in parts.items():
        if not refs:
            raise FoldError(f"the {name} groups hold no labelled clip: choose another fold, or check ledger.csv.")
        for subject in sorted({ref.clip.recording.subject for ref in refs}):
            if owner.setdefault(subject, name) != name:
                raise FoldError(
                    f"subject {subject!r} is in the {owner[subject]} and in the {name} clips, expected in one: "
                    "the result would not be person-independent; build the shards again with fer-prep."
                )


def _labelled(corpus: Corpus, groups: set[int]) -> tuple[ClipRef, ...]:
    return tuple(
        ClipRef(shard=shard, clip=clip)
        for shard in corpus.shards
        if shard.group in groups
        for clip in shard.clips
        if clip.recording.label >= 0
    )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Clips as stored, of the network's size: uint8, int16 (dx, dy) in units of the shards' flow scale, int64."""

    rgb_BTHWC: Tensor
    flow_BTHWC: Tensor
    label_B: Tensor


class ClipStore:
    """Hands out clips of size×size pixels.

    Frames are area-averaged to the network's size when they are read, and each is read once and kept in the integers of
    the shard; if they are too many to keep, they are read again for each batch, with the same result.

    Args:
        clip_length: frames of a clip; shorter ones are padded by the rule of docs/shard-format.md.
        size: side of a frame for the network, pixels; at most that of the stored faces.
        keep_bytes: what the kept frames may occupy in all.
    """

    def __init__(self, *, clip_length: int, size: int, keep_bytes: int) -> None:
        self.clip_length = clip_length
        self.size = size
        self.room_bytes = keep_bytes
        self.kept: dict[Path, tuple[Tensor, Tensor]] = {}

    def load(self, refs: Sequence[ClipRef]) -> Iterator[int]:
        """Read and keep the frames of these clips' shards, yielding the number of frames after each one."""
        for shard in shards_of(refs):
            n_bytes = frames_bytes([shard], size=self.size)
            if shard.path not in self.kept and n_bytes <= self.room_bytes:
                self.kept[shard.path] = self._read(shard, 0, shard.n_frames)
                self.room_bytes -= n_bytes
            yield shard.n_frames

    def batch(self, refs: Sequence[ClipRef]) -> Batch:
        """The clips asked for, in that order.

        Raises:
            ShardError: frames cannot be read.
        """
        rgb, flow = zip(*(self._clip(ref) for ref in refs), strict=True)
        labels = torch.tensor([ref.label for ref in refs])
        return Batch(rgb_BTHWC=torch.stack(rgb), flow_BTHWC=torch.stack(flow), label_B=labels)

    def _clip(self, ref: ClipRef) -> tuple[Tensor, Tensor]:
        first, last = ref.clip.first_frame, ref.clip.first_frame + ref.clip.n_valid
        if ref.shard.path in self.kept:
            rgb, flow = (frames[first:last] for frames in self.kept[ref.shard.path])
        else:
            rgb, flow = self._read(ref.shard, first, last)
        return pad_clip(rgb, flow, clip_length=self.clip_length)

    def _read(self, shard: Shard, first: int, last: int) -> tuple[Tensor, Tensor]:
        parts = []
        for start in range(first, last, FRAMES_PER_READ):
            frames = read_frames(shard.path, first=start, last=min(last, start + FRAMES_PER_READ))
            parts.append([area_average(torch.from_numpy(array), size=self.size) for array in frames])
        rgb, flow = zip(*parts, strict=True)
        return torch.cat(rgb), torch.cat(flow)


def pad_clip(rgb_NHWC: Tensor, flow_NHWC: Tensor, *, clip_length: int) -> tuple[Tensor, Tensor]:
    """A clip of full length: the last image repeated, the flow of the repeated frames 0."""
    n_missing = clip_length - len(rgb_NHWC)
    if n_missing == 0:
        return rgb_NHWC, flow_NHWC
    rgb = torch.cat([rgb_NHWC, rgb_NHWC[-1:].expand(n_missing, -1, -1, -1)])
    return rgb, torch.cat([flow_NHWC, flow_NHWC.new_zeros(n_missing, *flow_NHWC.shape[1:])])


def shards_of(refs: Sequence[ClipRef]) -> list[Shard]:
    """The shards that clips lie in, each once."""
    return list({ref.shard.path: ref.shard for ref in refs}.values())


def frames_bytes(shards: Sequence[Shard], *, size: int) -> int:
    """Memory of all frames of some shards at the network's size: 3 bytes of colour and 4 of flow a pixel."""
    return sum(shard.n_frames for shard in shards) * size * size * (3 + 2 * 2)


def check_face_size(corpus: Corpus, *, size: int) -> None:
    """Refuse faces that are not square, or smaller than the network's input.

    Raises:
        ArgumentError: they are.
    """
    shard = corpus.shards[0]
    if shard.height != shard.width or shard.height < size:
        raise ArgumentError(
            f"{shard.path}: faces are {shard.width}x{shard.height} pixels, expected square and at least {size}x{size}: "
            "take a smaller preset, or build the shards again with larger faces."
        )
