"""The run directory: where it lies, what is in it, and writing each file whole or not at all."""

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from fer_model.errors import RunDirectoryError

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunDirectory:
    """`<out>/<corpus>/<variant>/fold<k>`; summary.json is written last: with it the run is finished."""

    path: Path

    @property
    def config(self) -> Path:
        """Everything that decides the result."""
        return self.path / "config.json"

    @property
    def checkpoint(self) -> Path:
        """The state after the last complete epoch, while training."""
        return self.path / "checkpoint.pt"

    @property
    def summary(self) -> Path:
        """The result."""
        return self.path / "summary.json"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard events."""
        return self.path / "tensorboard"


def run_directory(out: Path, *, corpus: str, variant: str, fold: int) -> RunDirectory:
    """The directory of a run; the corpus' name comes from a file, so it is reduced to letters, digits and `._-`."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", corpus).lstrip(".-")[:100] or "corpus"
    return RunDirectory(path=out / name / variant / f"fold{fold}")


def claim(run: RunDirectory, *, config: Json, resume: bool, overwrite: bool) -> None:
    """Make the directory ready for a run with this configuration.

    Raises:
        RunDirectoryError: it holds a finished run, an unfinished one without `resume`, one with another configuration,
            or files that are no run.
    """
    if overwrite and run.path.exists():
        _clear(run)
    if run.summary.exists():
        raise RunDirectoryError(f"{run.path}: holds a finished run; give --overwrite to train it again.")
    if run.config.exists():
        if not resume:
            raise RunDirectoryError(f"{run.path}: holds an unfinished run; give --resume or --overwrite.")
        differences = _differences(_read_json(run.config), json.loads(json.dumps(config)))
        if differences:
            raise RunDirectoryError(
                f"{run.path}: the run there differs in {'; '.join(differences)}. "
                "Resume it with the same arguments and shards, or give --overwrite."
            )
    elif run.path.exists() and any(run.path.iterdir()):
        raise RunDirectoryError(f"{run.path}: not empty and not a run; move its files, or choose another --out.")
    run.path.mkdir(parents=True, exist_ok=True)
    write_json(run.config, config)


def _clear(run: RunDirectory) -> None:
    if any(run.path.iterdir()) and not run.config.exists():
        raise RunDirectoryError(f"{run.path}: not a run (no config.json), so --overwrite leaves it alone.")
    shutil.rmtree(run.path)


def _differences(old: Json, new: Json) -> list[str]:
    names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return [f"{name} ({str(old.get(name))[:60]} there, {str(new.get(name))[:60]} here)" for name in names]


def config_hash(config: Json) -> str:
    """A digest of a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def save_checkpoint(run: RunDirectory, state: Json) -> None:
    """Replace the checkpoint. `state` holds tensors, numbers, strings, lists and dictionaries only."""
    temporary = run.checkpoint.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(run.checkpoint)


def load_checkpoint(run: RunDirectory, *, config: Json) -> Json | None:
    """The state after the last complete epoch, on the CPU; None if no epoch was completed.

    Raises:
        RunDirectoryError: the file is damaged, or is of another configuration.
    """
    if not run.checkpoint.exists():
        return None
    try:
        state: Json = torch.load(run.checkpoint, map_location="cpu", weights_only=True)
        found = state["config_hash"]
    except Exception as error:  # torch.load raises what its several formats raise
        raise RunDirectoryError(
            f"{run.checkpoint}: not readable ({error}); give --overwrite to start again."
        ) from error
    if found != config_hash(config):
        raise RunDirectoryError(f"{run.checkpoint}: of another configuration; give --overwrite to start again.")
    return state


def save_weights(run: RunDirectory, weights: Mapping[str, Tensor]) -> None:
    """The final weights as model.safetensors."""
    temporary = run.path / "model.safetensors.tmp"
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, temporary)
    temporary.replace(run.path / "model.safetensors")


def write_json(path: Path, data: Json) -> None:
    """Replace a JSON file."""
    _write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Replace a CSV file."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    temporary.replace(path)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _read_json(path: Path) -> Json:
    try:
        data: Json = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunDirectoryError(f"{path}: not readable ({error}); give --overwrite to start again.") from error
    return data
