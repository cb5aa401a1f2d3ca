"""Runs become sections: what can be compared stands in one, and what cannot never does."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from fer_model.config import Variant
from fer_model.rundir import Json
from fer_model.tables.records import Run

PROTOCOL = (
    "corpus", "classes", "clip_length", "aligner", "recipe", "shard_keys_sha256", "preset", "validation_group",
    "epochs",
)  # fmt: skip
"""What must be equal for two runs to be compared; epochs only of models that are trained in steps."""
LONGEST_VALUE = 12
"""Characters of a setting in a label, where they are enough to tell the labels apart."""
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
    """Divide runs into sections, in the order of their corpora and protocols.

    A model without steps has no epochs to differ in: it stands beside whatever else was done by its protocol.
    """
    groups: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        protocol = {key: run.config.get(key) for key in PROTOCOL if key != "epochs"}
        epochs = json.dumps(run.config.get("epochs") if takes_steps(run) else None)
        groups.setdefault(json.dumps(protocol, sort_keys=True), {}).setdefault(epochs, []).append(run)
    sections = []
    for key, by_epochs in groups.items():
        without = by_epochs.pop("null", []) if len(by_epochs) > 1 else []
        for epochs, group in by_epochs.items():
            sections.append(_section({**json.loads(key), "epochs": json.loads(epochs)}, [*group, *without]))
    return tuple(sorted(sections, key=lambda s: (s.corpus, json.dumps(s.protocol, sort_keys=True))))


def takes_steps(run: Run) -> bool:
    """Whether the model is trained in steps; a support vector machine is not."""
    return run.config.get("optimizer") != "none"


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
            label=label,
            name=name,
            runs=tuple(sorted(of_way, key=lambda run: (run.seed, run.fold))),
            missing=_missing(of_way, seeds=seeds, n_folds=n_folds),
        )
        for name, of_name in ways.items()
        for label, of_way in zip(_labels(name, list(of_name)), of_name.values(), strict=True)
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


def _labels(name: str, ways: list[str]) -> list[str]:
    """The name for each configuration; of several ones, with what tells it from the others."""
    if len(ways) == 1:
        return [name]
    configs = [json.loads(way) for way in ways]
    keys = [key for key in sorted({k for way in configs for k in way}) if len({_text(w.get(key)) for w in configs}) > 1]
    whole = [[(key, _text(way.get(key))) for key in keys] for way in configs]
    short = [[(key, value[:LONGEST_VALUE]) for key, value in values] for values in whole]
    clear = short if len(set(map(str, short))) == len(short) else whole
    return [f"{name} ({', '.join(f'{key} {value}' for key, value in values)})" for values in clear]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def settings(section: Section) -> list[tuple[str, list[str]]]:
    """(key, value of each entry) of everything else that decides a result and is not the same for all entries."""
    configs = [entry.runs[0].config for entry in section.entries]
    keys = sorted({key for config in configs for key in config} - {*PROTOCOL, *OF_THE_RUN})
    table = [(key, [_text(config.get(key)) for config in configs]) for key in keys]
    return [(key, values) for key, values in table if len(set(values)) > 1]
