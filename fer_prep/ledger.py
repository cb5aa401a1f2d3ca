"""What happened to every recording: one row each, in `ledger.csv`.

While a build runs, rows are added as shards are finished; at its end the file is replaced, in the order of the corpus.
"""

import csv
import dataclasses
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Literal

from fer_prep.errors import FerPrepError
from fer_prep.files import replace_text

FILE_NAME = "ledger.csv"


@dataclass(frozen=True)
class LedgerRow:
    """One recording's fate; the fields are the columns of `ledger.csv` (docs/shard-format.md).

    Attributes:
        label: class name; empty: unlabelled.
        status: ok: stored with clips; skipped: stored, but no clip came of it; failed: not stored.
        reason: for failed recordings "kind: sentence".
    """

    recording: str
    subject: str
    label: str
    group: int
    status: Literal["ok", "failed", "skipped"]
    reason: str
    n_frames: int
    n_detected: int
    n_clips: int
    seconds: float

    @property
    def kind(self) -> str:
        """The reason without its particulars, for counting."""
        return self.reason.split(":", 1)[0]


COLUMNS = tuple(field.name for field in dataclasses.fields(LedgerRow))


def write_ledger(directory: Path, rows: Iterable[LedgerRow]) -> None:
    """Replace `ledger.csv` in one step: a reader sees the old one or the new one.

    Raises:
        FerPrepError: the file system refuses.
    """
    replace_text(directory / FILE_NAME, _csv_text(rows, COLUMNS))


def append_ledger(directory: Path, rows: Iterable[LedgerRow]) -> None:
    """Add the rows of a finished shard. Who is killed meanwhile leaves at worst a last row that reading ignores.

    Raises:
        FerPrepError: the file system refuses, or the ledger is gone.
    """
    path = directory / FILE_NAME
    try:
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(_csv_text(rows, COLUMNS, header=False).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FerPrepError(f"{path} cannot be written ({error.strerror}); finished shards are kept") from error


def ledger_sha256(rows: Iterable[LedgerRow]) -> str:
    """Hash of a ledger without its last column, the seconds, which no two builds share."""
    return hashlib.sha256(_csv_text(rows, COLUMNS[:-1]).encode()).hexdigest()


def _csv_text(rows: Iterable[LedgerRow], columns: Sequence[str], *, header: bool = True) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    values = attrgetter(*COLUMNS[:-1])
    if columns == COLUMNS:
        writer.writerows((*values(row), f"{row.seconds:.3f}") for row in rows)
    else:
        writer.writerows(map(values, rows))
    return text.getvalue()


def read_ledger(directory: Path) -> dict[str, LedgerRow]:
    """Recording id -> row; empty if there is no ledger. A last row that was not written to its end is left out.

    Raises:
        FerPrepError: the file is no ledger.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return {}
    try:
        content = path.read_bytes()
        text = content[: content.rfind(b"\n") + 1].decode()
        listed = list(csv.DictReader(io.StringIO(text, newline="")))
        if listed and None in listed[-1].values():
            del listed[-1]  # cut off at a line break inside of a reason
        rows = [_parse(values) for values in listed]
    except OSError as error:
        raise FerPrepError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FerPrepError(f"{path} is no ledger of fer-prep ({error}); delete it and build again") from error
    return {row.recording: row for row in rows}


def rows_of(ids: Iterable[str], rows: Mapping[str, LedgerRow]) -> dict[str, LedgerRow]:
    """Those rows that there are of some recordings, in the order of the recordings."""
    return {name: rows[name] for name in ids if name in rows}


def _parse(values: dict[str, str]) -> LedgerRow:
    status = values["status"]
    if status not in ("ok", "failed", "skipped"):
        raise ValueError(f"status {status!r}")
    return LedgerRow(
        recording=values["recording"],
        subject=values["subject"],
        label=values["label"],
        group=int(values["group"]),
        status=status,  # type: ignore[arg-type]
        reason=values["reason"],
        n_frames=int(values["n_frames"]),
        n_detected=int(values["n_detected"]),
        n_clips=int(values["n_clips"]),
        seconds=float(values["seconds"]),
    )
