"""The paper's ablation (a)-(d) and the models it is compared with, on all folds of two corpora of warped real faces.

The clips are warps of real photographs: the accuracies tell whether a network sees motion, never how well it recognises
expressions. In `expr6` the last frame alone tells much (a linear model on it gets 82.4 %, one on truly aligned points
95.3 %); in `dyn4` the order of the frames decides (38.5 %, and a linear model of differences 54.9 %). All presets are
`small`, on the CPU. A quarter of an hour or more on two cores; with --keep, an interrupted one goes on.

    python benchmarks/experiments.py [--data ../shared/data] [--json FILE] [--keep DIR] [--jobs N] [--seeds N]
"""

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from lib.report import Measure, report
from london import build

GOALS = {"expr6": 0.97, "dyn4": 0.70}
NOTE = "warped real faces"


def run(*command: object) -> None:
    """One of the programs, as a user types it."""
    subprocess.run([sys.executable, "-m", *map(str, command)], check=True)


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file of fer-results."""
    with path.open() as file:
        return list(csv.DictReader(file))


def experiment(data: Path, home: Path, *, kind: str, jobs: int, seeds: int) -> dict[str, Measure]:
    """Shards, runs and results of a kind of clips in `home`; its measures."""
    if not (home / "shards" / "index.json").exists():
        build(data, home, kind=kind)
    run(
        "fer_model", home / "shards", "--fold", "all", "--model", "all", "--variant", "all", "--preset", "small",
        "--device", "cpu", "--jobs", jobs, "--seeds", seeds, "--out", home / "runs", "--note", NOTE, "--resume",
    )  # fmt: skip
    run("fer_model.results_cli", home / "runs", "--out", home / "results.html")
    measures: dict[str, Measure] = {}
    for row in rows(home / "results" / "results.csv"):
        name = f"{kind}: {row['network']}"
        goal = GOALS[kind] if row["network"] == "enhanced" else None
        measures[f"{name}, recordings right"] = (float(row["accuracy"]), goal, "higher")
        for end in ("low", "high"):
            if row[f"accuracy_{end}"]:
                measures[f"{name}, 95 % interval, {end}"] = (float(row[f"accuracy_{end}"]), None, "higher")
        measures[f"{name}, parameters"] = (float(row["parameters"]), None, "lower")
        measures[f"{name}, GFLOP per clip"] = (float(row["flops_per_clip"]) / 1e9, None, "lower")
        measures[f"{name}, seconds per run"] = (float(row["seconds_per_run"]), None, "lower")
    for row in rows(home / "results" / "steps.csv"):
        if row["mean"]:
            name = f"{kind}: {row['network']}, steps to {row['share_of_guessing']} of the loss of guessing"
            measures[name] = (float(row["mean"]), None, "lower")
    return measures


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "json_file", type=click.Path(path_type=Path))
@click.option("--keep", type=click.Path(path_type=Path), help="Leave shards, runs and results here, and go on there.")
@click.option("--jobs", type=int, default=os.cpu_count() or 1, help="Runs at a time.")
@click.option("--seeds", type=int, default=1)
def main(data: Path, json_file: Path | None, keep: Path | None, jobs: int, seeds: int) -> None:
    """Build, train, and print what came out."""
    if not (data / "london").is_dir():
        raise click.UsageError(f"{data}/london is not there; --data names the directory of the real face videos")
    measures: dict[str, Measure] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for kind in GOALS:
            home = (keep or Path(temporary)).resolve() / kind
            home.mkdir(parents=True, exist_ok=True)
            measures |= experiment(data, home, kind=kind, jobs=jobs, seeds=seeds)
    report(measures, json_file, title=f"{NOTE}, all folds, preset small, CPU")


if __name__ == "__main__":
    main()
