"""Train small folds for a test: in this process, or as a command."""

import csv
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import load_file

from fer_model.arguments import Arguments
from fer_model.results import Result
from fer_model.train import train_fold

SMALL = Arguments(
    shards=Path(),
    fold=1,
    model="two-stream",
    variant=None,
    weights=None,
    preset="small",
    epochs=2,
    batch_size=6,
    lr=None,
    seed=0,
    device="cpu",
    devices=1,
    out=Path(),
    note=None,
    validation_group=None,
    report_best_epoch=False,
    data="auto",
    readers=2,
    checkpoint_every=60.0,
    precision="fp32",
    compile="off",
    checkpoint_layers=False,
    log_gradients=False,
    resume=False,
    overwrite=False,
)


def run(shards: Path, out: Path, *, log: io.StringIO | None = None, **changes: object) -> Result:
    """Train two epochs of a small fold, or whatever the changes of the arguments say."""
    arguments = replace(SMALL, shards=shards, out=out, **changes)  # type: ignore[arg-type]
    return train_fold(arguments, console=Console(file=log or io.StringIO(), width=100))


def fer_train(*arguments: object, program: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run `fer-train`, or another program on the module fer_model, to its end."""
    command = [sys.executable, *program, "-m", "fer_model", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def started(*arguments: object, program: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """The same, not waited for, in a session of its own, so that a whole terminal's signals can be sent to it."""
    command = [sys.executable, *program, "-m", "fer_model", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def fold_of(out: Path) -> Path:
    """The run directory of fold 1 of the corpus `tiny`."""
    return out / "tiny" / "enhanced" / "seed0" / "fold1"


def rows(path: Path) -> list[dict[str, str]]:
    """metrics.csv of a run directory."""
    with (path / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def losses(path: Path) -> list[str]:
    """The losses of a run directory, as they are written."""
    return [row["loss"] for row in rows(path)]


def step_losses(path: Path) -> bytes:
    """losses.csv of a run directory."""
    return (path / "losses.csv").read_bytes()


def same_weights(a: Path, b: Path) -> bool:
    """Whether two run directories ended with the same weights, bit by bit."""
    ours, theirs = (load_file(path / "model.safetensors") for path in (a, b))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
