"""ledger.csv of a shard directory (docs/shard-format.md): the recordings that are not stored, and the reasons."""

import csv
from dataclasses import dataclass
from pathlib import Path

from fer_model.errors import ShardError


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a recording."""

    recording: str
    subject: str
    status: str
    """ok; skipped: no clip came of it; failed: not stored."""
    reason: str


def read_ledger(directory: Path) -> dict[str, Fate]:
    """Recording -> its row, in the order of the corpus; empty if there is no ledger.

    Raises:
        ShardError: it cannot be read, or lacks a column.
    """
    path = directory / "ledger.csv"
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            fates = [
                Fate(recording=row["recording"], subject=row["subject"], status=row["status"], reason=row["reason"])
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise ShardError(
            f"{path}: not readable as a ledger ({type(error).__name__}: {error}); build the shards again with fer-prep."
        ) from error
    return {fate.recording: fate for fate in fates}
