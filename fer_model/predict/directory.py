"""The directory of a prediction: what may be written there, and what of it an earlier prediction has left.

predict.json names every file that a prediction writes, before it is written: nothing else is ever deleted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fer_model.errors import RunDirectoryError
from fer_model.rundir import Json, read_json, write_json

PROGRAM = "fer-predict"


@dataclass(frozen=True, kw_only=True)
class PredictionDirectory:
    """`<out>`; predict.json says `finished` when all is written."""

    path: Path

    @property
    def facts(self) -> Path:
        """Which run, which shards, which files."""
        return self.path / "predict.json"

    @property
    def shards(self) -> Path:
        """Those that fer-prep builds from videos."""
        return self.path / "shards"


def claim(directory: PredictionDirectory, *, overwrite: bool) -> None:
    """Make the directory ready: the files of an earlier prediction go, if that was interrupted or `overwrite` is set.

    Shards that fer-prep has built there stay.

    Raises:
        RunDirectoryError: it holds a finished prediction and `overwrite` is not set, or files of something else.
    """
    path = directory.path
    try:
        if path.exists() and not path.is_dir():
            raise RunDirectoryError(f"{path}: not a directory; choose another --out.")
        earlier = _earlier(directory)
        if earlier is not None and earlier["finished"] and not overwrite:
            raise RunDirectoryError(f"{path}: holds predictions; give --overwrite to replace them, or another --out.")
        path.mkdir(parents=True, exist_ok=True)
        for name in earlier["files"] if earlier else ():
            _own(path, name).unlink(missing_ok=True)
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot be written to ({error.strerror}); choose another --out.") from error
    keep_facts(directory, finished=False, files=[], facts={})


def keep_facts(directory: PredictionDirectory, *, finished: bool, files: Sequence[str], facts: Json) -> None:
    """Write predict.json; `files` are relative to the directory, with `/`."""
    write_json(directory.facts, {"program": PROGRAM, "finished": finished, **facts, "files": list(files)})


def file_names(ids: Sequence[str], *, folder: str, suffix: str) -> list[str]:
    """A file for each recording: its number, from 1, and what of its name any file system takes."""
    width = len(str(len(ids)))
    safe = [re.sub(r"[^A-Za-z0-9._-]+", "_", id_)[-80:] for id_ in ids]
    return [f"{folder}/{number:0{width}}-{name}{suffix}" for number, name in enumerate(safe, 1)]


def _earlier(directory: PredictionDirectory) -> Json | None:
    """What predict.json says; None if there is nothing."""
    path = directory.path
    if not directory.facts.exists():
        if path.exists() and any(path.iterdir()):
            raise RunDirectoryError(
                f"{path}: not empty and not of {PROGRAM} (no predict.json), so nothing is written there; "
                "move its files, or choose another --out."
            )
        return None
    facts = read_json(directory.facts)
    files = facts.get("files")
    if facts.get("program") != PROGRAM or not isinstance(files, list) or not isinstance(facts.get("finished"), bool):
        raise RunDirectoryError(f"{directory.facts}: not as {PROGRAM} writes it; choose another --out.")
    return facts


def _own(path: Path, name: object) -> Path:
    """A file that predict.json names, if it lies below."""
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or parts[0] == "/" or ".." in parts:
        raise RunDirectoryError(f"{path / 'predict.json'}: names the file {name!r}; choose another --out.")
    return path.joinpath(*parts)
