"""What happened to every recording: one row each, in `ledger.csv`."""

import csv
import dataclasses
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


def ledger_sha256(rows: Iterable[LedgerRow]) -> str:
    """Hash of a ledger without its last column, the seconds, which no two builds share."""
    return hashlib.sha256(_csv_text(rows, COLUMNS[:-1]).encode()).hexdigest()


def _csv_text(rows: Iterable[LedgerRow], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(dataclasses.asdict(row) | {"seconds": f"{row.seconds:.3f}"} for row in rows)
    return text.getvalue()


def read_ledger(directory: Path) -> dict[str, LedgerRow]:
    """Recording id -> row; empty if there is no ledger.

    Raises:
        FerPrepError: the file is no ledger.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_parse(values) for values in csv.DictReader(file)]
    except OSError as error:
        raise FerPrepError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FerPrepError(f"{path} is no ledger of fer-prep ({error}); delete it and build again") from error
    return {row.recording: row for row in rows}


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
