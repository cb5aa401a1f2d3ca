"""Every model on one fold of the same shards, with the programs as a user types them: size, work, time, accuracy.

The clips are warps of real photographs: the accuracies tell whether a model sees motion, never how well it recognises
expressions. Chance is 17 %. All models have the preset `small` and train on the CPU.

    python benchmarks/baselines.py [--data ../shared/data | --shards DIR] [--model M ...] [--json FILE] [--keep DIR]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from lib.report import Measure, report
from london import build
from rich.console import Console
from rich.table import Table

MODELS = ("two-stream", "cnn-lstm", "fan", "r3d18", "lbp-top")
TITLE = "warped real faces, fold 1, preset small, CPU"


def train(shards: Path, out: Path, model: str) -> dict[str, Any]:
    """summary.json of a model on fold 1."""
    command = [sys.executable, "-m", "fer_model", str(shards), "--fold", "1", "--model", model, "--preset", "small"]
    subprocess.run([*command, "--device", "cpu", "--note", "warped real faces", "--out", str(out)], check=True)
    name = "enhanced" if model == "two-stream" else model
    (path,) = out.glob(f"*/{name}/seed0/fold1/summary.json")
    summary: dict[str, Any] = json.loads(path.read_text())
    return summary


def table(summaries: list[dict[str, Any]]) -> Table:
    """A row for each model."""
    rows = Table("model", "parameters", "GFLOP/clip", "seconds", "recordings right", "clips right", title=TITLE)
    for column in rows.columns[1:]:
        column.justify = "right"
    for s in summaries:
        rows.add_row(
            f"{s['model']} ({s['name']})" if s["model"] != s["name"] else s["model"],
            f"{s['parameters']:,}",
            f"{s['flops_per_clip'] / 1e9:.3g}",
            f"{s['seconds']:.0f}",
            f"{s['video_accuracy']:.1%} of {s['n_test_recordings']}",
            f"{s['clip_accuracy']:.1%} of {s['n_test_clips']}",
        )
    return rows


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--shards", type=click.Path(exists=True, path_type=Path), help="Of london's expr6; else they are built.")
@click.option("--model", "models", multiple=True, default=MODELS, type=click.Choice(MODELS), help="Only these.")
@click.option("--json", "json_file", type=click.Path(path_type=Path))
@click.option("--keep", type=click.Path(path_type=Path), help="Leave shards and runs here.")
def main(
    data: Path, shards: Path | None, models: tuple[str, ...], json_file: Path | None, keep: Path | None
) -> None:  # fmt: skip
    """Build where needed, train each model, and print what came out."""
    if shards is None and not (data / "london").is_dir():
        raise click.UsageError(f"{data}/london is not there; --data names the directory of the real face videos")
    with tempfile.TemporaryDirectory() as temporary:
        home = keep or Path(temporary)
        if shards is None:
            build(data, home)
        summaries = [train(shards or home / "shards", home / "runs", model) for model in models]
    Console().print(table(summaries))
    measures: dict[str, Measure] = {}
    for s in summaries:
        measures[f"{s['model']}: recordings right, held-out persons"] = (s["video_accuracy"], None, "higher")
        measures[f"{s['model']}: seconds"] = (s["seconds"], None, "lower")
    report(measures, json_file, title=TITLE)


if __name__ == "__main__":
    main()
