"""index.json of a shard directory (docs/shard-format.md), read and checked."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from fer_model.errors import ShardError

LARGEST_INDEX_BYTES = 64 * 1024**2  # a shard takes about 350
LONGEST_CLIP = 4096  # frames: what a clip may make us take memory for


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """What the index says of one shard."""

    file: str
    n_bytes: int
    sha256: str
    subject: str
    group: int
    n_recordings: int
    n_clips: int
    n_frames: int
    key: str


@dataclass(frozen=True, kw_only=True)
class Index:
    """What the index says of the directory."""

    directory: Path
    corpus: str
    classes: tuple[str, ...]
    clip_length: int
    clip_stride: int
    n_groups: int
    aligner: str
    recipe: dict[str, Any]
    shards: tuple[IndexEntry, ...]


def read_index(directory: Path) -> Index:
    """The index of a finished shard directory.

    Raises:
        ShardError: it is missing, of another format or version, was edited, or contradicts itself.
    """
    path = directory / "index.json"
    data = _json_object(path)
    if data.get("format") != "fer-shards":
        raise ShardError(f"{path}: format is {data.get('format')!r}, expected 'fer-shards': not a shard directory.")
    if type(data.get("version")) is not int or data["version"] != 1:
        raise ShardError(f"{path}: format version {data.get('version')!r}, expected 1; use a matching fer-train.")
    if data.get("index_sha256") != index_sha256(data):
        raise ShardError(f"{path}: not as fer-prep wrote it (index_sha256 does not fit the rest); {_REBUILD}.")
    clip = _get(path, data, "clip", dict)
    classes = _get(path, data, "classes", list)
    if len(classes) < 2 or len(set(map(str, classes))) < len(classes) or not all(_is_name(c) for c in classes):
        raise ShardError(
            f"{path}: classes are {classes!r}, expected two or more different names: label recordings of two classes, "
            "or, to predict them, give fer-prep build the classes of the model (--classes a,b)."
        )
    if _positive(path, clip, "length") > LONGEST_CLIP:
        raise ShardError(f"{path}: clips of {clip['length']} frames, expected at most {LONGEST_CLIP}; {_REBUILD}.")
    index = Index(
        directory=directory,
        corpus=_name(path, data, "corpus"),
        classes=tuple(classes),
        clip_length=_positive(path, clip, "length"),
        clip_stride=_positive(path, clip, "stride"),
        n_groups=_positive(path, data, "n_groups"),
        aligner=_name(path, data, "aligner"),
        recipe=_get(path, data, "recipe", dict),
        shards=tuple(_entry(path, item) for item in _get(path, data, "shards", list)),
    )
    if not index.shards:
        raise ShardError(f"{path}: no shard is listed; ledger.csv beside it says why no recording could be built.")
    _check_groups(path, index)
    return index


def index_sha256(index: dict[str, Any]) -> str:
    """What the key `index_sha256` must say: the hash of all other keys (docs/shard-format.md)."""
    others = {name: value for name, value in index.items() if name != "index_sha256"}
    text = json.dumps(others, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def keys_sha256(index: Index) -> str:
    """What is the same for two directories with the same shards: the hash of all keys."""
    return hashlib.sha256(" ".join(entry.key for entry in index.shards).encode()).hexdigest()


def check_file(path: Path, entry: IndexEntry) -> int:
    """Check every byte of a shard against its sha256; returns its time of change before that, in ns.

    Raises:
        ShardError: it is missing, or not the file that the index lists.
    """
    try:
        if not path.is_file():
            found = "not a file" if path.exists() else "missing"
            raise ShardError(f"{path}: {found}, but index.json lists it; {_REBUILD}, or copy it again.")
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if before.st_size != entry.n_bytes:
                raise ShardError(
                    f"{path}: {before.st_size} bytes, expected {entry.n_bytes}; copy it again, or {_REBUILD}."
                )
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ShardError(f"{path}: not readable ({error.strerror}); check its permissions.") from error
    if digest != entry.sha256:
        raise ShardError(
            f"{path}: damaged (sha256 {digest[:12]}…, expected {entry.sha256[:12]}…); copy it again, or {_REBUILD}."
        )
    return before.st_mtime_ns


T = TypeVar("T")
_REBUILD = "build the shards again with fer-prep"


def _json_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ShardError(
            f"{path}: there is no such file, so this is no directory of shards, or its build has not finished; "
            "name one that fer-prep build has made, or run the same build again."
        )
    try:
        if path.stat().st_size > LARGEST_INDEX_BYTES:
            raise ShardError(f"{path}: more than {LARGEST_INDEX_BYTES} bytes, which no index has; {_REBUILD}.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ShardError(f"{path}: not readable as JSON (nested too deep); {_REBUILD}.") from error
    except (OSError, ValueError) as error:
        raise ShardError(f"{path}: not readable as JSON ({error}); {_REBUILD}.") from error
    if not isinstance(data, dict):
        raise ShardError(f"{path}: a JSON {type(data).__name__}, expected an object; {_REBUILD}.")
    return data


def _entry(path: Path, item: object) -> IndexEntry:
    if not isinstance(item, dict):
        raise ShardError(f"{path}: an entry of shards is {item!r}, expected an object; {_REBUILD}.")
    file = _name(path, item, "file")
    if file in {".", ".."} or PurePosixPath(file).name != file or PureWindowsPath(file).name != file:
        raise ShardError(f"{path}: shard file {file!r}, expected a plain file name in this directory; {_REBUILD}.")
    return IndexEntry(
        file=file,
        n_bytes=_positive(path, item, "bytes"),
        sha256=_name(path, item, "sha256"),
        subject=_name(path, item, "subject"),
        group=_positive(path, item, "group"),
        n_recordings=_positive(path, item, "n_recordings"),
        n_clips=_count(path, item, "n_clips"),
        n_frames=_positive(path, item, "n_frames"),
        key=_name(path, item, "key"),
    )


def _check_groups(path: Path, index: Index) -> None:
    group_of: dict[str, int] = {}
    files = set()
    for entry in index.shards:
        if entry.group > index.n_groups:
            raise ShardError(f"{path}: {entry.file} is in group {entry.group} of {index.n_groups}; {_REBUILD}.")
        if group_of.setdefault(entry.subject, entry.group) != entry.group:
            raise ShardError(
                f"{path}: subject {entry.subject!r} is in group {group_of[entry.subject]} and in group {entry.group}, "
                f"expected one: training and testing would share a person; {_REBUILD}."
            )
        if entry.file in files:
            raise ShardError(f"{path}: {entry.file} is listed twice, expected once; {_REBUILD}.")
        files.add(entry.file)


def _get(path: Path, data: dict[str, Any], key: str, kind: type[T]) -> T:
    value = data.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ShardError(f"{path}: {key} is {value!r}, expected a {kind.__name__}; {_REBUILD}.")
    return value


def _count(path: Path, data: dict[str, Any], key: str) -> int:
    value = _get(path, data, key, int)
    if value < 0:
        raise ShardError(f"{path}: {key} is {value}, expected 0 or more; {_REBUILD}.")
    return value


def _positive(path: Path, data: dict[str, Any], key: str) -> int:
    value = _get(path, data, key, int)
    if value < 1:
        raise ShardError(f"{path}: {key} is {value}, expected 1 or more; {_REBUILD}.")
    return value


def _name(path: Path, data: dict[str, Any], key: str) -> str:
    value = _get(path, data, key, str)
    if not _is_name(value):
        raise ShardError(f"{path}: {key} is {value!r}, expected printable text; {_REBUILD}.")
    return value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value.strip() != ""
