"""`index.json` is read without trust: types, ranges, its own hash, and that it does not contradict itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fer_prep.output import INDEX, index_sha256
from fer_prep.recipe import Recipe
from fer_prep.stored import VERSION
from fer_prep.verify.words import brief, names, repeated, strict_json

LARGEST_INDEX = 64 << 20  # bytes; a shard takes about 350
COMPLAINTS = 20
NOT_FINISHED = "is not there: the directory is not finished, or no directory of shards; run fer-prep build to its end"


def _plain_name(name: str) -> str:
    """Reaches nothing outside of the directory, on any system."""
    plain = PurePosixPath(name).name == name == PureWindowsPath(name).name
    if not plain or not name.isprintable() or name in (".", "..", INDEX):
        raise ValueError("a plain file name was expected")
    return name


class _Part(BaseModel):
    # keys that this version does not know are left to those that do
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


Count = Annotated[int, Field(ge=0, le=2**62)]
Positive = Annotated[int, Field(ge=1, le=2**62)]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1)]
FileName = Annotated[str, AfterValidator(_plain_name)]


class Entry(_Part):
    """What the index says of one shard."""

    file: FileName
    bytes: Positive
    sha256: Hash
    subject: Text
    group: Positive
    n_recordings: Positive
    n_clips: Count
    n_frames: Positive
    key: Hash


class ClipWindow(_Part):
    """Frames."""

    length: Positive
    stride: Positive


class ContainerImage(_Part):
    """That the index was written in."""

    name: Text
    digest: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")] | None


class Index(_Part):
    """What the index says of the directory (docs/shard-format.md)."""

    format: Literal["fer-shards"]
    version: Literal[1]
    corpus: Text
    classes: list[Text]
    clip: ClipWindow
    n_groups: Positive
    aligner: Literal["mesh", "openface"]
    recipe: Recipe
    left_out: dict[str, Count]
    versions: dict[str, Any]
    image: ContainerImage | None = None
    ledger_sha256: Hash
    shards: list[Entry]
    index_sha256: Hash


@dataclass(frozen=True)
class CheckedIndex:
    """The index, if it can be used, and what is wrong with it.

    Attributes:
        newer: a newer fer-prep wrote it.
    """

    index: Index | None
    sentences: tuple[str, ...]
    newer: bool = False


def check_index(path: Path) -> CheckedIndex:
    """Read an index and check it by itself."""
    try:
        content = _read(path)
    except FileNotFoundError:
        return CheckedIndex(None, (NOT_FINISHED,))
    except OSError as error:
        return CheckedIndex(None, (f"cannot be read ({error.strerror}); check its permissions",))
    except ValueError as error:
        return CheckedIndex(None, (str(error),))
    version = content.get("version")
    if type(version) is int and version > VERSION:
        sentence = f"was written by a newer fer-prep: format version {brief(version)}, this one knows {VERSION}"
        return CheckedIndex(None, (sentence,), newer=True)
    edited = _edited(content)
    try:
        index = Index.model_validate(content)
    except ValidationError as error:
        return CheckedIndex(None, (*edited, *_complaints(error)))
    return CheckedIndex(index, (*edited, *_contradictions(index)))


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else; the message is a sentence.
    """
    if path.exists() and not path.is_file():
        raise ValueError("is no file")
    with path.open("rb") as file:
        raw = file.read(LARGEST_INDEX + 1)
    if len(raw) > LARGEST_INDEX:
        raise ValueError(f"has more than {LARGEST_INDEX:,} bytes, which no index of shards has")
    try:
        content = strict_json(raw.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"is damaged, or no index of fer-prep ({error})") from error
    if not isinstance(content, dict):
        raise ValueError("is no index of fer-prep: a JSON object was expected")
    return content


def _edited(content: dict[str, Any]) -> tuple[str, ...]:
    try:
        fits = content.get("index_sha256") == index_sha256(content)
    except (ValueError, RecursionError):  # lone surrogates
        fits = False
    return () if fits else ("was edited or damaged: its content does not fit its index_sha256",)


def _complaints(error: ValidationError) -> Iterator[str]:
    found = error.errors(include_url=False)
    for item in found[:COMPLAINTS]:
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "missing":
            yield f"{key} is missing"
        else:
            yield f"{key} = {brief(item['input'])}: {item['msg'].removeprefix('Value error, ')}"
    if len(found) > COMPLAINTS:
        yield f"and {len(found) - COMPLAINTS} more such values"


def _contradictions(index: Index) -> Iterator[str]:
    recipe, entries = index.recipe, index.shards
    for key, found, expected in (
        ("corpus", index.corpus, recipe.corpus),
        ("aligner", index.aligner, recipe.align.backend),
        ("clip.length", index.clip.length, recipe.clips.length),
        ("clip.stride", index.clip.stride, recipe.clips.stride),
    ):
        if found != expected:
            yield f"{key} is {found!r}, but its recipe says {expected!r}"
    if twice := repeated(index.classes):
        yield f"classes are named twice: {names(twice)}"
    files = [entry.file for entry in entries]
    if twice := repeated(files):
        yield f"shards are listed twice: {names(twice)}"
    if files != sorted(files):
        yield "the shards are not in the order of their names"
    groups: dict[str, set[int]] = {}
    for entry in entries:
        groups.setdefault(entry.subject, set()).add(entry.group)
        if entry.group > index.n_groups:
            yield f"{entry.file} is in group {entry.group}, but there are {index.n_groups}"
    for subject, found_in in groups.items():
        if len(found_in) > 1:
            yield (
                f"subject {brief(subject)} is in the groups {', '.join(map(str, sorted(found_in)))}: training and "
                "testing would share a person"
            )
