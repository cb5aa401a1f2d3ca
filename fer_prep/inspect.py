"""What is in one shard: its head, its datasets, its recordings; and one clip as facts, a picture, or a video."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from fer_prep.clip_picture import clip_picture
from fer_prep.clip_reader import ClipFrames, RecordingRow, ShardFacts, ShardReader, damage_is_said, open_shard
from fer_prep.clip_video import write_video
from fer_prep.colour_wheel import round_scale
from fer_prep.errors import UsageError
from fer_prep.files import check_place, replace_bytes
from fer_prep.strips import png_file

DEFLATE, SHUFFLE, FLETCHER32, BITSHUFFLE = 1, 2, 3, 32008  # as HDF5 and its registry of filters number them
BITSHUFFLE_LZ4 = 2  # the fifth of its parameters
USUAL_SHARE = 0.98  # of a clip's pixels are within the colours' scale


@dataclass(frozen=True)
class DatasetFacts:
    """One dataset of a shard.

    Attributes:
        chunk: rows of a chunk; None: not chunked.
        checked: fletcher32 is on.
        stored_bytes, raw_bytes: on disk, and decoded.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    chunk: int | None
    filter: str
    checked: bool
    stored_bytes: int
    raw_bytes: int


@dataclass(frozen=True)
class ShardSummary:
    """A shard without its frames; `n_clips` rows are in /clips."""

    path: Path
    facts: ShardFacts
    datasets: tuple[DatasetFacts, ...]
    recordings: tuple[RecordingRow, ...]
    n_clips: int


@dataclass(frozen=True)
class ClipSummary:
    """A clip in numbers.

    Attributes:
        class_name: "(unlabelled)" without one.
        n_detected: frames with a face, of those that exist.
        mean_flow_px: mean flow magnitude over the frames that exist, pixels per frame.
        full_px: flow magnitude of the full colour in pictures of this clip.
        out: the file that was written.
    """

    clip: ClipFrames
    class_name: str
    n_detected: int
    mean_flow_px: float
    full_px: float
    out: Path | None


def inspect(shard: Path, *, clip: int | None = None, out: Path | None = None) -> ShardSummary | ClipSummary:
    """Look into a shard, or at one of its clips.

    Args:
        clip: row of /clips, from 0.
        out: write the clip as a picture (.png) or a video (.mp4).

    Raises:
        UsageError: there is no such shard or clip, or `out` cannot be written or is of another kind.
        FerPrepError: the shard is unfinished or damaged.
    """
    if out is not None:
        if clip is None:
            raise UsageError("--out needs --clip N, the clip to write")
        if out.suffix.lower() not in WRITERS:
            raise UsageError(f"{out}: a clip is written as a picture (.png) or as a video (.mp4); name it so")
        check_place(out, option="--out")
    with open_shard(shard) as reader:
        return _summary(reader) if clip is None else _clip_summary(reader, clip, out)


def _summary(reader: ShardReader) -> ShardSummary:
    datasets: list[DatasetFacts] = []

    def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            datasets.append(dataset_facts(name, item))

    with damage_is_said(reader.path):
        reader.file.visititems(note)
    return ShardSummary(reader.path, reader.facts, tuple(datasets), reader.recordings, len(reader.clips))


def dataset_facts(name: str, dataset: h5py.Dataset) -> DatasetFacts:
    """Layout and size of a dataset."""
    plan = dataset.id.get_create_plist()
    filters = {number: options for number, _, options, _ in map(plan.get_filter, range(plan.get_nfilters()))}
    return DatasetFacts(
        name=name,
        type=f"{len(dataset.dtype)} fields" if dataset.dtype.names else str(dataset.dtype),
        shape=dataset.shape,
        chunk=dataset.chunks[0] if dataset.chunks else None,
        filter="+".join(_filter_name(number, options) for number, options in filters.items() if number != FLETCHER32)
        or "none",
        checked=FLETCHER32 in filters,
        stored_bytes=dataset.id.get_storage_size(),
        raw_bytes=dataset.size * dataset.dtype.itemsize,
    )


def _filter_name(number: int, options: tuple[int, ...]) -> str:
    if number == BITSHUFFLE:
        return "bitshuffle-lz4" if options[4:5] == (BITSHUFFLE_LZ4,) else "bitshuffle"
    return {SHUFFLE: "shuffle", DEFLATE: "gzip"}.get(number, f"filter {number}")


def _clip_summary(reader: ShardReader, number: int, out: Path | None) -> ClipSummary:
    n_clips = len(reader.clips)
    if not 0 <= number < n_clips:
        there = f"its clips are 0 to {n_clips - 1}" if n_clips else "it has no clips"
        raise UsageError(f"{reader.path} has no clip {number}; {there}")
    clip = reader.clip(number)
    flow_THW2 = clip.flow_THW2[: clip.n_valid]
    speed = np.hypot(flow_THW2[..., 0], flow_THW2[..., 1])
    full_px = round_scale(float(np.quantile(speed, USUAL_SHARE)))
    if out is not None:
        WRITERS[out.suffix.lower()](out, clip, full_px)
    return ClipSummary(
        clip=clip,
        class_name=reader.class_name(clip.recording.label),
        n_detected=int(clip.detected_T.sum()),
        mean_flow_px=float(speed.mean()),
        full_px=full_px,
        out=out,
    )


def _write_picture(out: Path, clip: ClipFrames, full_px: float) -> None:
    replace_bytes(out, png_file(clip_picture(clip, full_px=full_px)))


def _write_video(out: Path, clip: ClipFrames, full_px: float) -> None:
    write_video(out, clip, full_px=full_px)


WRITERS: dict[str, Callable[[Path, ClipFrames, float], None]] = {".png": _write_picture, ".mp4": _write_video}
