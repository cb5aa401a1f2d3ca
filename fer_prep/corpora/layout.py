"""Finding one's way in a corpus on disk: folders by their looks, strays, and sentences for places that are wrong."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_prep.corpora.recording import Remark
from fer_prep.errors import UsageError
from fer_prep.files import is_stray
from fer_prep.order import natural_key

VIDEO_SUFFIXES = frozenset({".avi", ".flv", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
AUDIO_SUFFIXES = frozenset({".aac", ".flac", ".m4a", ".mp3", ".ogg", ".wav"})
ARCHIVE_SUFFIXES = frozenset({".zip", ".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz"})
SEARCHED_LEVELS = 3  # below the root
MOST_FOLDERS = 3000  # looked at before giving up: --root may be somebody's whole disk


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, strays too, in natural order.

    Raises:
        UsageError: the folder cannot be read.
    """
    try:
        return sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
    except OSError as error:
        raise UsageError(f"{folder} cannot be read ({error.strerror}); check its permissions") from error


def is_video(path: Path) -> bool:
    """By its name; nothing is opened."""
    return not is_stray(path.name) and path.suffix.lower() in VIDEO_SUFFIXES


def relative(path: Path, root: Path) -> str:
    """The path below the root, with `/`."""
    return path.relative_to(root).as_posix()


def stray(path: Path, root: Path) -> Remark:
    """The remark on a file or a folder that has no place in the corpus."""
    return Remark(f"stray {'folder' if is_folder(path) else 'file'} ignored", relative(path, root))


def is_folder(path: Path) -> bool:
    """Whether this is a directory that can at least be asked about."""
    try:
        return path.is_dir()
    except OSError:
        return False


@dataclass
class Search:
    """What was found below a root, and why that may not be all."""

    found: list[Path]
    unreadable: list[Path]
    gave_up: bool

    @property
    def limits(self) -> str:
        """For the end of a sentence that nothing was found."""
        notes = [f"only the first {MOST_FOLDERS:,} folders were looked at"] * self.gave_up
        notes += [f"{folder} could not be read" for folder in self.unreadable[:1]]
        return f" ({'; '.join(notes)})" if notes else ""


def find_folders(root: Path, looks_right: Callable[[Path], bool]) -> Search:
    """Folders that look right: the root itself, or folders below it; nothing is looked for inside of a found one.

    Links to a folder that was found already are not another one. Folders that cannot be read are passed over.
    """
    search = Search([], [], gave_up=False)
    waiting = deque([(root, 0)])
    seen: set[str] = set()
    for _ in range(MOST_FOLDERS):
        if not waiting:
            return search
        folder, level = waiting.popleft()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            if looks_right(folder):
                search.found.append(folder)
            elif level < SEARCHED_LEVELS:
                below = [path for path in entries(folder) if is_folder(path) and not is_stray(path.name)]
                waiting += [(path, level + 1) for path in below]
        except UsageError:
            search.unreadable.append(folder)
    search.gave_up = True
    return search


@dataclass(frozen=True)
class File:
    """A file by its name alone; thousands of them are made faster than paths.

    Attributes:
        path: relative to the corpus root, with `/`.
        folder: the part of it before the name.
        name: the last part of it.
        stem: the name without suffix.
        suffix: in small letters.
    """

    path: str
    folder: str
    name: str
    stem: str
    suffix: str


def files_below(root: Path) -> list[File]:
    """All files below the root, relative to it, in natural order; of a stray folder only the folder itself.

    Asks nothing about single files, so that thousands of them on a network drive take no time.

    Raises:
        UsageError: a folder cannot be read.
    """
    found: list[str] = []
    waiting = deque([("", 0)])
    seen: set[str] = set()
    for _ in range(MOST_FOLDERS):
        if not waiting:
            break
        folder, level = waiting.popleft()
        real = os.path.realpath(root / folder)
        if real in seen:
            continue
        seen.add(real)
        below: list[str] = []
        try:
            with os.scandir(root / folder) as there:
                for entry in there:
                    is_below = entry.is_dir() and not is_stray(entry.name)
                    (below if is_below else found).append(f"{folder}{entry.name}")
        except OSError as error:
            raise UsageError(f"{root / folder} cannot be read ({error.strerror}); check its permissions") from error
        if level < SEARCHED_LEVELS:
            waiting += [(f"{name}/", level + 1) for name in sorted(below, key=natural_key)]
    return [_file(path) for path in sorted(found, key=natural_key)]


def _file(path: str) -> File:
    folder, _, name = path.rpartition("/")
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - many times faster than Path
    return File(path, folder, name, stem, suffix.lower())


def strays_among(files: Sequence[File], root: Path) -> list[Remark]:
    """Remarks on what operating systems left anywhere, and on what lies among videos and is neither video nor sound.

    Tables and licences in folders of their own are in their place.
    """
    known = VIDEO_SUFFIXES | AUDIO_SUFFIXES
    among_videos = {file.folder for file in files if file.suffix in VIDEO_SUFFIXES}
    return [
        stray(root / file.path, root)
        for file in files
        if is_stray(file.name) or (file.folder in among_videos and file.suffix not in known)
    ]


def some(names: Sequence[str]) -> str:
    """The first three of many names."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def the_folder(root: Path, looks_right: Callable[[Path], bool], *, title: str, example: str) -> Path:
    """The one folder below the root (or the root) that looks right.

    Raises:
        WrongPlaceError: there is none.
        UsageError: there are several.
    """
    search = find_folders(root, looks_right)
    if not search.found:
        raise not_here(root, title=title, example=example, limits=search.limits)
    if len(search.found) > 1:
        raise UsageError(
            f"{root} holds {title} {len(search.found)} times, in {search.found[0]} and in {search.found[1]}; "
            "name one of them with --root"
        )
    return search.found[0]


def check_root(root: Path, *, title: str, example: str) -> None:
    """Raise what is wrong with the root itself.

    Raises:
        UsageError: it is not there, no directory, or empty.
    """
    expected = f"{title} was expected there, with files such as '{example}'"
    if not root.exists():
        raise UsageError(f"{root} is not there; {expected}: name the directory with --root")
    if not root.is_dir():
        if root.suffix.lower() in ARCHIVE_SUFFIXES:
            raise UsageError(f"{root} is an archive; unpack it, and name the directory with --root")
        raise UsageError(f"{root} is not a directory; {expected}: name the directory with --root")
    if not any(not is_stray(path.name) for path in entries(root)):
        raise UsageError(f"{root} is empty; {expected}")


class WrongPlaceError(UsageError):
    """A directory is not the corpus that it was said to be; it may be another one."""


def not_here(root: Path, *, title: str, example: str, limits: str = "") -> WrongPlaceError:
    """The sentence for a directory that is not the corpus."""
    there = [path for path in entries(root) if not is_stray(path.name)]
    archives = [path.name for path in there if path.suffix.lower() in ARCHIVE_SUFFIXES]
    if archives:
        return WrongPlaceError(f"{root} holds {archives[0]}, which is not unpacked; unpack it there and run this again")
    shown = ", ".join(f"'{path.name}'" for path in there[:3]) + (" and more" if len(there) > 3 else "")
    return WrongPlaceError(
        f"{root} is not {title}: it holds {shown}, and no files such as '{example}'{limits}; "
        "name the right one with --root"
    )
