"""The reader of shard format 1 (docs/shard-format.md): a shard directory in, its checked tables and its frames out.

Nothing of a directory is believed before it was checked: every mismatch is a ShardError that names the file, what was
found, what was expected and what to do. Frames are read later, by fer_model.frames.

Axes: N frames, H rows, W columns, C channels.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from fer_model.errors import ShardError
from fer_model.index import Index, IndexEntry, check_file, read_index
from fer_model.layout import REBUILD, Layout

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One labelled video of a shard; `label` is −1 if it has none."""

    id: str
    subject: str
    label: int
    first_frame: int
    n_frames: int
    fps: float = 0.0
    """Frames per second; 0 if unknown."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A window of a recording; `first_frame` is a row of the shard, `n_valid` the number of frames that exist."""

    recording: Recording
    first_frame: int
    n_valid: int


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The tables of one file."""

    path: Path
    n_bytes: int
    mtime_ns: int
    """Of the file whose bytes were found right."""
    subject: str
    group: int
    n_frames: int
    height: int
    width: int
    flow_scale: float
    """Stored units of flow per pixel."""
    recordings: tuple[Recording, ...]
    clips: tuple[Clip, ...]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A shard directory: its index and the tables of all shards."""

    index: Index
    shards: tuple[Shard, ...]


def read_corpus(directory: Path, *, checked: Callable[[int, int], object] = lambda n_bytes, total: None) -> Corpus:
    """The tables of every shard of a directory, checked against the format, the index and each other.

    Args:
        checked: told how many bytes of how many were checked; it takes seconds per 10 GB and core.

    Raises:
        ShardError: the directory is not a finished, undamaged shard directory of format 1.
    """
    index = read_index(directory)
    shards: list[Shard] = []
    n_bytes, total = 0, sum(entry.n_bytes for entry in index.shards)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        times_ns = pool.map(lambda entry: check_file(directory / entry.file, entry), index.shards)
        for entry, mtime_ns in zip(index.shards, times_ns, strict=True):
            shards.append(read_shard(directory / entry.file, entry=entry, index=index, mtime_ns=mtime_ns))
            n_bytes += entry.n_bytes
            checked(n_bytes, total)
    kinds = {(s.height, s.width, s.flow_scale) for s in shards}
    if len(kinds) != 1:
        raise ShardError(
            f"{directory}: found faces of these (height, width, flow scale): {sorted(kinds)}, expected one kind; "
            "build the shards again with fer-prep."
        )
    repeated = [id_ for id_, n in Counter(r.id for s in shards for r in s.recordings).items() if n > 1]
    if repeated:
        raise ShardError(f"{directory}: recording {repeated[0]!r} is stored twice, expected once: rebuild the shards.")
    return Corpus(index=index, shards=tuple(shards))


def read_shard(path: Path, *, entry: IndexEntry, index: Index, mtime_ns: int) -> Shard:
    """The checked tables of one shard, whose bytes were found right.

    Raises:
        ShardError: the file is unfinished, or differs from its index entry or from the format.
    """
    try:
        with h5py.File(path, "r") as file:
            _check_attributes(path, file.attrs, entry=entry, index=index)
            return _tables(path, file, entry=entry, index=index, mtime_ns=mtime_ns)
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ShardError(f"{path}: not readable as a shard ({error}); {REBUILD}.") from error


def _check_attributes(path: Path, attributes: Mapping[str, Any], *, entry: IndexEntry, index: Index) -> None:
    if attributes.get("format") != "fer-shard":
        raise ShardError(f"{path}: format is {attributes.get('format')!r}, expected 'fer-shard'; {REBUILD}.")
    if attributes.get("version") != 1:
        found = attributes.get("version")
        raise ShardError(f"{path}: shard format version {found}, expected 1; use a matching fer-train.")
    if "key" not in attributes:
        raise ShardError(f"{path}: not finished (it has no key, which is written last); {REBUILD}.")
    expected: dict[str, object] = {
        "key": entry.key,
        "corpus": index.corpus,
        "subject": entry.subject,
        "group": entry.group,
        "aligner": index.aligner,
        "classes": list(index.classes),
        "clip_length": index.clip_length,
        "clip_stride": index.clip_stride,
    }
    for name, value in expected.items():
        found = json.loads(attributes[name]) if name == "classes" else attributes[name]
        if found != value:
            raise ShardError(f"{path}: {name} is {_plain(found)!r}, expected {value!r} as in index.json; {REBUILD}.")


def _plain(value: object) -> object:
    """A numpy scalar as the number that it is."""
    return value.item() if isinstance(value, np.generic) else value


def _tables(path: Path, file: h5py.File, *, entry: IndexEntry, index: Index, mtime_ns: int) -> Shard:
    check = Layout(path, file, n_bytes=entry.n_bytes)
    height, width = check.frame_size()
    check.frames("frames/rgb", (entry.n_frames, height, width, 3), "uint8")
    check.frames("frames/flow", (entry.n_frames, height, width, 2), "int16")
    scale = float(file["frames/flow"].attrs["scale"])
    if not (np.isfinite(scale) and scale > 0):
        raise ShardError(f"{path}: the flow's scale is {scale}, expected a positive number; {REBUILD}.")
    recordings = _recordings(
        path, check.table("recordings", n_rows=entry.n_recordings), entry=entry, n_classes=len(index.classes)
    )
    clips = check.table("clips", n_rows=entry.n_clips)
    return Shard(
        path=path,
        n_bytes=entry.n_bytes,
        mtime_ns=mtime_ns,
        subject=entry.subject,
        group=entry.group,
        n_frames=entry.n_frames,
        height=height,
        width=width,
        flow_scale=scale,
        recordings=recordings,
        clips=_clips(path, clips, recordings, clip_length=index.clip_length),
    )


def _recordings(path: Path, table: Array, *, entry: IndexEntry, n_classes: int) -> tuple[Recording, ...]:
    recordings = tuple(
        Recording(
            id=row["id"].decode(),
            subject=row["subject"].decode(),
            label=int(row["label"]),
            first_frame=int(row["first_frame"]),
            n_frames=int(row["n_frames"]),
            fps=float(row["fps"]) if row["fps"] > 0 and np.isfinite(row["fps"]) else 0.0,
        )
        for row in table
    )
    next_frame = 0
    for recording, group in zip(recordings, table["group"], strict=True):
        where = f"{path}: recording {recording.id!r}"
        if recording.subject != entry.subject or group != entry.group:
            found = f"subject {recording.subject!r} of group {group}"
            raise ShardError(
                f"{where} is of {found}, expected {entry.subject!r} of group {entry.group}: "
                f"training and testing could share a person; {REBUILD}."
            )
        if not -1 <= recording.label < n_classes:
            raise ShardError(f"{where} has label {recording.label}, expected -1 to {n_classes - 1}; {REBUILD}.")
        if recording.first_frame != next_frame or recording.n_frames < 1:
            found = f"{recording.n_frames} frames from row {recording.first_frame}"
            raise ShardError(f"{where} has {found}, expected at least one from row {next_frame}; {REBUILD}.")
        if not recording.id.isprintable():
            raise ShardError(f"{where}: a name must be printable text; {REBUILD}.")
        next_frame += recording.n_frames
    if next_frame != entry.n_frames:
        raise ShardError(f"{path}: the recordings end at frame {next_frame}, expected {entry.n_frames}; {REBUILD}.")
    return recordings


def _clips(path: Path, table: Array, recordings: tuple[Recording, ...], *, clip_length: int) -> tuple[Clip, ...]:
    clips = []
    for i, row in enumerate(table):
        if not 0 <= row["recording"] < len(recordings):
            raise ShardError(f"{path}: clip {i} is of recording {row['recording']}, which is not there; {REBUILD}.")
        recording = recordings[row["recording"]]
        clip = Clip(recording=recording, first_frame=int(row["first_frame"]), n_valid=int(row["n_valid"]))
        first, last = recording.first_frame, recording.first_frame + recording.n_frames
        if not (1 <= clip.n_valid <= clip_length and first <= clip.first_frame <= last - clip.n_valid):
            found = f"{clip.n_valid} frames from row {clip.first_frame}"
            raise ShardError(
                f"{path}: clip {i} has {found}, expected 1 to {clip_length} frames within rows {first} to {last - 1} "
                f"of recording {recording.id!r}; {REBUILD}."
            )
        if row["label"] != recording.label:
            raise ShardError(f"{path}: clip {i} has label {row['label']}, expected {recording.label}; {REBUILD}.")
        clips.append(clip)
    return tuple(clips)
