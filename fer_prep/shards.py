"""The writer of shard format 1 (docs/shard-format.md): recordings of one subject become one HDF5 file, all or nothing.

The file is written under a temporary name, flushed, read back and compared, and only then renamed. An HDF5 file that
opens proves nothing: a killed writer leaves files that open and return zeros. The `key` attribute is written last.
"""

import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from fer_prep.align.track import FaceTrack
from fer_prep.clips import Clip
from fer_prep.errors import FerPrepError
from fer_prep.files import temporary_name
from fer_prep.flow import FLOW_SCALE
from fer_prep.recipe import Recipe
from fer_prep.stored import FORMAT, FRAME_DATASETS, VERSION, ShardEntry, blocks, describe_shard

# newer HDF5 structures carry checksums of their own, and a file whose writer was killed says so and does not open
HDF5_VERSIONS = ("v110", "v110")
LARGEST_CHUNK = 64  # frames


@dataclass(frozen=True)
class ShardHead:
    """What all recordings of a shard have in common. `key` is the hash of inputs, recipe and tools."""

    corpus: str
    subject: str
    group: int
    classes: tuple[str, ...]
    recipe: Recipe
    versions: Mapping[str, Any]
    key: str


@dataclass(frozen=True)
class StoredRecording:
    """One recording as it goes into a shard.

    Attributes:
        label: index into the classes; -1: unlabelled.
        flow_NHW2: int16, 1/256 px.
        saturated: flow values that were cut to fit.
        extra: further facts (name, value).
    """

    id: str
    path: str
    sha256: str
    label: int
    fps: float
    track: FaceTrack
    flow_NHW2: NDArray[np.int16]
    saturated: int
    clips: tuple[Clip, ...]
    extra: tuple[tuple[str, str], ...] = ()


_GOES_ON = "Make room there, and the same command goes on"


def write_shard(
    path: Path, head: ShardHead, recordings: Iterable[StoredRecording], *, token: Path | None = None
) -> ShardEntry | None:
    """Write one shard; None, and no file, if there is no recording.

    Recordings are taken one at a time, so memory holds one track.

    Args:
        token: a file that lies there as long as the shard is wanted.

    Raises:
        FerPrepError: the shard is not wanted any more, or the file system refuses, or gives back other bytes than it
            was given.
    """
    temporary = temporary_name(path)
    try:
        with h5py.File(temporary, "w", libver=HDF5_VERSIONS) as file:
            body = _Body(file, head.recipe)
            for recording in recordings:
                body.append(head, recording)
            if not len(body):
                return None
            checksums = body.finish(head)
        _flush_to_disk(temporary)
        _check(temporary, head.key, checksums)
        entry = describe_shard(temporary, name=path.name)
        # the driver may be dead for long, and another one may have put a shard of another recipe here
        if token is not None and not token.exists():
            raise FerPrepError(f"{path}: the build that wanted this shard has ended; it is not put into place")
        temporary.replace(path)
        _flush_to_disk(path.parent)
        return entry
    except (OSError, RuntimeError) as error:
        # HDF5 reports a full disk as a RuntimeError when it closes the file
        raise FerPrepError(
            f"{path}: shard cannot be written ({_cause(error)}); is the disk full? {_GOES_ON}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _cause(error: Exception) -> str:
    """The operating system's words, which HDF5 wraps into two lines of its own."""
    wrapped = re.search(r"error message = '([^']+)'", str(error))
    return wrapped[1] if wrapped else str(getattr(error, "strerror", None) or error)


class _Body:
    """The growing content of a shard, with a running checksum of every frame dataset."""

    def __init__(self, file: h5py.File, recipe: Recipe) -> None:
        self._file = file
        self._datasets = _create_frames(file, recipe)
        self._checksums = dict.fromkeys(FRAME_DATASETS, 0)
        self._n_frames = 0
        self._saturated = 0
        self._recordings: list[tuple[Any, ...]] = []
        self._clips: list[tuple[int, int, int, int]] = []

    def __len__(self) -> int:
        return len(self._recordings)

    def append(self, head: ShardHead, recording: StoredRecording) -> None:
        track = recording.track
        first, end = self._n_frames, self._n_frames + track.n_frames
        arrays = (
            track.rgb_NHWC, recording.flow_NHW2, track.detected_N,
            track.confidence_N, track.landmarks_N68x2, track.transform_N2x3,
        )  # fmt: skip
        for name, array in zip(FRAME_DATASETS, arrays, strict=True):
            self._datasets[name].resize(end, axis=0)
            self._datasets[name][first:end] = array
            self._checksums[name] = zlib.crc32(np.ascontiguousarray(array).data, self._checksums[name])
        row = len(self._recordings)
        self._clips += [(row, first + clip.first_frame, clip.n_valid, recording.label) for clip in recording.clips]
        self._recordings.append(
            (recording.id, recording.path, recording.sha256, recording.label, head.subject, head.group,
             first, track.n_frames, recording.fps, track.n_detected,
             json.dumps(dict(recording.extra), ensure_ascii=False))
        )  # fmt: skip
        self._n_frames = end
        self._saturated += recording.saturated

    def finish(self, head: ShardHead) -> dict[str, int]:
        """Write tables and attributes, the key last; returns the checksum of every dataset."""
        # Every dataset is flushed here, one by one: left to itself, HDF5 writes out what is cached when the last
        # reference goes, and the file's layout would depend on the process' history and on who else looks at it.
        for dataset in self._datasets.values():
            dataset.flush()
        self._datasets["flow"].attrs["scale"] = FLOW_SCALE
        self._datasets["flow"].attrs["saturated"] = self._saturated
        tables = {"recordings": _recordings_table(self._recordings), "clips": np.array(self._clips, CLIP_DTYPE)}
        for name, table in tables.items():
            self._file.create_dataset(
                name, data=table, fletcher32=True, chunks=(max(len(table), 1),), maxshape=(None,)
            ).flush()
        attributes: dict[str, Any] = {
            "format": FORMAT, "version": VERSION, "corpus": head.corpus, "subject": head.subject, "group": head.group,
            "classes": json.dumps(head.classes), "aligner": head.recipe.align.backend,
            "clip_length": head.recipe.clips.length, "clip_stride": head.recipe.clips.stride,
            "recipe": head.recipe.model_dump_json(), "versions": json.dumps(head.versions, sort_keys=True),
        }  # fmt: skip
        for name, value in attributes.items():
            self._file.attrs[name] = value
        self._file.flush()
        self._file.attrs["key"] = head.key
        checksums = {f"frames/{name}": checksum for name, checksum in self._checksums.items()}
        return checksums | {name: zlib.crc32(table.tobytes()) for name, table in tables.items()}


CLIP_DTYPE = np.dtype([("recording", "<i4"), ("first_frame", "<i8"), ("n_valid", "<i4"), ("label", "<i4")])


def _recordings_table(rows: list[tuple[Any, ...]]) -> NDArray[np.void]:
    """Texts have a fixed length, the longest one's, so that the table lies in one checksummed chunk."""

    def text(column: int) -> np.dtype[Any]:
        longest = max(len(row[column].encode()) for row in rows)
        dtype: np.dtype[Any] = h5py.string_dtype("utf-8", longest)
        return dtype

    dtype = np.dtype(
        [("id", text(0)), ("path", text(1)), ("sha256", text(2)), ("label", "<i4"), ("subject", text(4)),
         ("group", "<i4"), ("first_frame", "<i8"), ("n_frames", "<i8"), ("fps", "<f8"), ("n_detected", "<i8"),
         ("extra", text(10))]
    )  # fmt: skip
    return np.array([tuple(v.encode() if isinstance(v, str) else v for v in row) for row in rows], dtype)


def _create_frames(file: h5py.File, recipe: Recipe) -> dict[str, h5py.Dataset]:
    size, kib = recipe.align.face_size, recipe.storage.chunk_kib
    layout: tuple[tuple[tuple[int, ...], type[np.generic], int], ...] = (
        ((size, size, 3), np.uint8, chunk_frames(size * size * 3, chunk_kib=kib)),
        ((size, size, 2), np.int16, chunk_frames(size * size * 4, chunk_kib=kib)),
        ((), np.bool_, 1024),
        ((), np.float32, 1024),
        ((68, 2), np.float32, 64),
        ((2, 3), np.float32, 1024),
    )
    return {
        name: file.create_dataset(
            f"frames/{name}", shape=(0, *shape), maxshape=(None, *shape), chunks=(chunk, *shape), dtype=dtype,
            fletcher32=True, **_filter(recipe.storage.filter),
        )
        for name, (shape, dtype, chunk) in zip(FRAME_DATASETS, layout, strict=True)
    }  # fmt: skip


def chunk_frames(frame_bytes: int, *, chunk_kib: int) -> int:
    """Frames of a chunk: the largest power of two that fits, from 1 to 64."""
    fitting = min(LARGEST_CHUNK, max(1, chunk_kib * 1024 // frame_bytes))
    return 1 << (fitting.bit_length() - 1)


def _filter(name: str) -> dict[str, Any]:
    match name:
        case "bitshuffle-lz4":
            return dict(hdf5plugin.Bitshuffle(cname="lz4"))
        case "gzip":
            return {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        case _:
            return {}


def _check(path: Path, key: str, checksums: dict[str, int]) -> None:
    """Read back what was written.

    Raises:
        FerPrepError: something else comes back; the disk or the memory is at fault.
    """
    with h5py.File(path) as file:
        for name, expected in checksums.items():
            found = 0
            for block in blocks(file[name]):
                found = zlib.crc32(np.ascontiguousarray(block).data, found)
            if found != expected or file.attrs["key"] != key:
                raise FerPrepError(f"{path}: {name} reads back differently from what was written; check the disk")


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
