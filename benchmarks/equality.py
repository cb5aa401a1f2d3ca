"""How far the fast layer is from the literal equations: hidden states and every gradient, for all variants and lengths.

Usage: equality.py [--data DIR] [--json FILE]. Prints the largest relative differences found; FILE gets
{name: {value, goal, better}}. In float64, of the fast form and of the one that computes its steps again; then what
16 bits change in a network of the paper's depth, forward and in the norm of its gradients.
"""

import sys
from pathlib import Path

import click
import torch
from lib.report import Measure, report
from torch import Tensor

from fer_model.cells import EnhancedConvLSTM
from fer_model.config import Variant
from fer_model.network import Stream

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "model"))
from literal import literal_layer, literal_weights, named_blocks

EQUAL, NEAR = 1e-9, 2e-2
LENGTHS = range(1, 21)
SIDES = ((1, 2), (5, 7))
GROUPS = 2


@click.command()
@click.option("--data", expose_value=False, help="Taken by every benchmark; this one needs no videos.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the differences here."
)
def main(json_file: Path | None) -> None:
    """Compare, and report."""
    torch.manual_seed(0)
    measures: dict[str, Measure] = {}
    for name, recompute in (("fast", False), ("steps recomputed", True)):
        for variant in Variant:
            found = [
                differences(variant, n_steps=n_steps, sides=sides, n_clips=n_clips, recompute=recompute)
                for n_steps in LENGTHS
                for sides in SIDES
                for n_clips in (1, 3)
            ]
            measures[f"{name}, {variant}: h"] = (max(h for h, _ in found), EQUAL, "lower")
            measures[f"{name}, {variant}: gradients"] = (max(g for _, g in found), EQUAL, "lower")
    for variant in Variant:
        forward, backward = in_16_bits(variant)
        measures[f"bf16, {variant}: features"] = (forward, NEAR, "lower")
        measures[f"bf16, {variant}: gradients"] = (backward, None, "lower")
    report(measures, json_file, title="largest relative differences, of norms")


def differences(
    variant: Variant, *, n_steps: int, sides: tuple[int, int], n_clips: int, recompute: bool
) -> tuple[float, float]:
    """Of the hidden states, and the largest of the input's and all weights' gradients."""
    height, width = sides
    groups = None if variant is Variant.CONVLSTM else GROUPS
    layer = EnhancedConvLSTM(
        in_channels=3, hidden_channels=4, kernel_size=5 if height > 5 else 3, height=height, width=width,
        spatial_skip=variant.spatial_skip, temporal_skip=variant.temporal_skip, norm_groups=groups,
        recompute_steps=recompute,
    ).double()  # fmt: skip
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.5)
    x_TBCHW = torch.randn(n_steps, n_clips, 3, height, width, dtype=torch.float64, requires_grad=True)
    x_BTCHW = x_TBCHW.detach().transpose(0, 1).clone().requires_grad_()
    weights = literal_weights(layer)

    fast_TBCHW: Tensor = layer(x_TBCHW)
    literal_TBCHW = literal_layer(x_BTCHW, weights, norm_groups=groups).transpose(0, 1)
    seed = torch.randn_like(fast_TBCHW)
    torch.autograd.backward(fast_TBCHW, seed)
    torch.autograd.backward(literal_TBCHW, seed)

    stacked = [gradient(w) for w in (layer.input_weight, layer.recurrent_weight, layer.bias, layer.peephole_GCHW)]
    gradients = named_blocks(stacked[0], stacked[1], stacked[2], stacked[3], layer.spatial_skip)
    if layer.norm is not None:
        gradients |= {"gamma": gradient(layer.norm.weight), "beta": gradient(layer.norm.bias)}
    pairs = [(found, gradient(weights[name])) for name, found in gradients.items()]
    pairs.append((gradient(x_TBCHW), gradient(x_BTCHW).transpose(0, 1)))
    return apart(fast_TBCHW, literal_TBCHW), max(apart(found, expected) for found, expected in pairs)


def in_16_bits(variant: Variant) -> tuple[float, float]:
    """How far a stream's features and gradients in bf16 are from those in float32."""
    stream = Stream(
        in_channels=3, input_size=32, channels=(8, 8, 16, 16), kernels=(5, 5, 3, 3),
        spatial_skip=variant.spatial_skip, temporal_skip=variant.temporal_skip,
        norm_groups=None if variant is Variant.CONVLSTM else GROUPS,
    )  # fmt: skip
    x_BTCHW = torch.randn(2, 16, 3, 32, 32)
    results = []
    for bf16 in (False, True):
        stream.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features = stream(x_BTCHW).float()
        torch.autograd.backward(features.square().sum())
        results.append((features.detach(), torch.cat([gradient(p).flatten() for p in stream.parameters()])))
    (exact, exact_gradient), (rounded, rounded_gradient) = results
    return apart(rounded, exact), apart(rounded_gradient, exact_gradient)


def gradient(weight: Tensor) -> Tensor:
    """Of a weight, zero if nothing depends on it."""
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def apart(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference, relative to the expected one's; where that is zero, the norm itself."""
    found, expected = found.detach(), expected.detach()
    return float((found - expected).norm()) / (float(expected.norm()) or 1.0)


if __name__ == "__main__":
    main()
