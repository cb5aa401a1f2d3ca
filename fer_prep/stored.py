"""What a shard on disk says of itself (docs/shard-format.md): index entry, tables, and whether it can be decoded."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the bitshuffle filter
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FerPrepError

FORMAT, VERSION = "fer-shard", 1
FRAME_DATASETS = ("rgb", "flow", "detected", "confidence", "landmarks", "transform")


@dataclass(frozen=True)
class ShardEntry:
    """A finished shard, as `index.json` lists it."""

    file: str
    bytes: int
    sha256: str
    subject: str
    group: int
    n_recordings: int
    n_clips: int
    n_frames: int
    key: str


def describe_shard(path: Path, *, name: str | None = None) -> ShardEntry:
    """The index entry of a finished shard.

    Raises:
        FerPrepError: the file is no finished shard of this format, or is damaged.
    """
    try:
        with h5py.File(path) as file:
            if file.attrs.get("format") != FORMAT or file.attrs.get("version") != VERSION or "key" not in file.attrs:
                raise FerPrepError(f"{path} is no finished shard of format {VERSION}")
            return ShardEntry(
                file=name or path.name,
                bytes=path.stat().st_size,
                sha256=file_sha256(path),
                subject=str(file.attrs["subject"]),
                group=int(file.attrs["group"]),
                n_recordings=len(file["recordings"]),
                n_clips=len(file["clips"]),
                n_frames=len(file["frames/rgb"]),
                key=str(file.attrs["key"]),
            )
    except (OSError, KeyError, RuntimeError) as error:
        raise FerPrepError(f"{path} is damaged ({error})") from error


@dataclass(frozen=True)
class StoredRow:
    """What a shard says of one of its recordings."""

    id: str
    path: str
    sha256: str
    label: int
    n_frames: int
    n_detected: int
    n_clips: int


@dataclass(frozen=True)
class ShardContent:
    """A finished shard without its frames; `classes` and `versions` are JSON as stored."""

    group: int
    classes: str
    versions: str
    recordings: tuple[StoredRow, ...]


def read_content(path: Path) -> ShardContent:
    """Attributes and tables of a shard.

    Raises:
        FerPrepError: the file is no shard, or is damaged.
    """
    try:
        with h5py.File(path) as file:
            n_clips = np.bincount(file["clips"]["recording"], minlength=len(file["recordings"]))
            rows = tuple(
                StoredRow(
                    row["id"].decode(), row["path"].decode(), row["sha256"].decode(), int(row["label"]),
                    int(row["n_frames"]), int(row["n_detected"]), int(n),
                )
                for row, n in zip(file["recordings"][:], n_clips, strict=True)
            )  # fmt: skip
            attributes = file.attrs
            return ShardContent(int(attributes["group"]), str(attributes["classes"]), str(attributes["versions"]), rows)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise FerPrepError(f"{path} is damaged ({error})") from error


def check_readable(path: Path) -> None:
    """Decode every byte of a shard.

    Raises:
        FerPrepError: a checksum does not fit, or something is missing.
    """
    try:
        with h5py.File(path) as file:
            for name in (*(f"frames/{name}" for name in FRAME_DATASETS), "recordings", "clips"):
                for _ in blocks(file[name]):
                    pass
    except (OSError, KeyError, RuntimeError) as error:
        raise FerPrepError(f"{path} is damaged ({error})") from error


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_recipe(path: Path) -> dict[str, Any]:
    """The recipe a shard was made by.

    Raises:
        FerPrepError: the file is no shard.
    """
    try:
        with h5py.File(path) as file:
            recipe: dict[str, Any] = json.loads(str(file.attrs["recipe"]))
            return recipe
    except (OSError, KeyError, ValueError) as error:
        raise FerPrepError(f"{path} is no finished shard ({error})") from error


def blocks(dataset: h5py.Dataset) -> Iterator[NDArray[Any]]:
    """The rows of a dataset, some chunks at a time."""
    step = 16 * dataset.chunks[0]
    for first in range(0, len(dataset), step):
        yield dataset[first : first + step]


def own_dataset(file: h5py.File, path: str) -> h5py.Dataset | str:
    """A dataset whose data lie in this very file, else a sentence."""
    item: Any = file
    for part in path.split("/"):
        # the link is looked at before it is followed
        link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
        if link is None:
            return f"has no dataset /{path}"
        if not isinstance(link, h5py.HardLink):
            return f"/{path} is a link to elsewhere"
        item = item[part]
    if not isinstance(item, h5py.Dataset):
        return f"/{path} is no dataset"
    if item.is_virtual or item.external:
        return f"/{path} lies in other files"
    return item
