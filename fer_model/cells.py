"""The Enhanced ConvLSTM layer: a sequence of feature maps in, a sequence of hidden states out.

Axes: T time, B clips of a batch, C channels, H rows, W columns, G gates.

Fast form of eq. 2 of the paper. The input convolutions do not depend on time: all T frames go through one convolution
for all of their weights. h[t] goes through one convolution for all recurrent weights; the LSTM part of the result is
used at t+1, the temporal skip's part at t+2. The literal form, one line per equation, is tests/model/literal.py.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d


class EnhancedConvLSTM(nn.Module):
    """One layer of eq. 2, with only the terms (and the cost) of the variant asked for.

        i = σ(Wxi*x + Whi*h1 + Wci∘c1 + bi)      c~ = tanh(Wxc*x + Whc*h1 + bc)
        f = σ(Wxf*x + Whf*h1 + Wcf∘c1 + bf)      c  = f∘c1 + i∘c~
        o = σ(Wxo*x + Who*h1 + Wco∘c1 + bo)
        s = σ(Wxs*x + Whs*h2 + bs)               s~ = tanh(Wxp*x + Whp*h2 + bp)
        h = GroupNorm(o∘tanh(c) + s∘s~ + Wxr*x)

    where h1, c1 are one step back, h2 two steps, and all are zero before the first step. Convolutions are padded to
    keep H×W. Weights are stacked along the output channels: `input_weight` as i f o c [s s~] [r], `recurrent_weight` as
    i f o c [s s~], `bias` as i f o c [s s~]; `peephole_GCHW` as i f o.

    Args:
        in_channels: channels of the input.
        hidden_channels: channels of c and h.
        kernel_size: side of every kernel, odd.
        height: rows of the input (the peephole weights are one per location).
        width: columns of the input.
        spatial_skip: have the term Wxr*x.
        temporal_skip: have the term s∘s~.
        norm_groups: groups of the GroupNorm; None for none, as in variant (a).

    Raises:
        ValueError: `kernel_size` is even, or `hidden_channels` is no multiple of `norm_groups`.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int,
        height: int,
        width: int,
        spatial_skip: bool,
        temporal_skip: bool,
        norm_groups: int | None,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {kernel_size}")
        self.hidden_channels = hidden_channels
        self.kernel_size = kernel_size
        self.spatial_skip = spatial_skip
        self.temporal_skip = temporal_skip
        self.n_gates = 6 if temporal_skip else 4
        n_inputs = self.n_gates + spatial_skip
        kernel = (kernel_size, kernel_size)
        self.input_weight = nn.Parameter(torch.empty(n_inputs * hidden_channels, in_channels, *kernel))
        self.recurrent_weight = nn.Parameter(torch.empty(self.n_gates * hidden_channels, hidden_channels, *kernel))
        self.bias = nn.Parameter(torch.empty(self.n_gates * hidden_channels))
        self.peephole_GCHW = nn.Parameter(torch.empty(3, hidden_channels, height, width))
        self.norm = None if norm_groups is None else nn.GroupNorm(norm_groups, hidden_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform kernels, each on its own; peepholes and biases 0, but the forget gate's bias 1 (assumed)."""
        for stacked in (self.input_weight, self.recurrent_weight):
            for kernel in torch.split(stacked.detach(), self.hidden_channels):
                nn.init.xavier_uniform_(kernel)
        nn.init.zeros_(self.peephole_GCHW)
        nn.init.zeros_(self.bias)
        nn.init.ones_(self.bias.detach()[self.hidden_channels : 2 * self.hidden_channels])

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Hidden states h_TBCHW of the input sequence, from zero initial states."""
        n_steps = x_TBCHW.shape[0]
        parts = [n * self.hidden_channels for n in (4, self.n_gates - 4, int(self.spatial_skip))]
        h_steps: list[Tensor] = []
        c_BCHW = lstm_1 = temporal_1 = temporal_2 = None  # what h[t-1], h[t-1] and h[t-2] add to the gates at t
        for t, x_gates in enumerate(self._input_gates(x_TBCHW).unbind(0)):
            lstm, temporal, residual = torch.split(x_gates, parts, dim=1)
            c_BCHW, h_BCHW = self._lstm(_plus(lstm, lstm_1), c_BCHW)
            if self.temporal_skip:
                gate, candidate = _plus(temporal, temporal_2).chunk(2, dim=1)
                h_BCHW = h_BCHW + gate.sigmoid() * candidate.tanh()
            if self.spatial_skip:
                h_BCHW = h_BCHW + residual
            if self.norm is not None:
                h_BCHW = self.norm(h_BCHW)
            h_steps.append(h_BCHW)
            temporal_2 = temporal_1
            lstm_1, temporal_1 = self._recurrent_gates(h_BCHW, steps_left=n_steps - 1 - t)
        return torch.stack(h_steps)

    def _input_gates(self, x_TBCHW: Tensor) -> Tensor:
        no_bias = self.bias.new_zeros(self.spatial_skip * self.hidden_channels)  # Wxr*x has none
        bias = torch.cat([self.bias, no_bias])
        gates = conv2d(x_TBCHW.flatten(0, 1), self.input_weight, bias, padding=self.kernel_size // 2)
        return gates.view(*x_TBCHW.shape[:2], *gates.shape[1:])

    def _recurrent_gates(self, h_BCHW: Tensor, *, steps_left: int) -> tuple[Tensor | None, Tensor | None]:
        """What h adds to (i f o c) at the next step and to (s s~) at the one after; None where no such step comes."""
        if steps_left == 0:
            return None, None
        n_lstm = 4 * self.hidden_channels
        if steps_left == 1:
            return conv2d(h_BCHW, self.recurrent_weight[:n_lstm], padding=self.kernel_size // 2), None
        gates = conv2d(h_BCHW, self.recurrent_weight, padding=self.kernel_size // 2)
        lstm, temporal = torch.split(gates, [n_lstm, gates.shape[1] - n_lstm], dim=1)
        return lstm, temporal if self.temporal_skip else None

    def _lstm(self, gates: Tensor, c_BCHW: Tensor | None) -> tuple[Tensor, Tensor]:
        """(c, o∘tanh(c)) from the sums of convolutions (i f o c) and the cell state one step back."""
        sigmoids, candidate = torch.split(gates, [3 * self.hidden_channels, self.hidden_channels], dim=1)
        sigmoids_BGCHW = sigmoids.view(len(sigmoids), 3, *candidate.shape[1:])
        if c_BCHW is not None:
            sigmoids_BGCHW = sigmoids_BGCHW + self.peephole_GCHW * c_BCHW.unsqueeze(1)
        i, f, o = sigmoids_BGCHW.sigmoid().unbind(1)
        new_c = i * candidate.tanh()
        if c_BCHW is not None:
            new_c = new_c + f * c_BCHW
        return new_c, o * new_c.tanh()


def _plus(a: Tensor, b: Tensor | None) -> Tensor:
    return a if b is None else a + b
