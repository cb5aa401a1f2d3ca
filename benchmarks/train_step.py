"""How long a training step takes in the fast form, beside the literal equations and beside a layer as people write it.

Usage: train_step.py [--data DIR] [--json FILE] [--compiled] [--paper]. Prints a table of ratios; FILE gets
{name: {value, goal, better}}. Forward and backward, T = 16, one thread, all forms in turns in this process after a
round that only touches the memory; medians of processor time, which other programs on the machine do not add to. The
machine's own rates of multiplying matrices are measured in the same rounds. 16-bit forms are timed only on processors
that compute in 16 bits.
"""

import copy
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import torch
from lib.allocated import peak_mb
from lib.plain_layer import PlainConvLSTM
from lib.report import Measure, report
from torch import Tensor, nn
from torch.nn.functional import conv2d

from fer_model.build import computes_bf16
from fer_model.cells import EnhancedConvLSTM
from fer_model.compiling import compile_steps
from fer_model.config import Variant
from fer_model.network import Recompute, Stream, flops_per_clip

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "model"))
from literal import LiteralLayer

N_STEPS = 16
SIDE = 1024  # of the matrices whose product tells the machine's rate
FP32, BF16, PEER_FP32, PEER_BF16, MEMORY = 1.4, 2.2, 1.2, 2.2, 0.6


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A stream and a batch."""

    side: int
    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    n_clips: int
    rounds: int
    in_channels: int = 3

    @property
    def clips(self) -> tuple[int, ...]:
        """Shape of a batch, (B, T, C, H, W)."""
        return self.n_clips, N_STEPS, self.in_channels, self.side, self.side


MIDDLE = Shape(side=64, channels=(16, 32, 32, 64), kernels=(5, 5, 3, 3), n_clips=2, rounds=9)
SMALL = Shape(side=16, channels=(8, 16, 16, 32), kernels=(3, 3, 3, 3), n_clips=16, rounds=21)
PAPER = Shape(side=112, channels=(64, 64, 128, 128), kernels=(5, 5, 3, 3), n_clips=1, rounds=3)


@click.command()
@click.option("--data", expose_value=False, help="Taken by every benchmark; this one needs no videos.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the ratios here.")
@click.option("--compiled", is_flag=True, help="Also time compiled steps: minutes of compiling first.")
@click.option("--paper", is_flag=True, help="Also time the paper's stream at 112×112: a quarter of an hour.")
def main(json_file: Path | None, compiled: bool, paper: bool) -> None:
    """Time the forms on every shape, and count what they keep."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    measures: dict[str, Measure] = {}
    goals: dict[str, dict[str, float]] = {
        "small": {},
        "64": {"fast, fp32": FP32, "compiled, fp32": FP32, "fast, bf16": BF16, "compiled, bf16": BF16},
        "112": {"fast, bf16": BF16, "compiled, bf16": BF16},
    }
    shapes = {"small": SMALL, "64": MIDDLE} | ({"112": PAPER} if paper else {})
    for name, shape in shapes.items():
        forms = forms_of(shape, compiled=compiled)
        measures |= timed(name, "literal", forms, shape, goals[name])
    of_peer = {"variant a, fp32": PEER_FP32, "variant a, bf16": PEER_BF16}
    measures |= timed("peer", "plain", peer_forms(MIDDLE, compiled=compiled), MIDDLE, of_peer)
    measures |= memory(MIDDLE)
    report(measures, json_file, title="literal / fast, forward and backward, one thread, medians of processor time")


def stream(shape: Shape, *, variant: Variant = Variant.ENHANCED, recompute: Recompute = "nothing") -> Stream:
    """The fast form."""
    return Stream(
        in_channels=shape.in_channels, input_size=shape.side, channels=shape.channels, kernels=shape.kernels,
        spatial_skip=variant.spatial_skip, temporal_skip=variant.temporal_skip,
        norm_groups=None if variant is Variant.CONVLSTM else 4, recompute=recompute,
    )  # fmt: skip


def literal(fast: Stream) -> Stream:
    """The same stream with its layers in the literal form."""
    slow = copy.deepcopy(fast)
    slow.layers = nn.ModuleList(LiteralLayer(layer) for layer in fast.layers if isinstance(layer, EnhancedConvLSTM))
    return slow


def forms_of(shape: Shape, *, compiled: bool) -> dict[str, nn.Module]:
    """Streams with equal weights, by form."""
    fast = stream(shape)
    forms: dict[str, nn.Module] = {"literal": literal(fast), "fast": fast}
    forms["steps recomputed"] = stream(shape, recompute="steps")
    forms["steps recomputed"].load_state_dict(fast.state_dict())
    if compiled:
        forms["compiled"] = copy.deepcopy(fast)
        compile_steps(forms["compiled"], n_clips=shape.n_clips)
    return forms


def peer_forms(shape: Shape, *, compiled: bool) -> dict[str, nn.Module]:
    """Variant (a), and layers of as much work as people write them."""
    fast = stream(shape, variant=Variant.CONVLSTM)
    plain = copy.deepcopy(fast)
    in_channels = (shape.in_channels, *shape.channels)
    plain.layers = nn.ModuleList(
        PlainConvLSTM(in_channels=n_in, hidden_channels=n, kernel_size=kernel)
        for n_in, n, kernel in zip(in_channels, shape.channels, shape.kernels, strict=False)
    )
    forms: dict[str, nn.Module] = {"plain": plain, "variant a": fast}
    if compiled:
        forms["variant a, compiled"] = copy.deepcopy(fast)
        compile_steps(forms["variant a, compiled"], n_clips=shape.n_clips)
    return forms


def timed(
    name: str, base: str, forms: Mapping[str, nn.Module], shape: Shape, goals: Mapping[str, float]
) -> dict[str, Measure]:
    """Ratios of the first form's seconds to the others'."""
    x_BTCHW = torch.randn(shape.clips)
    precisions = ["fp32", "bf16"] if computes_bf16(torch.device("cpu")) else ["fp32"]
    runs: dict[str, Callable[[], object]] = {
        f"{form}, {precision}": partial(one_pass, module, x_BTCHW, bf16=precision == "bf16")
        for precision in precisions
        for form, module in forms.items()
    }
    for precision in precisions:
        dtype = torch.float32 if precision == "fp32" else torch.bfloat16
        matrix = torch.randn(SIDE, SIDE, dtype=dtype)
        runs[f"matrices, {precision}"] = partial(torch.mm, matrix, matrix)
        runs[f"convolutions alone, {precision}"] = convolutions_alone(
            forms["variant a" if base == "plain" else "fast"], shape, dtype=dtype
        )
    seconds = medians(runs, rounds=shape.rounds)
    first = seconds[f"{base}, fp32"]
    print(f"{name}: " + "; ".join(f"{run} {1e3 * s:,.1f} ms" for run, s in seconds.items()))
    work = flops(forms["variant a" if base == "plain" else "fast"], shape)
    print(f"{name}: {work / 1e9:,.1f} GFLOP; GFLOP/s: " + "; ".join(
        f"{run} {(2 * SIDE**3 if run.startswith('matrices') else work) / s / 1e9:,.0f}" for run, s in seconds.items()
    ))  # fmt: skip
    return {
        f"{name}: {run}": (first / s, goals.get(run), "higher")
        for run, s in seconds.items()
        if not run.startswith((base + ", fp32", "matrices"))
    }


def convolutions_alone(fast: nn.Module, shape: Shape, *, dtype: torch.dtype) -> Callable[[], None]:
    """The convolutions of the fast form and of its way back, with nothing between them: no form can take less."""
    passes = []
    for n, layer in enumerate(m for m in fast.modules() if isinstance(m, EnhancedConvLSTM)):
        height, width = layer.peephole_GCHW.shape[2:]
        frames = torch.randn(N_STEPS, shape.n_clips, layer.input_weight.shape[1], height, width).to(dtype)
        states = torch.randn(N_STEPS - 1, shape.n_clips, layer.hidden_channels, height, width).to(dtype)
        of_input, of_state = (
            weight.detach().to(dtype).requires_grad_() for weight in (layer.input_weight, layer.recurrent_weight)
        )
        at_once = layer.steps_at_once(frames)
        inputs = [(part.flatten(0, 1).requires_grad_(n > 0), of_input) for part in torch.split(frames, at_once)]
        inputs += [(state.requires_grad_(), of_state) for state in states.unbind(0)]
        gradients = [torch.randn(len(x), len(weight), height, width).to(dtype) for x, weight in inputs]
        passes.append((inputs, gradients))

    def run() -> None:
        for inputs, gradients in passes:
            sums = [conv2d(x, weight, padding=weight.shape[-1] // 2) for x, weight in inputs]
            leaves = [x for x, _ in inputs if x.requires_grad]
            torch.autograd.grad(sums, [*leaves, inputs[0][1], inputs[-1][1]], gradients)

    return run


def flops(fast: nn.Module, shape: Shape) -> int:
    """Forward and backward of a batch, without a gradient of the input, and without products with the zero state."""
    weight = next(m for m in fast.modules() if isinstance(m, EnhancedConvLSTM)).input_weight
    of_input = 2 * shape.side**2 * weight.numel() * N_STEPS
    return (3 * flops_per_clip(fast, clip_length=N_STEPS) - of_input) * shape.n_clips


def medians(runs: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median seconds of each, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds + 1):
        for name, run in runs.items():
            started = time.process_time()
            run()
            if round_ > 0:
                seconds[name].append(time.process_time() - started)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def one_pass(module: nn.Module, x_BTCHW: Tensor, *, bf16: bool) -> None:
    """Forward, then backward into the weights."""
    module.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y: Tensor = module(x_BTCHW)
    torch.autograd.backward(y.float().square().sum())


def memory(shape: Shape) -> dict[str, Measure]:
    """What the forms keep, as shares of what the literal form does."""
    forms: dict[str, Callable[[], nn.Module]] = {
        "fast": lambda: stream(shape),
        "steps recomputed": lambda: stream(shape, recompute="steps"),
        "layers recomputed": lambda: stream(shape, recompute="layers"),
    }
    base = peak_mb(lambda: literal(stream(shape)), clips=shape.clips, bf16=False)
    print(f"memory of the literal form above weights and input, fp32: {base:,.0f} MB")
    return {
        f"memory: {name}, {precision}": (
            peak_mb(make, clips=shape.clips, bf16=precision == "bf16") / base,
            MEMORY if precision == "bf16" and name == "steps recomputed" else None,
            "lower",
        )
        for precision in ("fp32", "bf16")
        for name, make in forms.items()
    }


if __name__ == "__main__":
    main()
