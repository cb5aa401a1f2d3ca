"""The Enhanced ConvLSTM layer: a sequence of feature maps in, a sequence of hidden states out.

Axes: T time, B clips of a batch, C channels, S stacked channels, H rows, W columns, G gates.

Fast form of eq. 2 of the paper. The input convolutions do not depend on time: many frames go through one convolution
for all of their weights. h[t] goes through one convolution for all recurrent weights; the LSTM part of the result is
used at t+1, the temporal skip's part at t+2 (fer_model/recurrence.py). The literal form, one line per equation, is
tests/model/literal.py.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from fer_model.recurrence import Advance, RecomputedSteps, Terms, Watch, advance, run_steps

CACHE_BYTES = 8_000_000
"""Of sums of input convolutions, on a CPU: more at once do not stay in its cache until they are used."""


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
        recompute_steps: compute each time step again on the way back, see fer_model/recurrence.py.

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
        recompute_steps: bool = False,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {kernel_size}")
        self.hidden_channels = hidden_channels
        self.kernel_size = kernel_size
        self.spatial_skip = spatial_skip
        self.temporal_skip = temporal_skip
        self.recompute_steps = recompute_steps
        self.terms = Terms(temporal_skip=temporal_skip, spatial_skip=spatial_skip, norm_groups=norm_groups or 0)
        n_gates = 6 if temporal_skip else 4
        n_inputs = n_gates + spatial_skip
        kernel = (kernel_size, kernel_size)
        self.input_weight = nn.Parameter(torch.empty(n_inputs * hidden_channels, in_channels, *kernel))
        self.recurrent_weight = nn.Parameter(torch.empty(n_gates * hidden_channels, hidden_channels, *kernel))
        self.bias = nn.Parameter(torch.empty(n_gates * hidden_channels))
        self.peephole_GCHW = nn.Parameter(torch.empty(3, hidden_channels, height, width))
        self.norm = None if norm_groups is None else nn.GroupNorm(norm_groups, hidden_channels)
        self.compiled: Advance = advance
        self.compiled_clips: int | None = None
        """Clips of the training batches that `compiled` takes; all others go through `advance`."""
        self.watch: Watch | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform kernels, each on its own; peepholes 0; biases as torch's convolutions, the forget gate's + 1.

        All assumed. With biases 0, h[0] of a frame without flow would be 0 everywhere, and GroupNorm, which divides by
        its deviation, would make gradients several thousand times larger than all others.
        """
        for stacked in (self.input_weight, self.recurrent_weight):
            for kernel in torch.split(stacked.detach(), self.hidden_channels):
                nn.init.xavier_uniform_(kernel)
        nn.init.zeros_(self.peephole_GCHW)
        bound = self.input_weight[0].numel() ** -0.5
        nn.init.uniform_(self.bias, -bound, bound)
        self.bias.detach()[self.hidden_channels : 2 * self.hidden_channels] += 1

    def forward(self, x_TBCHW: Tensor) -> Tensor:
        """Hidden states h_TBCHW of the input sequence, from zero initial states.

        Under torch.autocast, convolutions and h are of the lower precision, what `advance` computes is not.
        """
        compiled = torch.is_grad_enabled() and x_TBCHW.shape[1] == self.compiled_clips
        gamma, beta = (None, None) if self.norm is None else (self.norm.weight, self.norm.bias)
        rest = self.peephole_GCHW, gamma, beta, self.terms, self.compiled if compiled else advance, self.watch
        if self.recompute_steps:
            sums_TBSHW = self._input_sums(x_TBCHW)
            weight = self.recurrent_weight.to(sums_TBSHW.dtype)
            h_TBCHW: Tensor = RecomputedSteps.apply(sums_TBSHW, weight, *rest)  # type: ignore[no-untyped-call]
            return h_TBCHW
        parts = (self._input_sums(part) for part in torch.split(x_TBCHW, self.steps_at_once(x_TBCHW)))
        steps = (sums_BSHW for part in parts for sums_BSHW in part.unbind(0))
        return run_steps(steps, len(x_TBCHW), self.recurrent_weight, *rest)

    def steps_at_once(self, x_TBCHW: Tensor) -> int:
        """How many steps' frames go through the input convolution together: on a CPU, as many as its cache holds."""
        n_steps, n_clips, _, height, width = x_TBCHW.shape
        if x_TBCHW.device.type != "cpu":
            return n_steps
        if torch.compiler.is_exporting():
            n_clips = 1  # whatever the batch of the example is, it does not decide for those to come
        step_bytes = n_clips * len(self.input_weight) * height * width * x_TBCHW.element_size()
        return max(1, min(n_steps, CACHE_BYTES // step_bytes))

    def _input_sums(self, x_TBCHW: Tensor) -> Tensor:
        bias = pad(self.bias, (0, self.spatial_skip * self.hidden_channels))  # Wxr*x has none
        sums = conv2d(x_TBCHW.flatten(0, 1), self.input_weight, bias, padding=self.kernel_size // 2)
        return sums.view(*x_TBCHW.shape[:2], *sums.shape[1:])
