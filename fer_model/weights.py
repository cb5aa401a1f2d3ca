"""The first weights of a network from a file: torchvision's, a published checkpoint, or a run of ours."""

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fer_model.errors import ArgumentError

COUNTERS = "num_batches_tracked"
"""Of BatchNorm, in newer files only; nothing is computed with them."""


class WithBackbone(Protocol):
    """A network that knows which of its weights say something of other data than its own."""

    BACKBONE: tuple[str, ...]
    """Prefixes of the weights that a file must have, all of them. Where there is one, files may lack it."""
    CLASSIFIER: str
    """Prefix of the last layer, which is never taken: its classes are others."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What a network takes from a file."""

    taken: Mapping[str, Tensor]
    """By the network's names."""
    drawn: tuple[str, ...]
    """What the file does not have: it stays as it was drawn."""
    left: tuple[str, ...]
    """What the network has no place for, by the file's names."""

    def __str__(self) -> str:
        return (
            f"{len(self.taken)} tensors taken; drawn anew: {_listed(self.drawn)}; "
            f"left in the file: {_listed(self.left)}"
        )


def file_sha256(path: Path) -> str:
    """Digest of a file of weights.

    Raises:
        ArgumentError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArgumentError(f"--weights {path}: cannot be read ({error.strerror}).") from error


def weights_for(network: nn.Module, path: Path) -> Weights:
    """What a network takes from a file: every tensor whose name and shape fit, but for the last layer.

    Names fit as they are, or after the prefix of the network's backbone; `module.` before all of them is dropped.

    Raises:
        ArgumentError: the file is not readable, or lacks a part of the network's backbone.
    """
    backbone, classifier = cast(WithBackbone, network).BACKBONE, cast(WithBackbone, network).CLASSIFIER
    stored = read_tensors(path)
    source: dict[str, str] = {}  # the file's name of each of ours
    other_shape: list[str] = []
    own = network.state_dict()
    for name, tensor in own.items():
        names = [name] if len(backbone) > 1 else [name, name.removeprefix(backbone[0])]
        found = [n for n in names if n in stored]
        if name.startswith(classifier) or not found:
            continue
        if stored[found[0]].shape == tensor.shape:
            source[name] = found[0]
        else:
            other_shape.append(f"{found[0]} ({_shape(stored[found[0]])} there, {_shape(tensor)} here)")
    missing = [
        name for name in own
        if name.startswith(backbone) and name not in source and not name.endswith(COUNTERS)
    ]  # fmt: skip
    if missing:
        why = f"of another shape: {_listed(other_shape)}" if other_shape else f"missing: {_listed(missing)}"
        raise ArgumentError(
            f"--weights {path}: does not fit this network; {why}. Expected all weights of its backbone, "
            "as of the same network in torchvision or of a run of the same --model and --preset."
        )
    return Weights(
        taken={name: stored[theirs] for name, theirs in source.items()},
        drawn=tuple(name for name in own if name not in source and not name.endswith(COUNTERS)),
        left=tuple(name for name in stored if name not in source.values()),
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a .safetensors file, or of what torch.save wrote: by itself, or as `state_dict` in it.

    Raises:
        ArgumentError: it is not readable, or holds no tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            content: object = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ArgumentError(f"--weights {path}: cannot be read ({error.strerror or error}).") from error
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        # of a pickle, torch says at length how to load it unsafely
        text = "" if isinstance(error, pickle.UnpicklingError) else f" ({' '.join(str(error).split())[:120]})"
        raise ArgumentError(
            f"--weights {path}: not a file of weights{text}; expected .safetensors, or a .pth of tensors only."
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    tensors = content if isinstance(content, dict) else {}
    found = {str(name).removeprefix("module."): x for name, x in tensors.items() if isinstance(x, Tensor)}
    if not found:
        raise ArgumentError(f"--weights {path}: holds no tensors by name; expected a state dict.")
    return found


def take(network: nn.Module, weights: Weights) -> None:
    """Put the tensors of a file into a network."""
    network.load_state_dict(weights.taken, strict=False)


def _listed(names: "list[str] | tuple[str, ...]") -> str:
    """A few of them, and how many more there are."""
    if not names:
        return "nothing"
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _shape(x: Tensor) -> str:
    return "×".join(map(str, x.shape)) or "a number"
