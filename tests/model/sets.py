"""Train sets of small runs for a test, and compare what they leave."""

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from runs import SMALL, same_weights, step_losses

from fer_model.config import Model, Variant
from fer_model.experiments.schedule import Experiment
from fer_model.experiments.selection import chosen_networks
from fer_model.experiments.training import train_experiment

A_D = (Variant.CONVLSTM, Variant.ENHANCED)
ARGUMENTS = ["--variant", "a,d", "--preset", "small", "--batch-size", 6, "--device", "cpu", "--compile", "off"]
"""Of `fer-train`, for the runs that `run_set` trains."""


def asked(shards: Path, out: Path, **changes: object) -> Experiment:
    """Variants a and d on all folds with one seed, or whatever the changes of the arguments say."""
    folds = changes.pop("folds", None)
    networks = chosen_networks([Model.TWO_STREAM], changes.pop("variants", A_D))  # type: ignore[arg-type]
    n_seeds, jobs = changes.pop("n_seeds", 1), changes.pop("jobs", 1)
    common = replace(SMALL, shards=shards, out=out, **changes)  # type: ignore[arg-type]
    return Experiment(common=common, folds=folds, networks=networks, n_seeds=n_seeds, jobs=jobs)  # type: ignore[arg-type]


def run_set(shards: Path, out: Path, **changes: object) -> str:
    """Train a set; what it said."""
    log = io.StringIO()
    train_experiment(asked(shards, out, **changes), console=Console(file=log, width=100))
    return log.getvalue()


def runs_in(out: Path) -> list[str]:
    """The finished runs below a directory, as in `convlstm/seed0/fold1`."""
    return sorted(str(path.parent.relative_to(out / "tiny")) for path in out.rglob("summary.json"))


def table_of(said: str) -> list[str]:
    """The table at the end of a set."""
    lines = said.splitlines()
    first = next(i for i, line in enumerate(lines) if "recordings right, mean" in line)
    return lines[first : first + 3]


def assert_same_runs(ours: Path, theirs: Path) -> None:
    """The same runs with the same losses, weights and predictions, bit by bit."""
    assert runs_in(ours) == runs_in(theirs)
    for name in runs_in(theirs):
        a, b = ours / "tiny" / name, theirs / "tiny" / name
        assert sorted(p.name for p in a.iterdir()) == sorted(p.name for p in b.iterdir())
        assert step_losses(a) == step_losses(b)
        assert same_weights(a, b)
        for file in ("predictions.csv", "config.json"):
            assert (a / file).read_bytes() == (b / file).read_bytes()
