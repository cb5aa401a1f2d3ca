"""`fer-prep cache`: what the cache of aligned tracks holds, and its pruning.

The store itself is joblib's: `track_cache/fer_prep/stages/align_file/<hash>/{output.pkl,metadata.json}`.
"""

import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from joblib import Memory
from joblib.func_inspect import get_func_code
from joblib.memory import extract_first_line
from rich.console import Console
from rich.filesize import decimal

from fer_prep.errors import FerPrepError, UsageError
from fer_prep.stages import align_file, keep_openface_track, track_cache
from fer_prep.tables import count, narrow, printable

OURS = "fer_prep"  # the package whose functions are cached: joblib names the first directory after it
CACHED = (align_file, keep_openface_track)  # the functions whose results are kept
UNFINISHED_AGE = timedelta(hours=1)  # a writer is done in seconds; what has not changed for so long has lost its writer

_TEMPORARY = r"\.[0-9a-f]{32}-[0-9]+-[0-9]+"  # joblib writes under such a name first
_ITEM = re.compile(r"[0-9a-f]{32}")
_FILE_OF_ITEM = re.compile(rf"(output\.pkl|metadata\.json)({_TEMPORARY})?|\.nfs[0-9a-f]+")
_FILE_OF_FUNCTION = re.compile(rf"func_code\.py({_TEMPORARY})?")


class Item(NamedTuple):
    """A track as joblib lists it.

    Attributes:
        last_access: as the disk notes it, local time.
    """

    path: Path
    size: int
    last_access: datetime


@dataclass(frozen=True)
class Unfinished:
    """Something that a writer began: a temporary file, or the directory of a track that has none."""

    path: Path
    size: int
    changed: float


@dataclass(frozen=True)
class Stock:
    """What a cache holds.

    Attributes:
        outdated: those of `tracks` that the aligning functions of this version never read.
    """

    tracks: tuple[Item, ...] = ()
    outdated: tuple[Item, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()


def look_after(
    console: Console,
    *,
    cache: Path | None,
    prune: bool,
    max_size: int | None,
    older_than: timedelta | None,
    everything: bool,
) -> None:
    """Show the cache of aligned tracks; with `prune`, remove what is beyond the limits first.

    Args:
        max_size: bytes to keep; the longest unused tracks go first.
        older_than: tracks that were not used for so long go.
        everything: all tracks go.

    Raises:
        UsageError: the limits do not fit together, or the directory is not such a cache; nothing was removed.
        FerPrepError: the cache cannot be read, or something cannot be removed.
    """
    limits = [max_size is not None, older_than is not None, everything]
    if prune and not any(limits):
        raise UsageError("--prune needs to know what may go: --max-size 5GB, --older-than 30d, or --all")
    if any(limits) and not prune:
        raise UsageError("--max-size, --older-than and --all say what --prune removes; give --prune too")
    if everything and sum(limits) > 1:
        raise UsageError("--all leaves nothing to --max-size and --older-than; give either")
    console, place = narrow(console), track_cache(cache)
    before = take_stock(place)
    if prune and before is not None:
        prune_tracks(place, max_size=max_size, older_than=older_than, everything=everything)
        after = take_stock(place) or Stock()
        _say(console, _removal(before, after))
        before = after
    for sentence in _description(place, before):
        _say(console, sentence)


def take_stock(place: Path) -> Stock | None:
    """What a cache holds; None: there is none. Writes nothing but, where it is missing, joblib's .gitignore.

    Raises:
        UsageError: the directory is not such a cache.
        FerPrepError: it cannot be read.
    """
    try:
        names = {path.name for path in place.iterdir()}
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise UsageError(f"{place} is a file; --cache must be a directory") from error
    except OSError as error:
        raise _unreadable(error) from error
    finished, unfinished = _survey(place)
    if OURS not in names:
        return Stock()
    store = _memory(place).store_backend
    tracks = tuple(item for item in _items(store) if item.path in finished)
    current = {place / function_path(function) for function in CACHED if _code_is_current(store, function)}
    outdated = tuple(track for track in tracks if track.path.parent not in current)
    return Stock(tracks, outdated, tuple(unfinished))


def prune_tracks(
    place: Path, *, max_size: int | None = None, older_than: timedelta | None = None, everything: bool = False
) -> None:
    """Remove tracks beyond the limits, the longest unused first, and what killed writers left.

    Builds may go on meanwhile: what they miss they make again. Directories of functions stay, for `Memory.clear`,
    which takes them too, fails while a build writes.

    Raises:
        UsageError: the directory is not such a cache; nothing was removed.
        FerPrepError: something cannot be read or removed.
    """
    stock = take_stock(place)
    if stock is None or not (stock.tracks or stock.unfinished):
        return
    now, memory = datetime.now(), _memory(place)
    abandoned = [u for u in stock.unfinished if u.changed < time.time() - UNFINISHED_AGE.total_seconds()]
    for leftover in abandoned:
        _remove(leftover.path, memory.store_backend)
    memory.reduce_size(bytes_limit=max_size, items_limit=0 if everything else None, age_limit=older_than)

    # joblib is silent of what it could not remove; what was written or read meanwhile does not count
    stayed = sorted(set(stock.tracks) & set(_items(memory.store_backend)), key=lambda track: track.last_access)
    excess = sum(track.size for track in stayed) - max_size if max_size is not None else 0
    stuck = [leftover.path for leftover in abandoned if os.path.lexists(leftover.path)]
    for track in stayed:
        if everything or excess > 0 or (older_than is not None and track.last_access < now - older_than):
            stuck.append(track.path)
        excess -= track.size
    if stuck:
        others = f" and {len(stuck) - 1:,} more" if len(stuck) > 1 else ""
        raise FerPrepError(f"{stuck[0]}{others} could not be removed; see who may write there")


def _memory(place: Path) -> Any:
    with warnings.catch_warnings(action="ignore"):  # a .gitignore that it cannot write
        return Memory(place, verbose=0)


def _items(store: Any) -> list[Item]:
    return [Item(Path(item.path), item.size, item.last_access) for item in store.get_items()]


def _remove(path: Path, store: Any) -> None:
    if path.is_dir():
        store.clear_location(str(path))
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FerPrepError(f"{path} cannot be removed ({error.strerror})") from error


def function_path(function: Callable[..., Any]) -> Path:
    """Where in a store joblib keeps the results of a function."""
    return Path(*function.__module__.split("."), function.__name__)


def _code_is_current(store: Any, function: Callable[..., Any]) -> bool:
    """Whether its tracks are of this version of the function; joblib drops them all at the next build if not."""
    try:
        stored, _ = extract_first_line(store.get_cached_func_code([str(function_path(function))]))
    except OSError:
        return True  # not written yet
    except ValueError:
        return False  # no code at all
    return bool(stored == get_func_code(function)[0])


def _survey(place: Path) -> tuple[set[Path], list[Unfinished]]:
    """The directories of whole tracks, and what is unfinished.

    Raises:
        UsageError: there is something that no cache of ours holds. Nobody's files are to be lost by a wrong --cache.
        FerPrepError: a directory cannot be read.
    """
    finished: set[Path] = set()
    unfinished: list[Unfinished] = []
    for name, folders, files in os.walk(place, onerror=_unless_gone):
        folder = Path(name)
        foreign = _foreign(folder, folders, files, is_top=folder == place)
        if foreign is not None:
            raise UsageError(f"{place} is not a cache of fer-prep, for it holds {foreign}; nothing was removed")
        if _ITEM.fullmatch(folder.name) and "output.pkl" not in files:
            unfinished += _begun(folder, [folder / file for file in files])
            continue
        if _ITEM.fullmatch(folder.name):
            finished.add(folder)
        for file in files:
            if re.search(_TEMPORARY + "$", file):
                unfinished += _begun(folder / file, [folder / file])
    return finished, unfinished


def _foreign(folder: Path, folders: Sequence[str], files: Sequence[str], *, is_top: bool) -> str | None:
    """Something that does not belong into a directory of joblib's store, as links do not."""
    if is_top:
        strange = [name for name in folders if name != OURS] + [name for name in files if name != ".gitignore"]
    elif _ITEM.fullmatch(folder.name):
        strange = [*folders, *(name for name in files if not _FILE_OF_ITEM.fullmatch(name))]
    else:
        strange = [name for name in folders if not (name.isidentifier() or _ITEM.fullmatch(name))]
        strange += [name for name in files if not _FILE_OF_FUNCTION.fullmatch(name)]
    strange += [name for name in folders if (folder / name).is_symlink()]
    return str(folder / min(strange)) if strange else None


def _begun(path: Path, files: list[Path]) -> list[Unfinished]:
    """Size and last change; nothing if it is gone or finished by now."""
    try:
        stats = [file.stat() for file in files]
        changed = max(stat.st_mtime for stat in (*stats, path.stat()))
        return [Unfinished(path, sum(stat.st_size for stat in stats), changed)]
    except FileNotFoundError:
        return []


def _unreadable(error: OSError) -> FerPrepError:
    return FerPrepError(f"{error.filename}: cache cannot be read ({error.strerror})")


def _unless_gone(error: OSError) -> None:
    """Other processes may remove tracks while their directories are walked through."""
    if not isinstance(error, FileNotFoundError):
        raise _unreadable(error) from error


def _say(console: Console, sentence: str) -> None:
    console.print(printable(sentence), highlight=False)


def _removal(before: Stock, after: Stock) -> str:
    left = {track.path for track in after.tracks} | {leftover.path for leftover in after.unfinished}
    tracks = [track for track in before.tracks if track.path not in left]
    leftovers = [leftover for leftover in before.unfinished if leftover.path not in left]
    if not (tracks or leftovers):
        return "There was nothing to remove."
    too = f" and {count(len(leftovers), 'unfinished one')}" if leftovers else ""
    return f"Removed {count(len(tracks), 'track')}{too}, {_size([*tracks, *leftovers])}."


def _description(place: Path, stock: Stock | None) -> Iterator[str]:
    there = next(path for path in (place, *place.parents) if path.exists())
    yield f"Cache of aligned tracks: {place} ({decimal(shutil.disk_usage(there).free)} free on its disk)"
    if stock is None:
        yield "It is not there yet; the first build makes it."
        return
    if not stock.tracks:
        yield "It holds no track."
    else:
        used = sorted(f"{track.last_access:%Y-%m-%d %H:%M}" for track in stock.tracks)
        span = f"from {used[0]} to {used[-1]}" if used[0] != used[-1] else used[0]
        yield f"{count(len(used), 'track')}, {_size(stock.tracks)}, last used {span}"
        noatime = getattr(os, "ST_NOATIME", 0)  # not everywhere
        if noatime and os.statvfs(place).f_flag & noatime:
            yield "This disk does not note reading (noatime): a track counts as used when it was written."
    if stock.outdated:
        n = count(len(stock.outdated), "track")
        yield f"Among them, of other versions of fer-prep and not read by this one: {n}, {_size(stock.outdated)}"
    if stock.unfinished:
        yield (
            f"{count(len(stock.unfinished), 'unfinished track')}, {_size(stock.unfinished)}: of a build at work, "
            "or of a killed one; --prune removes them after an hour."
        )


def _size(parts: Sequence[Item | Unfinished]) -> str:
    return decimal(sum(part.size for part in parts))
