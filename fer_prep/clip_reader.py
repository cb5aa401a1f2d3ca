"""A shard read by people's programs: its tables, single frames, and whole clips by the rule of docs/shard-format.md."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the bitshuffle filter
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FerPrepError, UsageError
from fer_prep.stored import FORMAT, FRAME_DATASETS, VERSION, own_dataset

UNLABELLED = "(unlabelled)"
LARGEST_FACE, LONGEST_CLIP = 1024, 4096  # pixels, frames: as recipes allow
FILES_NAMED = 3  # of a directory that was given in place of a file
STILL_OPEN = "already open for write"  # HDF5 of a file whose writer was killed, or is at work


@dataclass(frozen=True)
class ShardFacts:
    """The attributes of a shard; `clip_length` and `clip_stride` in frames."""

    corpus: str
    subject: str
    group: int
    classes: tuple[str, ...]
    aligner: str
    clip_length: int
    clip_stride: int
    key: str
    versions: dict[str, Any]


@dataclass(frozen=True)
class RecordingRow:
    """A stored recording.

    Attributes:
        label: index into the classes; -1: unlabelled.
        first_frame: its row in /frames.
        fps: 0 if unknown.
    """

    id: str
    label: int
    first_frame: int
    n_frames: int
    fps: float
    n_detected: int
    n_clips: int


@dataclass(frozen=True)
class ClipFrames:
    """A clip of T frames, padded to the clip length.

    Attributes:
        number: row of /clips.
        first_frame: of the recording, from 0.
        n_valid: frames that exist; behind them the last image is repeated and the flow is 0.
        rgb_THWC: uint8.
        flow_THW2: float32, (dx, dy) in pixels.
        detected_T: bool; false in repeated frames.
    """

    number: int
    recording: RecordingRow
    first_frame: int
    n_valid: int
    rgb_THWC: NDArray[np.uint8]
    flow_THW2: NDArray[np.float32]
    detected_T: NDArray[np.bool_]


class ShardReader:
    """An open shard. `clips` is the table /clips as stored."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path, self.file = path, file
        self.facts = _facts(file)
        _check_places(file)
        self.clips: NDArray[np.void] = file["clips"][:]
        self.recordings = _recordings(file, self.clips)
        self._flow_scale = np.float32(file["frames/flow"].attrs["scale"])
        self._check_form()
        self._check_tables()

    def class_name(self, label: int) -> str:
        return self.facts.classes[label] if label >= 0 else UNLABELLED

    def clip(self, number: int) -> ClipFrames:
        """Read a clip; only its own rows are decoded.

        Raises:
            FerPrepError: a checksum does not fit.
        """
        first, n_valid = int(self.clips[number]["first_frame"]), int(self.clips[number]["n_valid"])
        recording = self.recordings[int(self.clips[number]["recording"])]
        missing = self.facts.clip_length - n_valid
        padding = ((0, missing), (0, 0), (0, 0), (0, 0))
        with damage_is_said(self.path):
            rows = slice(first, first + n_valid)
            rgb, flow, detected = (self.file["frames"][name][rows] for name in ("rgb", "flow", "detected"))
        return ClipFrames(
            number=number,
            recording=recording,
            first_frame=first - recording.first_frame,
            n_valid=n_valid,
            rgb_THWC=np.pad(rgb, padding, mode="edge"),
            flow_THW2=np.pad(flow / self._flow_scale, padding),
            detected_T=np.pad(detected, (0, missing)),
        )

    def images(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(rgb_NHWC, detected_N) of single rows of /frames, in rising order.

        Raises:
            FerPrepError: a checksum does not fit.
        """
        with damage_is_said(self.path):
            return self.file["frames/rgb"][rows], self.file["frames/detected"][rows]

    def flow_px(self, row: int) -> NDArray[np.float32] | None:
        """Flow (H,W,2) in pixels of one row of /frames; None where this frame or the one before has no image.

        Raises:
            FerPrepError: a checksum does not fit.
        """
        with damage_is_said(self.path):
            if np.isnan(self.file["frames/transform"][row - 1 : row + 1]).any():
                return None
            flow_HW2: NDArray[np.float32] = self.file["frames/flow"][row] / self._flow_scale
            return flow_HW2

    def n_saturated(self) -> int:
        """Flow values that were cut to fit."""
        with damage_is_said(self.path):
            return int(self.file["frames/flow"].attrs["saturated"])

    def _check_form(self) -> None:
        """Images and flow are of one size, and a clip of them fits into memory."""
        frames = self.file["frames"]
        shape = frames["rgb"].shape
        n, height, width = (*shape, 0, 0, 0)[:3]
        form = {"rgb": (shape, "u1"), "flow": ((n, height, width, 2), "<i2"), "detected": ((n,), "?")}
        if (
            len(shape) != 4
            or shape[3] != 3
            or any((frames[name].shape, frames[name].dtype) != wanted for name, wanted in form.items())
            or frames["transform"].shape != (n, 2, 3)
            or not max(height, width) <= LARGEST_FACE
            or not 1 <= self.facts.clip_length <= LONGEST_CLIP
        ):
            raise ValueError("its frames or clips do not have the form of the format")

    def _check_tables(self) -> None:
        """Nothing is read at places that a damaged table names."""
        rows, clips = self.recordings, self.clips
        first_N = np.array([row.first_frame for row in rows], np.int64)
        end_N = first_N + np.array([row.n_frames for row in rows], np.int64)
        owner_C, end_C = clips["recording"], clips["first_frame"] + clips["n_valid"]
        sound = (
            np.array_equal(np.append(first_N, end_N[-1:]), np.append(0, end_N))
            and {len(self.file["frames"][name]) for name in FRAME_DATASETS} == {end_N[-1]}
            and all(-1 <= row.label < len(self.facts.classes) for row in rows)
            and np.all((clips["n_valid"] >= 1) & (clips["n_valid"] <= self.facts.clip_length))
            and np.all((clips["first_frame"] >= first_N[owner_C]) & (end_C <= end_N[owner_C]))
            and np.all(clips["label"] == np.array([row.label for row in rows])[owner_C])
        )
        if not sound:
            raise ValueError("its tables do not fit its frames")


@contextmanager
def open_shard(path: Path) -> Iterator[ShardReader]:
    """Open a finished shard for reading.

    Raises:
        UsageError: there is no such file, or it is something else.
        FerPrepError: it cannot be read, is unfinished, damaged, or of another version of the format.
    """
    _check_file(path)
    with damage_is_said(path):
        file = h5py.File(path)
    with file:
        found, version = file.attrs.get("format"), file.attrs.get("version")
        if found != FORMAT:
            raise UsageError(f"{path} is an HDF5 file, but no shard of fer-prep (it lacks format = {FORMAT!r})")
        if version != VERSION:
            raise FerPrepError(
                f"{path} is of shard format {version}, and this fer-prep reads format {VERSION}; use the fer-prep that "
                "wrote it, or build again"
            )
        if "key" not in file.attrs:
            raise FerPrepError(f"{path} is unfinished (it has no key); the same fer-prep build again finishes it")
        with damage_is_said(path):
            reader = ShardReader(path, file)
        yield reader


@contextmanager
def damage_is_said(path: Path) -> Iterator[None]:
    """What HDF5 cannot read becomes a sentence."""
    try:
        yield
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        cause = " ".join(str(error).split())
        if STILL_OPEN in cause:
            raise FerPrepError(
                f"{path} is unfinished (its writer was killed, or is at work); the same fer-prep build again "
                "finishes it"
            ) from error
        raise FerPrepError(f"{path} is damaged ({cause}); the same fer-prep build again builds it anew") from error


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            names = sorted(file.name for file in path.glob("*.h5"))
            if not names:
                raise UsageError(f"{path} is a directory without shards; name one .h5 file of a shard directory")
            more = f", and {len(names) - FILES_NAMED} more" if len(names) > FILES_NAMED else ""
            raise UsageError(
                f"{path} is a directory; name one file in it, as {path / names[0]} "
                f"(there are {', '.join(names[:FILES_NAMED])}{more})"
            )
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise UsageError(f"{path} is not there; name a .h5 file of a shard directory") from error
    except OSError as error:
        raise FerPrepError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    if not h5py.is_hdf5(path):
        raise UsageError(f"{path} is no HDF5 file; name a .h5 file of a shard directory")


def _check_places(file: h5py.File) -> None:
    """All lies in this very file, and its tables claim no more than the file holds."""
    for name in (*(f"frames/{name}" for name in FRAME_DATASETS), "recordings", "clips"):
        dataset = own_dataset(file, name)
        if isinstance(dataset, str):
            raise ValueError(dataset)
        if "/" not in name and len(dataset) * dataset.dtype.itemsize > file.id.get_filesize():
            raise ValueError(f"/{name} claims more bytes than the file has")


def _facts(file: h5py.File) -> ShardFacts:
    attributes = file.attrs
    return ShardFacts(
        corpus=str(attributes["corpus"]),
        subject=str(attributes["subject"]),
        group=int(attributes["group"]),
        classes=tuple(str(name) for name in json.loads(attributes["classes"])),
        aligner=str(attributes["aligner"]),
        clip_length=int(attributes["clip_length"]),
        clip_stride=int(attributes["clip_stride"]),
        key=str(attributes["key"]),
        versions=dict(json.loads(attributes["versions"])),
    )


def _recordings(file: h5py.File, clips: NDArray[np.void]) -> tuple[RecordingRow, ...]:
    table = file["recordings"][:]
    n_clips = np.bincount(clips["recording"], minlength=len(table))
    return tuple(
        RecordingRow(
            row["id"].decode("utf-8", "backslashreplace"), int(row["label"]), int(row["first_frame"]),
            int(row["n_frames"]), float(row["fps"]), int(row["n_detected"]), int(n),
        )
        for row, n in zip(table, n_clips, strict=True)
    )  # fmt: skip
