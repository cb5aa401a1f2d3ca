"""The Enhanced ConvLSTM layer: a sequence of feature maps in, a sequence of hidden states out.

Axes: T time, B clips of a batch, C channels, S stacked channels, H rows, W columns, G gates.

Fast form of eq. 2 of the paper. The input convolutions do not depend on time: all T frames go through one convolution
for all of their weights. h[t] goes through one convolution for all recurrent weights; the LSTM part of the result is
used at t+1, the temporal skip's part at t+2. What is left of a step, `advance`, is a pure function of sums of
convolutions, which can be compiled (fer_model/compiling.py). The literal form, one line per equation, is
tests/model/literal.py.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, group_norm

Advance: TypeAlias = Callable[..., tuple[Tensor, Tensor]]


def advance(
    sums_BSHW: Tensor,
    lstm_BSHW: Tensor | None,
    temporal_BSHW: Tensor | None,
    c_BCHW: Tensor | None,
    peephole_GCHW: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    *,
    temporal_skip: bool,
    spatial_skip: bool,
    norm_groups: int,
) -> tuple[Tensor, Tensor]:
    """One time step of eq. 2 after its convolutions: (c, h).

    Sums and h may be of a lower precision; gates, cell state and the statistics of GroupNorm have the peepholes'.

    Args:
        sums_BSHW: what x[t] and the biases add to i f o c [s s~] [r].
        lstm_BSHW: what h[t-1] adds to i f o c; None: nothing yet.
        temporal_BSHW: what h[t-2] adds to s s~; None: nothing yet.
        c_BCHW: the cell state one step back; None: zero.
        peephole_GCHW: weights of c[t-1] in i f o, one for each location.
        gamma, beta: of the GroupNorm.
        temporal_skip, spatial_skip: have the terms s∘s~, Wxr*x.
        norm_groups: groups of the GroupNorm; 0: there is none.
    """
    channels, exact = peephole_GCHW.shape[1], peephole_GCHW.dtype
    lstm, temporal, residual = torch.split(
        sums_BSHW.to(exact), [4 * channels, 2 * channels * temporal_skip, channels * spatial_skip], dim=1
    )
    if lstm_BSHW is not None:
        lstm = lstm + lstm_BSHW
    sigmoids, candidate = torch.split(lstm, [3 * channels, channels], dim=1)
    sigmoids_BGCHW = sigmoids.view(len(sigmoids), 3, *candidate.shape[1:])
    if c_BCHW is not None:
        sigmoids_BGCHW = sigmoids_BGCHW + peephole_GCHW * c_BCHW.unsqueeze(1)
    i, f, o = sigmoids_BGCHW.sigmoid().unbind(1)
    c = i * candidate.tanh()
    if c_BCHW is not None:
        c = c + f * c_BCHW
    h = o * c.tanh()
    if temporal_skip:
        if temporal_BSHW is not None:
            temporal = temporal + temporal_BSHW
        gate, skipped = temporal.chunk(2, dim=1)
        h = h + gate.sigmoid() * skipped.tanh()
    if spatial_skip:
        h = h + residual
    if norm_groups:
        h = group_norm(h, norm_groups, gamma, beta)
    return c, h.to(sums_BSHW.dtype)


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
        self.compiled: Advance = advance
        self.compiled_clips: int | None = None
        """Clips of the training batches that `compiled` takes; all others go through `advance`."""
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
        """Hidden states h_TBCHW of the input sequence, from zero initial states.

        Under torch.autocast, convolutions and h are of the lower precision, what `advance` computes is not.
        """
        n_steps, n_clips = x_TBCHW.shape[:2]
        advance_ = self.compiled if n_clips == self.compiled_clips and torch.is_grad_enabled() else advance
        gamma, beta = (None, None) if self.norm is None else (self.norm.weight, self.norm.bias)
        h_steps: list[Tensor] = []
        c_BCHW = lstm_1 = temporal_1 = temporal_2 = None  # what h[t-1], h[t-1] and h[t-2] add to the gates at t
        for t, sums_BSHW in enumerate(self._input_sums(x_TBCHW).unbind(0)):
            c_BCHW, h_BCHW = advance_(
                sums_BSHW, lstm_1, temporal_2, c_BCHW, self.peephole_GCHW, gamma, beta,
                temporal_skip=self.temporal_skip, spatial_skip=self.spatial_skip,
                norm_groups=0 if self.norm is None else self.norm.num_groups,
            )  # fmt: skip
            h_steps.append(h_BCHW)
            temporal_2 = temporal_1
            lstm_1, temporal_1 = self._recurrent_sums(h_BCHW, steps_left=n_steps - 1 - t)
        return torch.stack(h_steps)

    def _input_sums(self, x_TBCHW: Tensor) -> Tensor:
        no_bias = self.bias.new_zeros(self.spatial_skip * self.hidden_channels)  # Wxr*x has none
        bias = torch.cat([self.bias, no_bias])
        sums = conv2d(x_TBCHW.flatten(0, 1), self.input_weight, bias, padding=self.kernel_size // 2)
        return sums.view(*x_TBCHW.shape[:2], *sums.shape[1:])

    def _recurrent_sums(self, h_BCHW: Tensor, *, steps_left: int) -> tuple[Tensor | None, Tensor | None]:
        """What h adds to (i f o c) at the next step and to (s s~) at the one after; None where no such step comes."""
        if steps_left == 0:
            return None, None
        n_lstm = 4 * self.hidden_channels
        if steps_left == 1:
            return conv2d(h_BCHW, self.recurrent_weight[:n_lstm], padding=self.kernel_size // 2), None
        sums = conv2d(h_BCHW, self.recurrent_weight, padding=self.kernel_size // 2)
        lstm, temporal = torch.split(sums, [n_lstm, sums.shape[1] - n_lstm], dim=1)
        return lstm, temporal if self.temporal_skip else None
