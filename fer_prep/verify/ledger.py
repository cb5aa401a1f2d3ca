"""`ledger.csv` against the index and against what the shards hold."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fer_prep.ledger import COLUMNS, LedgerRow, ledger_sha256
from fer_prep.stored import StoredRow
from fer_prep.verify.index import Entry, Index
from fer_prep.verify.words import brief, first, names, repeated

COMPLAINTS = 20
_ROW = TypeAdapter(LedgerRow)


def read_rows(path: Path, index: Index) -> tuple[list[LedgerRow] | None, list[str]]:
    """The rows, None if the file is no ledger; and how the file differs from what the index says of it."""
    try:
        if path.exists() and not path.is_file():
            return None, ["is no file"]
        raw = path.read_bytes()
    except FileNotFoundError:
        return None, ["is not there, but index.json lists it"]
    except OSError as error:
        return None, [f"cannot be read ({error.strerror}); check its permissions"]
    try:
        rows = list(parse_ledger(raw))
    except (ValueError, csv.Error) as error:
        return None, [f"is no ledger of fer-prep ({error})"]
    fits = ledger_sha256(rows) == index.ledger_sha256
    return rows, [] if fits else ["was edited or damaged: it is not the one that index.json knows"]


def parse_ledger(raw: bytes) -> Iterator[LedgerRow]:
    """The rows of a ledger that nobody vouches for.

    Raises:
        ValueError, csv.Error: it is no ledger.
    """
    reader = csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), strict=True)
    header = next(reader, [])
    if sorted(header) != sorted(COLUMNS):
        raise ValueError(f"columns {brief(','.join(header))}; expected {','.join(COLUMNS)}")
    for number, values in enumerate(reader, start=1):
        if len(values) != len(header):
            raise ValueError(f"row {number} has {len(values)} values; expected {len(header)}")
        try:
            yield _ROW.validate_python(dict(zip(header, values, strict=True)))
        except ValidationError as error:
            item = error.errors()[0]
            raise ValueError(f"row {number}, {item['loc'][0]} = {brief(item['input'])}: {item['msg']}") from error


def check_rows(rows: Sequence[LedgerRow], index: Index) -> list[str]:
    """What the rows say, by themselves and against the index."""
    return first(_contradictions(rows, index), COMPLAINTS)


def _contradictions(rows: Sequence[LedgerRow], index: Index) -> Iterator[str]:
    if twice := repeated(row.recording for row in rows):
        yield f"recordings have two rows: {names(twice)}"
    group_of = {entry.subject: entry.group for entry in index.shards}
    for row in rows:
        who = f"recording {brief(row.recording)}"
        if min(row.n_frames, row.n_detected, row.n_clips) < 0 or not (math.isfinite(row.seconds) and row.seconds >= 0):
            yield f"{who} has a negative or infinite number"
        if row.n_detected > row.n_frames:
            yield f"{who} has {row.n_detected} frames with a face among {row.n_frames}"
        if (row.status == "ok") != (row.n_clips > 0):
            yield f"{who} is {row.status!r} with {row.n_clips} clips"
        if row.status == "failed" and not row.reason:
            yield f"{who} failed without a reason"
        if row.label and row.label not in index.classes:
            yield f"{who} has the label {brief(row.label)}, which is no class of index.json"
        if not 1 <= row.group <= index.n_groups:
            yield f"{who} is in group {row.group}, but there are {index.n_groups}"
        elif row.group != group_of.setdefault(row.subject, row.group):
            yield f"{who} is in group {row.group}, but its subject is in group {group_of[row.subject]}"


def _sums(rows: Sequence[LedgerRow], index: Index) -> Iterator[str]:
    """Recordings, frames and clips of every subject, against the index."""
    in_index: dict[str, tuple[int, int, int]] = {}
    in_ledger: dict[str, tuple[int, int, int]] = {}
    for entry in index.shards:
        n, frames, clips = in_index.get(entry.subject, (0, 0, 0))
        in_index[entry.subject] = (n + entry.n_recordings, frames + entry.n_frames, clips + entry.n_clips)
    for row in rows:
        if row.status != "failed":
            n, frames, clips = in_ledger.get(row.subject, (0, 0, 0))
            in_ledger[row.subject] = (n + 1, frames + row.n_frames, clips + row.n_clips)
    for subject in dict.fromkeys((*in_index, *in_ledger)):
        found, expected = in_ledger.get(subject, (0, 0, 0)), in_index.get(subject, (0, 0, 0))
        if found != expected:
            yield f"has {_extent(found)} of subject {brief(subject)}; index.json says {_extent(expected)}"


def _extent(extent: tuple[int, int, int]) -> str:
    return "{} recordings with {} frames and {} clips".format(*extent)


def check_stored(
    rows: Sequence[LedgerRow], index: Index, stored: Mapping[str, tuple[StoredRow, ...]] | None
) -> list[str]:
    """The rows against the recordings in the shards.

    Args:
        stored: file -> its recordings; files that could not be read are missing. None: the index has to do.
    """
    return first(_sums(rows, index) if stored is None else _differences(rows, index, stored), COMPLAINTS)


def _differences(rows: Sequence[LedgerRow], index: Index, stored: Mapping[str, tuple[StoredRow, ...]]) -> Iterator[str]:
    of = {row.recording: row for row in rows}
    place = {row.recording: k for k, row in enumerate(rows)}
    entries = {entry.file: entry for entry in index.shards}
    for file, recordings in stored.items():
        for recording in recordings:
            row = of.get(recording.id)
            if row is None:
                yield f"has no row for recording {brief(recording.id)}, which is stored in {file}"
            else:
                yield from _against_shard(row, recording, entries[file], index)
        places = [place[recording.id] for recording in recordings if recording.id in place]
        if places != sorted(places):
            yield f"has the recordings of {file} in another order"
    unread = {entry.subject for entry in index.shards if entry.file not in stored}
    ids = {recording.id for recordings in stored.values() for recording in recordings}
    missing = [r.recording for r in rows if r.status != "failed" and r.subject not in unread and r.recording not in ids]
    if missing:
        yield f"tells of recordings that are in no shard: {names(missing)}"


def _against_shard(row: LedgerRow, recording: StoredRow, entry: Entry, index: Index) -> Iterator[str]:
    who = f"recording {brief(recording.id)}"
    if row.status == "failed":
        yield f"{who} is 'failed', but it is stored in {entry.file}"
        return
    for what, found, expected in (
        ("subject", row.subject, entry.subject),
        ("group", row.group, entry.group),
        ("label", row.label, index.classes[recording.label] if recording.label >= 0 else ""),
        ("n_frames", row.n_frames, recording.n_frames),
        ("n_detected", row.n_detected, recording.n_detected),
        ("n_clips", row.n_clips, recording.n_clips),
    ):
        if found != expected:
            yield f"{who} has {what} {brief(found)}; {entry.file} says {brief(expected)}"
