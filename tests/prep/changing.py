"""A small real corpus that can be changed, its shards, and a build of it."""

import csv
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from fer_prep import build as building
from fer_prep.listener import Silent
from fer_prep.plan import Plan, make_plan

SUBJECTS = ("001", "003", "005", "006", "008", "010", "011", "013")
COLUMNS = ("file", "subject", "label", "group")


class Notes(Silent):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def note(self, sentence: str) -> None:
        self.sentences.append(sentence)


@dataclass
class Corpus:
    """Videos below a directory, and the rows of their manifest."""

    root: Path
    rows: list[tuple[str, str, str, int]] = field(default_factory=list)

    def add(self, shared_data: Path, subject: str, label: str, group: int) -> None:
        name = f"{subject}_{label}_1.mp4"
        shutil.copy(shared_data / "london" / "expr6" / subject / name, self.root / name)
        self.rows.append((name, subject, label, group))

    def plan(self) -> Plan:
        """By the groups of the manifest."""
        self.write()
        return make_plan(dataset="manifest", root=self.root, groups="corpus")

    def write(self) -> None:
        with (self.root / "manifest.csv").open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *self.rows])


def build(corpus: Corpus, out: Path, cache: Path) -> list[str]:
    """What a user is told."""
    notes = Notes()
    building.build(corpus.plan(), out=out, cache=cache, workers=1, listener=notes)
    return notes.sentences


def snapshot(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir()}
