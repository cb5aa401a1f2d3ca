"""The run directory: where it lies, what is in it, and writing each file whole or not at all."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from fer_model.errors import RunDirectoryError

Json = dict[str, Any]
TEMPORARY_SUFFIX = ".tmp"
DIGEST_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class RunDirectory:
    """`<out>/<corpus>/<name>/seed<s>/fold<k>`; summary.json is written last: with it the run is finished."""

    path: Path

    @property
    def config(self) -> Path:
        """Everything that decides the result."""
        return self.path / "config.json"

    @property
    def checkpoint(self) -> Path:
        """The last state that was kept, while training."""
        return self.path / "checkpoint.pt"

    @property
    def summary(self) -> Path:
        """The result."""
        return self.path / "summary.json"

    @property
    def weights(self) -> Path:
        """The final weights."""
        return self.path / "model.safetensors"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard events."""
        return self.path / "tensorboard"


def run_directory(out: Path, *, corpus: str, name: str, seed: int, fold: int) -> RunDirectory:
    """The directory of a run; the corpus' name comes from a file, so it is reduced to letters, digits and `._-`."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", corpus).lstrip(".-")[:100] or "corpus"
    return RunDirectory(path=out / safe / name / f"seed{seed}" / f"fold{fold}")


def claim(run: RunDirectory, *, config: Json, resume: bool, overwrite: bool) -> None:
    """Make the directory ready for a run with this configuration.

    Raises:
        RunDirectoryError: it holds a finished run, an unfinished one without `resume`, one with another configuration,
            or files that are no run.
    """
    if overwrite:
        clear(run)
    if run.summary.exists():
        raise RunDirectoryError(f"{run.path}: holds a finished run; give --overwrite to train it again.")
    _check_unfinished(run, config=config, resume=resume)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunDirectoryError(f"{run.path}: cannot be made ({error.strerror}); choose another --out.") from error
    write_json(run.config, config)


def can_be_kept(run: RunDirectory, *, config: Json, resume: bool) -> bool:
    """Whether a finished run with this configuration is there; else one can begin or, with `resume`, go on.

    Raises:
        RunDirectoryError: it holds a finished run with another configuration, or what `claim` refuses.
    """
    if not (run.summary.exists() and run.config.exists()):
        _check_unfinished(run, config=config, resume=resume)
        return False
    differences = _differences(read_json(run.config), json.loads(json.dumps(config)))
    if differences:
        raise RunDirectoryError(
            f"{run.path}: the finished run there differs in {'; '.join(differences)}. Give the same arguments and "
            "shards to keep it, another --out, or --overwrite to train all runs again."
        )
    return True


def _check_unfinished(run: RunDirectory, *, config: Json, resume: bool) -> None:
    if run.config.exists():
        if not resume:
            raise RunDirectoryError(f"{run.path}: holds an unfinished run; give --resume or --overwrite.")
        differences = _differences(read_json(run.config), json.loads(json.dumps(config)))
        if differences:
            raise RunDirectoryError(
                f"{run.path}: the run there differs in {'; '.join(differences)}. "
                "Resume it with the same arguments and shards, or give --overwrite."
            )
    elif _holds_something(run):
        raise RunDirectoryError(f"{run.path}: not empty and not a run; move its files, or choose another --out.")


def check_clear(run: RunDirectory) -> None:
    """Refuse what `clear` leaves alone.

    Raises:
        RunDirectoryError: the directory holds something else than a run.
    """
    if _holds_something(run) and not run.config.exists():
        raise RunDirectoryError(f"{run.path}: not a run (no config.json), so --overwrite leaves it alone.")


def clear(run: RunDirectory) -> None:
    """Delete the run that is there, if one is.

    Raises:
        RunDirectoryError: the directory holds something else.
    """
    check_clear(run)
    if not run.path.exists():
        return
    # config.json goes last: until then, what is left is still a run to overwrite
    for path in sorted(run.path.iterdir(), key=lambda path: path == run.config):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _holds_something(run: RunDirectory) -> bool:
    """Whether there is more than what a killed run was about to write."""
    return run.path.exists() and any(path.suffix != TEMPORARY_SUFFIX for path in run.path.iterdir())


def _differences(old: Json, new: Json) -> list[str]:
    names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return [f"{name} ({str(old.get(name))[:60]} there, {str(new.get(name))[:60]} here)" for name in names]


def config_hash(config: Json) -> str:
    """A digest of a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def save_checkpoint(run: RunDirectory, state: Json) -> None:
    """Replace the checkpoint. `state` holds tensors, numbers, strings, lists and dictionaries only.

    The file begins with the sha256 of what follows: torch does not notice a flipped bit.
    """
    content = io.BytesIO()
    torch.save(state, content)
    replace_file(run.checkpoint, _digest(content.getvalue()) + content.getvalue())


def load_checkpoint(run: RunDirectory, *, config: Json) -> Json | None:
    """The last state that was kept, on the CPU; None if there is none.

    Raises:
        RunDirectoryError: the file is damaged, or is of another configuration or version.
    """
    state = read_checkpoint(run)
    if state is not None and state["config_hash"] != config_hash(config):
        raise RunDirectoryError(f"{run.checkpoint}: of another configuration; give --overwrite to start again.")
    return state


def read_checkpoint(run: RunDirectory) -> Json | None:
    """The last state that was kept, of whatever configuration.

    Raises:
        RunDirectoryError: the file is damaged, or is of another version.
    """
    if not run.checkpoint.exists():
        return None
    content = run.checkpoint.read_bytes()
    digest, content = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if digest != _digest(content):
        raise RunDirectoryError(f"{run.checkpoint}: damaged; give --overwrite to start again.")
    state: Json = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    if "progress" not in state:
        raise RunDirectoryError(
            f"{run.checkpoint}: of an older fer-train; finish the run with that, or give --overwrite to start again."
        )
    return state


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def save_weights(run: RunDirectory, weights: Mapping[str, Tensor]) -> None:
    """The final weights as model.safetensors."""
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    replace_file(run.weights, content)


def write_json(path: Path, data: Json) -> None:
    """Replace a JSON file."""
    replace_file(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Replace a CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    replace_file(path, text.getvalue().encode())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file in one step: after a crash at any moment, the old one or the new one is there.

    Raises:
        RunDirectoryError: the file system refuses.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunDirectoryError(
            f"{path}: cannot be written ({error.strerror}); make room there, or choose another --out."
        ) from error


def read_json(path: Path) -> Json:
    """What a JSON file of a run directory holds.

    Raises:
        RunDirectoryError: it is not readable, or no object.
    """
    try:
        data: Json = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunDirectoryError(f"{path}: not readable ({error}); give --overwrite to start again.") from error
    if not isinstance(data, dict):
        raise RunDirectoryError(f"{path}: not the configuration of a run; give --overwrite to start again.")
    return data
