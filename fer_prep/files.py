"""Small files, written whole or not at all."""

import os
from pathlib import Path

from fer_prep.errors import FerPrepError

TEMPORARY_SUFFIX = ".tmp"


def temporary_name(path: Path) -> Path:
    """A hidden name in the same directory, so that renaming it to `path` is one step."""
    return path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")


def replace_text(path: Path, text: str) -> None:
    """Replace a text file in one step: a reader sees the old one or the new one.

    Raises:
        FerPrepError: the file system refuses; the old file is still there.
    """
    temporary = temporary_name(path)
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            # an index that a power cut left empty would disown whole shards
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise FerPrepError(f"{path} cannot be written ({error.strerror}); what was built before is kept") from error
