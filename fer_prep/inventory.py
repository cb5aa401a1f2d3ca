"""`fer-prep datasets`: which corpora there are, where they are looked for, and whether they are there."""

from dataclasses import dataclass

from fer_prep import corpora
from fer_prep.corpora import ADAPTERS, manifest
from fer_prep.errors import UsageError


@dataclass(frozen=True)
class Finding:
    """One corpus in the place where it is looked for without `--root`.

    Attributes:
        says: how many recordings were found, or what is wrong.
    """

    name: str
    title: str
    place: str
    found: bool
    says: str


def take_stock() -> list[Finding]:
    """Every corpus; those on disk are scanned."""
    own = corpora.usual_root(corpora.MANIFEST)
    there = (own / manifest.FILE_NAME).is_file()
    return [
        *(_look(name) for name in ADAPTERS),
        Finding(
            corpora.MANIFEST, "your own videos, by a CSV", str(own), there,
            f"{manifest.FILE_NAME} is there" if there else "nothing there; name yours with --root or --manifest",
        ),
        Finding(corpora.SAMPLE, "a warped photograph, for trying", "(rendered)", True, "rendered when it is asked for"),
    ]  # fmt: skip


def _look(name: str) -> Finding:
    root, title = corpora.usual_root(name), ADAPTERS[name].title
    if not root.exists():
        return Finding(name, title, str(root), False, "nothing there; name its directory with --root")
    try:
        corpus = corpora.find(name)
    except UsageError as error:
        return Finding(name, title, str(root), False, str(error))
    return Finding(name, title, str(root), True, f"{len(corpus.recordings):,} recordings")
