"""Small files, written whole or not at all; and files that are not what their name says."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from fer_prep.errors import FerPrepError, UsageError

TEMPORARY_SUFFIX = ".tmp"
TOKEN_PREFIX = ".token-"  # of files by which machines find out whether they see the same directory
STRAYS = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r"})  # what operating systems leave behind
POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_BYTES = 1000  # a pointer is smaller, by its specification


def temporary_name(path: Path) -> Path:
    """A hidden name in the same directory, so that renaming it to `path` is one step.

    No two writers share one, on whatever machines: one that was believed dead may come back.
    """
    return path.with_name(f".{path.name}.{uuid4().hex}{TEMPORARY_SUFFIX}")


def check_place(path: Path, *, option: str, replaces: bytes | None = None) -> None:
    """Refuse a place where no file can be written, before anything is computed for it.

    Args:
        replaces: how files begin, in small letters, that may be replaced; None: any may.

    Raises:
        UsageError: it is a directory, or there is no directory for it that can be written to, or a file is in the way.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a directory; {option} names a file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path} cannot be written (there is no directory {path.parent}); make it, or change {option}")
    if not os.access(path if path.exists() and not path.is_file() else path.absolute().parent, os.W_OK):
        raise UsageError(f"{path} cannot be written; name another file with {option}")
    if replaces is not None:
        check_content(path, option=option, begins=replaces)


def check_content(path: Path, *, option: str, begins: bytes) -> None:
    """Refuse to write to a file that is of another kind, such as a video.

    Args:
        begins: how a file of the right kind does, in small letters.

    Raises:
        UsageError: it does not.
    """
    with suppress(OSError):  # that it cannot be written is for others to say
        if not path.is_file():
            return
        with path.open("rb") as file:
            start = file.read(len(begins)).lower()
        if start not in (b"", begins):
            raise UsageError(f"{path} is there already, and holds something else; name another file with {option}")


def replace_text(path: Path, text: str) -> None:
    """Replace a text file in one step: a reader sees the old one or the new one.

    Raises:
        FerPrepError: the file system refuses; the old file is still there.
    """
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: a reader sees the old one or the new one.

    Raises:
        FerPrepError: the file system refuses; the old file is still there.
    """
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            # an index that a power cut left empty would disown whole shards
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise FerPrepError(
            f"{path} cannot be written ({error.strerror}); what was there before is kept. Make room, or name another"
        ) from error


def is_stray(name: str) -> bool:
    """Whether an operating system left this file or folder behind; hidden ones always count as that."""
    return name.startswith(".") or name.lower() in STRAYS


def is_pointer(path: Path) -> bool:
    """Whether Git LFS left a short text in place of a large file that was not downloaded.

    Raises:
        OSError: the file cannot be read.
    """
    if path.stat().st_size >= POINTER_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def pointer_sentence(path: Path, what: str) -> str:
    """What to do about a pointer where a picture or a video was expected."""
    return (
        f"{path} is a Git LFS pointer (a text of {path.stat().st_size} bytes) and not the {what}; "
        "run `git lfs pull` in the corpus"
    )
