"""Runs become sections: what can be compared stands in one, and what cannot never does."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from fer_model.config import Variant
from fer_model.rundir import Json
from fer_model.tables.records import Run

PROTOCOL = (
    "corpus", "classes", "clip_length", "aligner", "recipe", "shard_keys_sha256", "preset", "epochs",
    "validation_group", "input_size",
)  # fmt: skip
"""What must be equal for two runs to be compared."""
OF_THE_RUN = ("seed", "fold", "model", "variant", "name")
"""What may differ between the runs of a section, or is its subject."""
ORDER = (*Variant, "cnn-lstm", "fan", "r3d18", "lbp-top")
"""In which tables list what they know; what they do not know comes last, by the alphabet."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """A network with one way to train it: a row of the tables."""

    label: str
    """Its name; if runs of the same name were trained in several ways, also what is different about these."""
    name: str
    runs: tuple[Run, ...]
    missing: tuple[tuple[int, int], ...]
    """(seed, fold) of the runs that are expected and not there."""

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of which there is a run."""
        return tuple(sorted({run.seed for run in self.runs}))

    @property
    def n_expected(self) -> int:
        """Folds times seeds."""
        return len(self.runs) + len(self.missing)


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """Entries that were trained and tested on the same shards, by the same protocol."""

    protocol: Json
    corpus: str
    classes: tuple[str, ...]
    note: str | None
    """What must be said beside every number."""
    n_folds: int
    folds_are_known: bool
    """Whether the runs say how many folds there are; else it is the largest one that was met."""
    entries: tuple[Entry, ...]

    @property
    def title(self) -> str:
        """The corpus, and the note."""
        return f"{self.corpus} ({self.note})" if self.note else self.corpus

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds of the section; each entry is expected to have them all."""
        return tuple(sorted({seed for entry in self.entries for seed in entry.seeds}))


def sections_of(runs: Iterable[Run]) -> tuple[Section, ...]:
    """Divide runs into sections, in the order of their corpora and protocols."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        protocol = {key: run.config.get(key) for key in PROTOCOL}
        groups.setdefault(json.dumps(protocol, sort_keys=True), []).append(run)
    sections = [_section(json.loads(key), group) for key, group in groups.items()]
    return tuple(sorted(sections, key=lambda s: (s.corpus, json.dumps(s.protocol, sort_keys=True))))


def _section(protocol: Json, runs: list[Run]) -> Section:
    said = {run.n_folds for run in runs if run.n_folds is not None}
    n_folds = max(*said, *(run.fold for run in runs), 1)
    seeds = sorted({run.seed for run in runs})
    ways: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        way = {k: v for k, v in run.config.items() if k not in (*PROTOCOL, *OF_THE_RUN)}
        ways.setdefault(run.name, {}).setdefault(json.dumps(way, sort_keys=True), []).append(run)
    entries = [
        Entry(
            label=name if len(of_name) == 1 else f"{name} ({_difference(way, list(of_name))})",
            name=name,
            runs=tuple(sorted(of_way, key=lambda run: (run.seed, run.fold))),
            missing=_missing(of_way, seeds=seeds, n_folds=n_folds),
        )
        for name, of_name in ways.items()
        for way, of_way in of_name.items()
    ]
    return Section(
        protocol=protocol,
        corpus=runs[0].corpus,
        classes=runs[0].classes,
        note="; ".join(sorted({run.note for run in runs if run.note})) or None,
        n_folds=n_folds,
        folds_are_known=bool(said),
        entries=tuple(sorted(entries, key=lambda entry: (_place(entry.name), entry.label))),
    )


def _missing(runs: Sequence[Run], *, seeds: Sequence[int], n_folds: int) -> tuple[tuple[int, int], ...]:
    there = {(run.seed, run.fold) for run in runs}
    return tuple((seed, fold) for seed in seeds for fold in range(1, n_folds + 1) if (seed, fold) not in there)


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _difference(way: str, ways: list[str]) -> str:
    """What tells a configuration from others of the same name."""
    mine, all_ = json.loads(way), [json.loads(other) for other in ways]
    keys = [key for key in sorted({k for other in all_ for k in other}) if len({_text(w.get(key)) for w in all_}) > 1]
    return ", ".join(f"{key} {_text(mine.get(key))}" for key in keys)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def settings(section: Section) -> list[tuple[str, list[str]]]:
    """(key, value of each entry) of everything else that decides a result and is not the same for all entries."""
    configs = [entry.runs[0].config for entry in section.entries]
    keys = sorted({key for config in configs for key in config} - {*PROTOCOL, *OF_THE_RUN})
    table = [(key, [_text(config.get(key)) for config in configs]) for key in keys]
    return [(key, values) for key, values in table if len(set(values)) > 1]
