"""A tree of run directories becomes records; what is unfinished, damaged or there twice is said, never skipped."""

import json
from pathlib import Path

from fer_model.errors import ArgumentError, RunDirectoryError
from fer_model.tables.read_run import read_run
from fer_model.tables.records import Gathered, Problem, Run

MARKS = ("config.json", "summary.json")
"""A directory with one of these is meant to be a run."""


def gather(root: Path) -> Gathered:
    """Read every run at or below `root`, in the order of their paths.

    Raises:
        ArgumentError: there is no such directory, or no run in it.
    """
    if not root.is_dir():
        raise ArgumentError(f"{root}: is no directory; expected one with runs of fer-train, as --out names it.")
    directories = sorted({path.parent for mark in MARKS for path in root.rglob(mark)})
    if not directories:
        raise ArgumentError(
            f"{root}: holds no run of fer-train (no config.json below it); name the directory that its --out named, "
            "which is runs unless you said otherwise."
        )
    runs: list[Run] = []
    problems: list[Problem] = []
    for path in directories:
        try:
            runs.append(read_run(path))
        except RunDirectoryError as error:
            problems.append(Problem(path=path, text=str(error)))
    runs, odd = _without_odd_ones(runs, root=root)
    return Gathered(root=root, runs=tuple(runs), problems=(*problems, *odd))


def _without_odd_ones(runs: list[Run], *, root: Path) -> tuple[list[Run], list[Problem]]:
    """The runs without second copies, and without those that another one contradicts on what is in the shards."""
    kept: list[Run] = []
    odd: list[Problem] = []
    first: dict[str, Run] = {}
    facts: dict[tuple[str, str], tuple[str, int]] = {}
    folds: dict[tuple[str, str], int] = {}
    for run in runs:
        key = json.dumps(run.config, sort_keys=True) + run.name
        shards = str(run.config.get("shard_keys_sha256"))
        videos = run.videos
        mine = {
            (shards, recording): (subject, label)
            for recording, subject, label in zip(
                videos.recordings, videos.subjects, videos.label_N.tolist(), strict=True
            )
        }
        if key in first:
            text = f"the same run as {first[key].path.relative_to(root)}; one is enough, and that one is used."
        elif contradiction := next((k for k in mine if facts.get(k, mine[k]) != mine[k]), None):
            text = f"recording {contradiction[1]!r} has another label or subject than in runs before; train again."
        elif elsewhere := next((k for k in mine if folds.get(k, run.fold) != run.fold), None):
            text = (
                f"recording {elsewhere[1]!r} was tested in fold {folds[elsewhere]} too; these are not the same folds."
            )
        else:
            first[key] = run
            facts |= mine
            folds |= dict.fromkeys(mine, run.fold)
            kept.append(run)
            continue
        odd.append(Problem(path=run.path, text=f"{run.path}: {text}"))
    return kept, odd
