"""What a check brings, and who is told while it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one file of a shard directory."""

    file: str
    sentence: str


@dataclass(frozen=True)
class Verification:
    """The outcome of a check.

    Attributes:
        quick: no shard was opened; sizes and hashes were compared.
        findings: what is wrong, one file after the other; empty: all good.
        remarks: what lies in the directory and does no harm.
        n_shards, n_recordings, n_frames, n_bytes: as the index says.
        newer: a newer fer-prep wrote the directory.
        ledger_lost: the ledger is missing or no ledger; a build then keeps no shard.
        delete_first: files that a build would keep, or refuse, though something is wrong with them.
    """

    directory: Path
    quick: bool
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    n_shards: int
    n_recordings: int
    n_frames: int
    n_bytes: int
    newer: bool
    ledger_lost: bool
    delete_first: tuple[str, ...]
    seconds: float


class Listener(Protocol):
    """Told what happens, in order, in the caller's thread."""

    def begun(self, n_files: int, n_bytes: int) -> None:
        """Index and ledger are read; so many shards are to be checked."""

    def checked_bytes(self, n_bytes: int) -> None:
        """So much more of the shards is checked."""

    def checked_file(self, n_findings: int) -> None:
        """One shard is done."""


class Silent:
    """Listens and says nothing."""

    def begun(self, n_files: int, n_bytes: int) -> None: ...

    def checked_bytes(self, n_bytes: int) -> None: ...

    def checked_file(self, n_findings: int) -> None: ...
