"""`fer-prep verify`: a directory of shards in, what is wrong with it out. Nothing in it is changed."""

import fcntl
import os
import time
from pathlib import Path

from fer_prep.errors import FerPrepError, UsageError
from fer_prep.files import TEMPORARY_SUFFIX
from fer_prep.ledger import FILE_NAME as LEDGER
from fer_prep.ledger import LedgerRow
from fer_prep.output import INDEX, LOCK
from fer_prep.stored import StoredRow
from fer_prep.verify.index import Index, check_index
from fer_prep.verify.ledger import check_rows, check_stored, read_rows
from fer_prep.verify.result import Finding, Listener, Silent, Verification
from fer_prep.verify.shard import ShardReport
from fer_prep.verify.words import names, repeated
from fer_prep.verify.workers import check_shards


def verify(
    directory: Path, *, quick: bool = False, workers: int | None = None, listener: Listener | None = None
) -> Verification:
    """Check a directory of shards against its index, its ledger, the format and what faces and flow can be.

    Args:
        quick: index, ledger, sizes and hashes only.
        workers: processes; default: one per core.

    Raises:
        UsageError: there is no such directory.
        FerPrepError: it cannot be looked at, or a build writes to it.
    """
    begin = time.perf_counter()
    listener = listener or Silent()
    _refuse_unreadable(directory)
    _refuse_held(directory)
    before = _state(directory)
    checked = check_index(directory / INDEX)
    index = checked.index
    findings = [Finding(INDEX, sentence) for sentence in checked.sentences]
    delete_first = [INDEX] if index is None and os.access(directory / INDEX, os.R_OK) else []
    ledger_lost = False
    if index is not None:
        rows, sentences = read_rows(directory / LEDGER, index)
        ledger_lost = rows is None
        if ledger_lost and os.access(directory / LEDGER, os.R_OK):
            delete_first.append(LEDGER)
        reports = _check_shards(directory, index, quick=quick, workers=workers, listener=listener)
        findings += _ledger_findings(rows, sentences, index, reports, quick=quick)
        for file, report in reports.items():
            findings += [Finding(file, sentence) for sentence in report.sentences]
            if report.sentences and report.as_listed and not checked.sentences:  # else the index is to blame
                delete_first.append(file)
    _refuse_held(directory)
    if _state(directory) != before:
        raise FerPrepError(f"{directory} was built anew while it was checked; check it again")
    entries = index.shards if index is not None else []
    return Verification(
        directory=directory,
        quick=quick,
        findings=tuple(sorted(findings, key=_place)),
        remarks=tuple(_remarks(directory, {entry.file for entry in entries})) if index is not None else (),
        n_shards=len(entries),
        n_recordings=sum(entry.n_recordings for entry in entries),
        n_frames=sum(entry.n_frames for entry in entries),
        n_bytes=sum(entry.bytes for entry in entries),
        newer=checked.newer,
        ledger_lost=ledger_lost,
        delete_first=tuple(sorted(delete_first)),
        seconds=time.perf_counter() - begin,
    )


def _place(finding: Finding) -> tuple[bool, bool, str]:
    """Index first, then the ledger, then shards by their names."""
    return (finding.file != INDEX, finding.file != LEDGER, finding.file)


def _check_shards(
    directory: Path, index: Index, *, quick: bool, workers: int | None, listener: Listener
) -> dict[str, ShardReport]:
    listener.begun(len(index.shards), sum(entry.bytes for entry in index.shards))
    n_workers = min(workers or os.cpu_count() or 1, len(index.shards))
    return {
        entry.file: report
        for entry, report in check_shards(directory, index, quick=quick, workers=n_workers, listener=listener)
    }


def _ledger_findings(
    rows: list[LedgerRow] | None, sentences: list[str], index: Index, reports: dict[str, ShardReport], *, quick: bool
) -> list[Finding]:
    stored = {entry.file: report.stored for entry in index.shards if (report := reports[entry.file]).stored is not None}
    if rows is not None:
        sentences = sentences + check_rows(rows, index) + check_stored(rows, index, None if quick else stored)
    return [Finding(LEDGER, sentence) for sentence in sentences] + _stored_twice(stored)


def _stored_twice(stored: dict[str, tuple[StoredRow, ...]]) -> list[Finding]:
    """Recordings that are in several shards."""
    ids = {file: {row.id for row in recordings} for file, recordings in stored.items()}
    twice = set(repeated(id_ for of_file in ids.values() for id_ in of_file))
    return [
        Finding(file, f"recordings are stored in another shard, too: {names(sorted(of_file & twice))}")
        for file, of_file in ids.items()
        if of_file & twice
    ]


def _refuse_unreadable(directory: Path) -> None:
    try:
        if not directory.exists():
            raise UsageError(f"{directory} is not there; name a directory that fer-prep build has made")
        if not directory.is_dir():
            raise UsageError(f"{directory} is a file; name the directory that it lies in")
        next(directory.iterdir(), None)
        (directory / INDEX).exists()
    except OSError as error:
        raise FerPrepError(f"{directory} cannot be looked into ({error.strerror}); check its permissions") from error


def _refuse_held(directory: Path) -> None:
    """Refuse a directory that a build is writing to. Makes no lock file, and takes no lock away from a build."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return  # no build has been here, or it is not for us to ask
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FerPrepError(f"a fer-prep build is writing to {directory}; wait for its end, then check it") from error
    except OSError:
        return  # a file system without locks
    finally:
        os.close(descriptor)


def _state(directory: Path) -> tuple[int, int, int] | None:
    """Changes when a build replaces the index."""
    try:
        found = (directory / INDEX).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _remarks(directory: Path, listed: set[str]) -> list[str]:
    remarks = []
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") and path.suffix == TEMPORARY_SUFFIX:
            remarks.append(f"{path.name} was left behind by a build that was killed; the next build removes it")
        elif path.suffix == ".h5" and path.name not in listed:
            remarks.append(f"{path.name} is not in the index: no program reads it")
    return remarks
