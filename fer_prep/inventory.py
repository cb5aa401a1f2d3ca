"""`fer-prep datasets`: which corpora there are, where they are looked for, and whether they are there."""

from dataclasses import dataclass

from fer_prep import corpora
from fer_prep.corpora import ADAPTERS, manifest
from fer_prep.errors import UsageError


@dataclass(frozen=True)
class Finding:
    """One corpus in the place where it is looked for without `--root`.

    Attributes:
        found: what is there; empty: not this corpus.
        complaint: the sentence on what lies there instead; empty: nothing to complain of.
    """

    name: str
    title: str
    found: str = ""
    complaint: str = ""

    @property
    def not_found(self) -> str:
        return "something else, see below" if self.complaint else "not there"


def take_stock() -> list[Finding]:
    """Every corpus; those on disk are scanned."""
    own = (corpora.usual_root(corpora.MANIFEST) / manifest.FILE_NAME).is_file()
    return [
        *(_look(name, adapter.title) for name, adapter in ADAPTERS.items()),
        Finding(corpora.MANIFEST, "your own videos and a CSV", manifest.FILE_NAME if own else ""),
        Finding(corpora.SAMPLE, "a warped photograph", "rendered when it is asked for"),
    ]


def _look(name: str, title: str) -> Finding:
    if not corpora.usual_root(name).exists():
        return Finding(name, title)
    try:
        return Finding(name, title, found=f"{len(corpora.find(name).recordings):,} recordings")
    except UsageError as error:
        return Finding(name, title, complaint=str(error))
