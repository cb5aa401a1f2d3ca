"""Compile the time step of the layers: a few fused kernels, and gates recomputed in backward instead of stored.

Only `advance` is compiled, for each shape of layer. A whole layer of sixteen steps takes many minutes to compile, and
what is gained is in the step: convolutions stay the library's.
"""

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from fer_model.cells import EnhancedConvLSTM
from fer_model.errors import ArgumentError
from fer_model.recurrence import advance

GRAPHS = 256
"""How many shapes of `advance` may be compiled; torch's own limit, 8, is for functions that should have had one."""


def wants_compiling(choice: str, *, device: torch.device) -> bool:
    """Whether `--compile` auto, on or off means to compile: auto does on a GPU.

    On a CPU, convolutions take most of the time: a step gains less than a sixth, after minutes of compiling
    (docs/performance.md).

    Raises:
        ArgumentError: `choice` is on, and what compiling needs is missing.
    """
    found = any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++") if name)
    if device.type == "cuda":
        found = found and find_spec("triton") is not None
    if choice == "on" and not found:
        raise ArgumentError(
            "--compile on: needs a C++ compiler ($CXX, g++ or clang++) and, on a GPU, triton; install what is missing, "
            "or take --compile off."
        )
    return choice == "on" or (choice == "auto" and device.type == "cuda" and found)


def compile_steps(network: nn.Module, *, n_clips: int, backend: str | Callable[..., Any] = "inductor") -> None:
    """Let the layers of a network take compiled steps for training batches of `n_clips` clips.

    Other batches (the last one of an epoch, evaluation) take the plain step: each size would be compiled anew.
    Compiling happens in the first step.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, GRAPHS)
    compiled = torch.compile(advance, dynamic=False, backend=backend)
    for layer in network.modules():
        if isinstance(layer, EnhancedConvLSTM):
            layer.compiled, layer.compiled_clips = compiled, n_clips
