"""How large the gradients are that reach the hidden states of a network, for each stream, layer and time step.

Evidence for the paper's claim that temporal skips carry gradients to earlier frames.

Axes: S streams, L layers, T time, B clips of a batch, C channels, H rows, W columns.
"""

from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn

from fer_model.cells import EnhancedConvLSTM
from fer_model.network import TwoStreamNetwork
from fer_model.ranks import Ranks

STREAMS = ("rgb", "flow")
Norms: TypeAlias = list[list[list[float]]]
"""[stream][layer][t], in the order of STREAMS; layers and time steps from the first."""
HEADER = ("epoch", "stream", "layer", "t", "norm")


class GradientLog:
    """Notes, on the way back of each step, the gradients that arrive at the hidden states.

    The norm of a clip at (stream, layer, t) is the L2 norm, over channels and locations, of the derivative of this
    clip's own cross-entropy by its h[t]: all of it, through later time steps and from the layer above. Clips of a batch
    do not act on each other, so what is noted depends neither on the batch size nor on the number of processes. It
    costs no pass of its own, and changes no gradient.

    Args:
        network: a TwoStreamNetwork, whose layers are watched from now on.
        clip_length: T.
        device: where the network is.
    """

    def __init__(self, network: nn.Module, *, clip_length: int, device: torch.device) -> None:
        assert isinstance(network, TwoStreamNetwork)
        streams = (network.rgb, network.flow)
        self._sums_SLT = torch.zeros(
            len(streams), len(network.rgb.layers), clip_length, dtype=torch.float64, device=device
        )
        for s, stream in enumerate(streams):
            for number, layer in enumerate(stream.layers):
                assert isinstance(layer, EnhancedConvLSTM)
                layer.watch = partial(self._arrived, s, number)

    def _arrived(self, stream: int, layer: int, t: int, dh_BCHW: Tensor) -> None:
        exact = torch.promote_types(dh_BCHW.dtype, torch.float32)
        norms_B = torch.linalg.vector_norm(dh_BCHW.detach(), dim=(1, 2, 3), dtype=exact)
        self._sums_SLT[stream, layer, t] += norms_B.sum()

    def take(self, *, n_clips: int, ranks: Ranks) -> Norms:
        """Sums of the norms over all clips of the step that is over, the same on every rank.

        Args:
            n_clips: of the step on all ranks. The loss that was differentiated is the mean over them, and on each of
                several ranks, whose gradients are averaged, that times their number.
        """
        sums_SLT = self._sums_SLT * (n_clips / ranks.size)
        self._sums_SLT.zero_()
        return _nested(torch.tensor(ranks.sum(*sums_SLT.flatten().tolist()), dtype=torch.float64).view_as(sums_SLT))


def added(a: Norms, b: Norms) -> Norms:
    """The sums of two sets of norms; an empty one is zero."""
    return _nested(_tensor(a) + _tensor(b)) if a else b


def divided(sums: Norms, n_clips: int) -> Norms:
    """Means over clips."""
    return _nested(_tensor(sums) / n_clips)


def gradient_rows(epochs: list[Norms]) -> list[tuple[int, str, int, int, str]]:
    """Rows of gradients.csv, under HEADER: epochs and layers are counted from 1, time steps from 0."""
    return [
        (epoch, name, layer, t, f"{norm:.6g}")
        for epoch, norms in enumerate(epochs, 1)
        for name, layers in zip(STREAMS, norms, strict=True)
        for layer, steps in enumerate(layers, 1)
        for t, norm in enumerate(steps)
    ]


def _tensor(norms: Norms) -> Tensor:
    return torch.tensor(norms, dtype=torch.float64)


def _nested(norms_SLT: Tensor) -> Norms:
    nested: Norms = norms_SLT.tolist()
    return nested
