"""From a TrainConfig to the objects that train: the only place where configuration becomes plain arguments."""

import math
import os
from collections.abc import Iterable

import torch
from torch import nn

from fer_model.baselines.cnn_lstm import CnnLstm
from fer_model.baselines.fan import FrameAttentionNetwork
from fer_model.baselines.r3d import R3d
from fer_model.baselines.svm import LbpTopSvm
from fer_model.config import Model, TrainConfig
from fer_model.errors import ArgumentError
from fer_model.network import Recompute, TwoStreamNetwork

SMALL_INPUT = 32
"""Side of the input, pixels, up to which a second thread gains nothing, and halving it in a stem loses too much."""
LBP_RADIUS_FRAMES = 1


def build_network(config: TrainConfig, *, n_classes: int, recompute: Recompute = "nothing") -> nn.Module:
    """The network of a configuration, its weights drawn from torch's generator.

    It takes (rgb_BTCHW, flow_BTCHW) as `fer_model.inputs.network_inputs` makes them, and gives logits_BK.
    """
    bf16 = config.precision == "bf16"
    match config.model:
        case Model.TWO_STREAM:
            return build_two_stream(config, n_classes=n_classes, recompute=recompute)
        case Model.CNN_LSTM:
            return CnnLstm(
                n_classes=n_classes,
                input_size=config.input_size,
                channels=config.channels,
                depths=config.depths,
                hidden_features=config.hidden_features[0],
                bf16=bf16,
            )
        case Model.FAN | Model.R3D18:
            network = FrameAttentionNetwork if config.model is Model.FAN else R3d
            return network(
                n_classes=n_classes,
                input_size=config.input_size,
                channels=config.channels,
                depths=config.depths,
                stem_kernel=config.kernels[0],
                stem_halves=config.input_size > SMALL_INPUT,
                bf16=bf16,
            )
        case Model.LBP_TOP:
            return LbpTopSvm(
                n_classes=n_classes,
                input_size=config.input_size,
                radius_px=config.kernels[0] // 2,
                radius_frames=LBP_RADIUS_FRAMES,
                blocks=config.blocks,
            )


def build_two_stream(config: TrainConfig, *, n_classes: int, recompute: Recompute = "nothing") -> TwoStreamNetwork:
    """The paper's network. Variant (a) has no GroupNorm."""
    variant = config.variant
    assert variant is not None
    return TwoStreamNetwork(
        n_classes=n_classes,
        input_size=config.input_size,
        channels=config.channels,
        kernels=config.kernels,
        spatial_skip=variant.spatial_skip,
        temporal_skip=variant.temporal_skip,
        norm_groups=config.norm_groups if variant.spatial_skip or variant.temporal_skip else None,
        hidden_features=config.hidden_features,
        recompute=recompute,
        bf16=config.precision == "bf16",
    )


def build_optimizer(config: TrainConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a configuration."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)


def learning_rate(config: TrainConfig, *, done: float) -> float:
    """Learning rate when the share `done` (0 to 1) of all steps is behind."""
    return config.lr if config.schedule == "constant" else config.lr * (1 + math.cos(math.pi * done)) / 2


def preset_for(device: torch.device) -> str:
    """The preset that can be trained on a device: the paper's network is too large for a CPU."""
    return "small" if device.type == "cpu" else "paper"


def recompute_on(device: torch.device, *, checkpoint_layers: bool) -> Recompute:
    """What a network on a device computes again on the way back: on a CPU, time is scarcer than memory."""
    if checkpoint_layers:
        return "layers"
    return "steps" if device.type == "cuda" else "nothing"


def computes_bf16(device: torch.device) -> bool:
    """Whether a device has 16-bit arithmetic; a CPU without it emulates it, many times slower than 32 bits."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))


def use_cpu_threads(config: TrainConfig, *, n_processes: int) -> None:
    """Divide the cores among the processes of this machine, and train small networks with one thread.

    Their layers are over before a second thread has woken up: on two free cores, two threads are no faster than one,
    and as soon as another program wants a core they are several times slower, for torch's threads spin while they wait.
    """
    if config.input_size <= SMALL_INPUT:
        torch.set_num_threads(1)
    elif n_processes > 1:
        torch.set_num_threads(max(1, n_cores() // n_processes))


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pick_device(name: str, *, local_rank: int, local_size: int) -> torch.device:
    """The device called `auto` (CUDA if there is one), `cpu` or `cuda`, of one of the processes on this machine.

    Raises:
        ArgumentError: CUDA was asked for, and torch finds none; or there are more processes than CUDA devices.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ArgumentError("--device cuda: torch finds no CUDA device here; take --device cpu.")
    if not available or name == "cpu":
        return torch.device("cpu")
    n_devices = torch.cuda.device_count()
    if local_size > n_devices:
        raise ArgumentError(
            f"{local_size} processes were asked for, and torch finds {n_devices} CUDA devices here: "
            f"take {n_devices}, or --device cpu."
        )
    return torch.device("cuda", local_rank)
