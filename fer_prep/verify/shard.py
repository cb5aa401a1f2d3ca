"""One shard, from its name to its last pixel. Runs in a process of its own: a damaged file can crash HDF5."""

import hashlib
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the bitshuffle filter

from fer_prep.stored import StoredRow
from fer_prep.verify.attributes import attribute, check_attributes, check_flow_attributes
from fer_prep.verify.chunks import wrong_sizes
from fer_prep.verify.facts import gather
from fer_prep.verify.frames import implausible_frames, unread_frames
from fer_prep.verify.index import Entry, Index
from fer_prep.verify.layout import check_layout
from fer_prep.verify.tables import Tables, read_tables
from fer_prep.verify.words import hdf5_words

HASHED_AT_A_TIME = 4 << 20  # bytes


@dataclass(frozen=True)
class ShardReport:
    """What was found in one shard.

    Attributes:
        as_listed: its bytes are those that the index lists.
        stored: its recordings; None if its tables were not read, or cannot be relied on.
    """

    sentences: tuple[str, ...]
    as_listed: bool
    stored: tuple[StoredRow, ...] | None


def check_shard(
    directory: Path, entry: Entry, index: Index, *, quick: bool, progress: Callable[[int], None]
) -> ShardReport:
    """Compare a shard with its entry in the index; unless `quick`, decode and judge all of it.

    Args:
        progress: told how many bytes of the file were checked since it was told last.
    """
    path = directory / entry.file
    sentences: list[str] = []
    try:
        sentences += _check_place(path, directory)
        if sentences:
            return ShardReport(tuple(sentences), False, None)
        n_bytes = path.stat().st_size
        if n_bytes != entry.bytes:
            sentences.append(f"has {n_bytes:,} bytes; index.json says {entry.bytes:,}")
        elif _sha256(path, progress if quick else lambda n: progress(n // 2)) != entry.sha256:
            sentences.append("is damaged, or another file: its sha256 is not the one in index.json")
    except FileNotFoundError:
        return ShardReport(("is not there, but index.json lists it",), False, None)
    except OSError as error:
        return ShardReport((f"cannot be read ({error.strerror})",), False, None)
    as_listed = not sentences
    stored = None
    if not quick:
        content = _Content(path, entry, index, n_bytes, lambda share: progress(int(share * n_bytes / 2)))
        try:
            for sentence in content.check():
                sentences.append(sentence)  # one by one: what was said before the structure broke counts
        except Exception as error:  # whatever a damaged file does to h5py
            sentences.append(f"its inner structure is damaged ({hdf5_words(error)})")
        if content.tables is not None:
            stored = content.tables.stored
        if not as_listed and len(sentences) == 1 and n_bytes == entry.bytes:
            sentences.append("all its frames can be decoded: what was changed lies between them")
    return ShardReport(tuple(sentences), as_listed, stored)


def _check_place(path: Path, directory: Path) -> Iterator[str]:
    """A regular file; where a link leads does not matter, for its hash decides.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        yield "is no file"


def _sha256(path: Path, progress: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_A_TIME):
            digest.update(block)
            progress(len(block))
    return digest.hexdigest()


class _Content:
    """What is inside; `tables` are there once they are read and found sound."""

    def __init__(self, path: Path, entry: Entry, index: Index, n_bytes: int, progress: Callable[[float], None]) -> None:
        self._path, self._entry, self._index, self._n_bytes = path, entry, index, n_bytes
        self._progress = progress
        self.tables: Tables | None = None

    def check(self) -> Iterator[str]:
        try:
            file = h5py.File(self._path, "r")
        except OSError as error:
            yield f"cannot be opened as HDF5 ({hdf5_words(error)})"
            return
        with file:
            yield from check_attributes(file, self._entry, self._index)
            misshapen = list(check_layout(file, self._entry, self._index, self._n_bytes))
            yield from misshapen
            if not misshapen:
                flow = list(check_flow_attributes(file))
                yield from flow
                yield from self._read(
                    file, saturated=None if flow else attribute(file["frames/flow"], "saturated", int)
                )

    def _read(self, file: h5py.File, saturated: int | None) -> Iterator[str]:
        """Tables and frames of a file that has the right form."""
        try:
            self.tables, sentences = read_tables(file, self._entry, self._index)
        except OSError as error:
            sentences = [f"its tables cannot be read ({hdf5_words(error)})"]
        yield from sentences
        spans = self.tables.spans if self.tables is not None else ()
        facts = gather(file, self._progress)
        yield from unread_frames(facts, spans)
        for name, unread_N in facts.unread.items():
            if not unread_N.any():
                yield from wrong_sizes(file[f"frames/{name}"], name, self._index.recipe.storage.filter)
        if spans:
            yield from implausible_frames(facts, spans, self._index.recipe.clips, saturated)
