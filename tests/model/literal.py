"""Eq. 2 of the paper, one line per equation and one convolution per weight: the oracle for the fast layer.

Axes: B clips of a batch, T time, C channels, H rows, W columns. Names are those of the paper: `Wxi` convolves x for the
gate i, `Whi` the hidden state, `Wci` is the peephole, `bi` the bias.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, group_norm

from fer_model.cells import EnhancedConvLSTM

LSTM_GATES, SKIP_GATES = "ifoc", "sp"


def literal_weights(layer: EnhancedConvLSTM) -> dict[str, Tensor]:
    """Copies of a fast layer's weights, under the names of the paper, each a leaf that collects its own gradient."""
    weights = named_blocks(
        layer.input_weight, layer.recurrent_weight, layer.bias, layer.peephole_GCHW, layer.spatial_skip
    )
    if layer.norm is not None:
        weights |= {"gamma": layer.norm.weight, "beta": layer.norm.bias}
    return {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}


def named_blocks(
    input_weight: Tensor, recurrent_weight: Tensor, bias: Tensor, peephole_GCHW: Tensor, spatial_skip: bool
) -> dict[str, Tensor]:
    """The stacked weights (or their gradients) of a fast layer, taken apart."""
    channels = recurrent_weight.shape[1]
    gates = LSTM_GATES + SKIP_GATES[: 2 * (len(recurrent_weight) // channels > 4)]
    blocks = {f"Wx{g}": w for g, w in zip(gates + "r" * spatial_skip, torch.split(input_weight, channels), strict=True)}
    blocks |= {f"Wh{g}": w for g, w in zip(gates, torch.split(recurrent_weight, channels), strict=True)}
    blocks |= {f"b{g}": b for g, b in zip(gates, torch.split(bias, channels), strict=True)}
    blocks |= {f"Wc{g}": w for g, w in zip("ifo", peephole_GCHW, strict=True)}
    return blocks


def literal_layer(
    x_BTCHW: Tensor, w: dict[str, Tensor], *, norm_groups: int | None, nudges: list[Tensor] | None = None
) -> Tensor:
    """Hidden states h_BTCHW; the terms s∘s~, Wxr*x and GroupNorm are there if their weights are.

    A zero is added to each h[t] and put into `nudges`: the derivative by it is the whole derivative by h[t].
    """
    zero = torch.zeros_like(conv2d(x_BTCHW[:, 0], w["Wxi"], padding="same"))
    h1 = h2 = c1 = zero
    states = []
    for x in x_BTCHW.unbind(1):
        i = torch.sigmoid(conv(x, w["Wxi"]) + conv(h1, w["Whi"]) + w["Wci"] * c1 + bias(w["bi"]))
        f = torch.sigmoid(conv(x, w["Wxf"]) + conv(h1, w["Whf"]) + w["Wcf"] * c1 + bias(w["bf"]))
        o = torch.sigmoid(conv(x, w["Wxo"]) + conv(h1, w["Who"]) + w["Wco"] * c1 + bias(w["bo"]))
        c_tilde = torch.tanh(conv(x, w["Wxc"]) + conv(h1, w["Whc"]) + bias(w["bc"]))
        c = f * c1 + i * c_tilde
        h = o * torch.tanh(c)
        if "Wxs" in w:
            s_tilde = torch.tanh(conv(x, w["Wxp"]) + conv(h2, w["Whp"]) + bias(w["bp"]))
            s = torch.sigmoid(conv(x, w["Wxs"]) + conv(h2, w["Whs"]) + bias(w["bs"]))
            h = h + s * s_tilde
        if "Wxr" in w:
            h = h + conv(x, w["Wxr"])
        if norm_groups is not None:
            h = group_norm(h, norm_groups, w["gamma"], w["beta"])
        if nudges is not None:
            nudges.append(torch.zeros_like(h).requires_grad_())
            h = h + nudges[-1]
        states.append(h)
        h1, h2, c1 = h, h1, c
    return torch.stack(states, dim=1)


class LiteralLayer(nn.Module):
    """`literal_layer` with the weights and the (T,B,C,H,W) interface of a fast layer, to put in its place."""

    def __init__(self, layer: EnhancedConvLSTM) -> None:
        super().__init__()
        self.w = nn.ParameterDict({name: nn.Parameter(weight) for name, weight in literal_weights(layer).items()})
        self.norm_groups = None if layer.norm is None else layer.norm.num_groups
        self.nudges: list[Tensor] | None = None
        """A list is filled by each pass, see `literal_layer`."""

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Hidden states h_TBCHW."""
        h_BTCHW = literal_layer(
            x_TBCHW.transpose(0, 1), dict(self.w.items()), norm_groups=self.norm_groups, nudges=self.nudges
        )
        return h_BTCHW.transpose(0, 1)


def conv(x_BCHW: Tensor, weight: Tensor) -> Tensor:
    return conv2d(x_BCHW, weight, padding="same")


def bias(b: Tensor) -> Tensor:
    return b[:, None, None]
