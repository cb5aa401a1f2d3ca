"""How much faster the fast cell is than the literal equations, forward and backward, both timed in this process.

Usage: cells.py [--data DIR] [--json FILE]. Prints a table of ratios; FILE gets {name: {value, goal, better}}.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from fer_model.cells import EnhancedConvLSTM
from fer_model.config import Variant

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "model"))
from literal import LiteralLayer

ROUNDS = 9
GOAL = 1.0
N_STEPS = 16
# clips, input channels, hidden channels, kernel, side: the first and third layers of preset small, a middle-sized one
LAYERS = {
    "small-1": (16, 3, 8, 3, 16),
    "small-3": (16, 16, 16, 3, 4),
    "middle": (4, 16, 16, 5, 28),
}


@click.command()
@click.option("--data", expose_value=False, help="Taken by every benchmark; this one needs no videos.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the ratios here.")
def main(json_file: Path | None) -> None:
    """Time the fast layer against the literal one for every variant and a few shapes of layers."""
    measures = {}
    print(f"{'layer':10}{'variant':10}{'literal ms':>12}{'fast ms':>10}{'ratio':>8}   (medians of {ROUNDS})")
    for name, shape in LAYERS.items():
        for variant in Variant:
            literal_s, fast_s = medians(*passes(variant, shape))
            ratio = literal_s / fast_s
            print(f"{name:10}{variant:10}{literal_s * 1e3:12.1f}{fast_s * 1e3:10.1f}{ratio:8.2f}")
            measures[f"cell-{name}-{variant}"] = {"value": round(ratio, 3), "goal": GOAL, "better": "higher"}
    if json_file is not None:
        json_file.write_text(json.dumps(measures, indent=2) + "\n")


def passes(variant: Variant, shape: tuple[int, int, int, int, int]) -> tuple[Callable[[], None], Callable[[], None]]:
    """A forward and backward pass of the literal and of the fast layer, with equal weights, on equal inputs."""
    n_clips, in_channels, hidden_channels, kernel_size, side = shape
    fast = EnhancedConvLSTM(
        in_channels=in_channels,
        hidden_channels=hidden_channels,
        kernel_size=kernel_size,
        height=side,
        width=side,
        spatial_skip=variant.spatial_skip,
        temporal_skip=variant.temporal_skip,
        norm_groups=4 if variant.spatial_skip or variant.temporal_skip else None,
    )
    x_TBCHW = torch.randn(N_STEPS, n_clips, in_channels, side, side).requires_grad_()
    literal = LiteralLayer(fast)
    return (lambda: one_pass(literal, x_TBCHW)), (lambda: one_pass(fast, x_TBCHW))


def one_pass(layer: nn.Module, x_TBCHW: Tensor) -> None:
    """Forward, then backward into the weights and the input."""
    layer.zero_grad(set_to_none=True)
    x_TBCHW.grad = None
    layer(x_TBCHW).square().sum().backward()


def medians(a: Callable[[], None], b: Callable[[], None]) -> tuple[float, float]:
    """Median seconds of each, run in turns after one round that only touches the memory."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for round_ in range(ROUNDS + 1):
        for run, collected in zip((a, b), seconds, strict=True):
            started = time.perf_counter()
            run()
            if round_ > 0:
                collected.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


if __name__ == "__main__":
    main()
