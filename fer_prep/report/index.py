"""`index.json` of a finished directory, checked so far that a report can rely on it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_prep.errors import FerPrepError, UsageError
from fer_prep.output import INDEX, INDEX_FORMAT, index_sha256
from fer_prep.stored import VERSION


@dataclass(frozen=True)
class Index:
    """What an index says, besides the counts, which are taken from the shards.

    Attributes:
        files: name -> key of every shard.
        n_bytes: of all shards together.
        image: the container image that it was written in, if any.
        left_out: reason -> files of the corpus that are no recordings here.
    """

    corpus: str
    classes: tuple[str, ...]
    clip_length: int
    clip_stride: int
    n_groups: int
    aligner: str
    recipe: dict[str, Any]
    versions: dict[str, Any]
    image: dict[str, Any]
    left_out: dict[str, int]
    files: dict[str, str]
    n_bytes: int

    @property
    def tools(self) -> dict[str, Any]:
        """What made the shards, and the image that the last build ran in."""
        return self.versions | ({"image": self.image} if self.image else {})


def read_index(shards: Path) -> Index:
    """Read the index of a shard directory.

    Raises:
        UsageError: there is no such directory, or the index is of something else.
        FerPrepError: the directory is not finished, or the index is unreadable, damaged or of another version.
    """
    path = shards / INDEX
    try:
        if not shards.is_dir():
            what = "is a file; name the directory that it is in" if shards.exists() else "is not there"
            raise UsageError(f"{shards} {what}; a directory of shards, as fer-prep build makes it, was expected")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FerPrepError(
            f"{shards} holds no {INDEX}: it is no directory of shards, or its build has not finished; the same "
            "fer-prep build again finishes it"
        ) from error
    except OSError as error:
        raise FerPrepError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no index of fer-prep (it is no text)") from error
    return _parse(path, text)


def _parse(path: Path, text: str) -> Index:
    try:
        values = json.loads(text)
        found, version = values["format"], values["version"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} is no index of fer-prep, or is damaged; build again") from error
    if found != INDEX_FORMAT:
        raise UsageError(f"{path} is no index of fer-prep (format {found!r} in place of {INDEX_FORMAT!r})")
    if version != VERSION:
        raise FerPrepError(
            f"{path} is of version {version}, and this fer-prep reads version {VERSION}; use the fer-prep that wrote "
            "it, or build again"
        )
    try:
        if values["index_sha256"] != index_sha256(values):
            raise ValueError("it does not fit its own hash")
        return Index(
            corpus=str(values["corpus"]),
            classes=tuple(str(name) for name in values["classes"]),
            clip_length=int(values["clip"]["length"]),
            clip_stride=int(values["clip"]["stride"]),
            n_groups=int(values["n_groups"]),
            aligner=str(values["aligner"]),
            recipe=dict(values["recipe"]),
            versions=dict(values["versions"]),
            image=dict(values.get("image", {})),
            left_out={str(reason): int(n) for reason, n in values["left_out"].items()},
            files={_plain(shard["file"]): str(shard["key"]) for shard in values["shards"]},
            n_bytes=sum(int(shard["bytes"]) for shard in values["shards"]),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise FerPrepError(
            f"{path} was edited or is damaged ({error}); the same fer-prep build again writes it anew"
        ) from error


def _plain(name: str) -> str:
    if Path(name).name != name or name in (".", ".."):
        raise ValueError(f"{name!r} is no plain file name")
    return name
