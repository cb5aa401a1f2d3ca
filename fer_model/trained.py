"""A finished run, read back: its network with the final weights, and what it was trained on."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from fer_model import rundir
from fer_model.build import build_network
from fer_model.config import Model, TrainConfig, Variant
from fer_model.errors import RunDirectoryError
from fer_model.rundir import Json, RunDirectory


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The network of a finished run, on the CPU and in evaluation mode."""

    run: RunDirectory
    network: nn.Module
    """Takes (rgb_BTCHW, flow_BTCHW) as `fer_model.inputs.network_inputs` makes them, gives logits_BK."""
    config: TrainConfig
    corpus: str
    fold: int
    classes: tuple[str, ...]
    clip_length: int
    aligner: str
    recipe: Json
    """Of the shards it was trained on."""
    note: str | None
    """What must be said beside every number of this run."""


def load_trained(path: Path) -> Trained:
    """The finished run in the directory `path`.

    Raises:
        RunDirectoryError: it is no run, is not finished, or its files are damaged or of another version.
    """
    run = RunDirectory(path=path)
    if not run.config.exists():
        raise RunDirectoryError(f"{path}: not a run (no config.json); expected a directory such as {_example(path)}.")
    if not run.summary.exists():
        raise RunDirectoryError(f"{path}: this run is not finished; fer-train with --resume finishes it.")
    data, summary = rundir.read_json(run.config), rundir.read_json(run.summary)
    try:
        config = _config_of(data)
        network = build_network(config, n_classes=len(data["classes"]))
        network.load_state_dict(load_file(run.weights))
        return Trained(
            run=run,
            network=network.eval(),
            config=config,
            corpus=data["corpus"],
            fold=data["fold"],
            classes=tuple(data["classes"]),
            clip_length=data["clip_length"],
            aligner=data["aligner"],
            recipe=data["recipe"],
            note=summary["note"],
        )
    except OSError as error:
        raise RunDirectoryError(f"{run.weights}: cannot be read ({error.strerror or error}); train again.") from error
    except SafetensorError as error:
        raise RunDirectoryError(f"{run.weights}: not a file of weights ({error}); train again.") from error
    except (KeyError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise RunDirectoryError(
            f"{run.config}: not a configuration of this version ({type(error).__name__}: {text}); train again."
        ) from error
    except RuntimeError as error:  # of load_state_dict
        text = " ".join(str(error).split())[:200]
        raise RunDirectoryError(f"{run.weights}: does not fit {run.config} ({text}); train again.") from error


def _example(path: Path) -> str:
    """A run below a directory of runs, if that is what was named."""
    for depth in range(1, 5):
        for config in sorted(path.glob("*/" * depth + "config.json")):
            return str(config.parent)
    return "runs/enterface/enhanced/seed0/fold1"


def _config_of(data: Json) -> TrainConfig:
    """The configuration that config.json was made from.

    Raises:
        KeyError, ValueError: a value is missing, or is none of this version's.
    """
    values = {field.name: data[field.name] for field in dataclasses.fields(TrainConfig)}
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    model = Model(values["model"])
    variant = Variant(values["variant"]) if model is Model.TWO_STREAM else None
    return TrainConfig(**values | lists | {"model": model, "variant": variant})
