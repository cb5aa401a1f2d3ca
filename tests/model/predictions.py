"""Predict with small runs for a test: in this process, or as a command."""

import csv
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from fer_model.predict.request import Request
from fer_model.predict.run import Prediction, predict_input

PLAIN = Request(
    input=Path(), checkpoint=Path(), out=None, timelines=0, video=False, device="cpu", overwrite=False
)  # fmt: skip
RECIPE: dict[str, Any] = {
    "corpus": "manifest",
    "align": {"backend": "mesh", "face_size": 16, "max_gap_frames": 5, "mask": True},
    "flow": {"backend": "farneback", "levels": 3},
    "clips": {"length": 4, "stride": 2},
}


def predicted(
    input_: Path, checkpoint: Path, out: Path, *, log: io.StringIO | None = None, **changes: object
) -> Prediction:
    """Predict without timelines, or with whatever the changes say."""
    request = replace(PLAIN, input=input_, checkpoint=checkpoint, out=out, **changes)  # type: ignore[arg-type]
    return predict_input(request, console=Console(file=log or io.StringIO(), width=120))


def fer_predict(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `fer-predict` to its end."""
    command = [sys.executable, "-m", "fer_model.predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
