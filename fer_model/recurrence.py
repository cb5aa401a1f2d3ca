"""The time steps of an Enhanced ConvLSTM layer: sums of the input convolutions in, hidden states out.

Axes: T time, B clips of a batch, C channels, S stacked channels, H rows, W columns, G gates.

Between the input and the recurrent convolutions lies `advance`, a pure function of their sums, which can be compiled
(fer_model/compiling.py). `run_steps` leaves the way back to autograd, which keeps all that each step computes: the
faster form on a CPU. `RecomputedSteps` keeps the sums and c alone, for a GPU, where memory bounds the batch:

* `_complete` adds what h[t-1] and h[t-2] contribute to the sums, in their place;
* `_pull_back` computes a step again on the way back, and its gradient takes the place of the sums;
* `_weight_gradient` is computed once over all steps, not once for each.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, group_norm
from torch.nn.grad import conv2d_input, conv2d_weight

Advance: TypeAlias = Callable[..., tuple[Tensor, Tensor]]
Watch: TypeAlias = Callable[[int, Tensor], None]
"""Is told, on the way back, (t, dh_BCHW): the whole gradient of h[t], through later steps and from the layer above."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Which terms a layer has."""

    temporal_skip: bool
    """s∘s~"""
    spatial_skip: bool
    """Wxr*x"""
    norm_groups: int
    """Of the GroupNorm; 0: there is none."""


def advance(
    sums_BSHW: Tensor,
    lstm_BSHW: Tensor | None,
    temporal_BSHW: Tensor | None,
    c_BCHW: Tensor | None,
    peephole_GCHW: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
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
    sigmoids_BGCHW = sigmoids.view(sigmoids.shape[0], 3, *candidate.shape[1:])
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


def run_steps(
    sums: Iterable[Tensor],
    n_steps: int,
    recurrent_weight: Tensor,
    peephole_GCHW: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    terms: Terms,
    advance_: Advance,
    watch: Watch | None = None,
) -> Tensor:
    """Hidden states h_TBCHW from zero initial states.

    Args:
        sums: what x[t] and the biases add to i f o c [s s~] [r], (B,S,H,W) for each of the `n_steps` steps.
        recurrent_weight: kernels of h in i f o c [s s~], stacked.
        peephole_GCHW, gamma, beta: see `advance`.
        terms: which terms there are.
        advance_: `advance`, or it compiled.
        watch: see `Watch`.
    """
    n_lstm = 4 * peephole_GCHW.shape[1]
    h_steps: list[Tensor] = []
    c_BCHW = lstm_1 = temporal_1 = temporal_2 = None  # what h[t-1], h[t-1] and h[t-2] add to the gates at t
    for t, sums_BSHW in enumerate(sums):
        c_BCHW, h_BCHW = advance_(sums_BSHW, lstm_1, temporal_2, c_BCHW, peephole_GCHW, gamma, beta, **vars(terms))
        if watch is not None and h_BCHW.requires_grad:
            h_BCHW.register_hook(partial(watch, t))  # type: ignore[no-untyped-call]
        h_steps.append(h_BCHW)
        temporal_2 = temporal_1
        recurrent = _convolve(h_BCHW, recurrent_weight, steps_left=n_steps - 1 - t)
        if recurrent is not None:
            lstm_1, temporal_1 = torch.split(recurrent, [n_lstm, recurrent.shape[1] - n_lstm], dim=1)
    return torch.stack(h_steps)


class RecomputedSteps(torch.autograd.Function):
    """`run_steps` with less memory; its way back can be gone once."""

    @staticmethod
    def forward(
        ctx: Any,
        sums_TBSHW: Tensor,
        recurrent_weight: Tensor,
        peephole_GCHW: Tensor,
        gamma: Tensor | None,
        beta: Tensor | None,
        terms: Terms,
        advance_: Advance,
        watch: Watch | None = None,
    ) -> Tensor:
        """See `run_steps`; `sums_TBSHW` is overwritten, and `recurrent_weight` has its precision."""
        n_steps, n_clips = sums_TBSHW.shape[:2]
        c_BCHW = peephole_GCHW.new_zeros(n_clips, *peephole_GCHW.shape[1:])
        h_TBCHW = _empty_states(sums_TBSHW, channels=c_BCHW.shape[1])
        c_steps = []
        recurrent: list[Tensor | None] = [None, None]  # what h[t-2] and h[t-1] add
        for t, sums_BSHW in enumerate(sums_TBSHW):
            _complete(sums_BSHW, *recurrent, n_lstm=4 * c_BCHW.shape[1])
            c_steps.append(c_BCHW)
            c_BCHW, h_TBCHW[t] = advance_(sums_BSHW, None, None, c_BCHW, peephole_GCHW, gamma, beta, **vars(terms))
            recurrent = [recurrent[1], _convolve(h_TBCHW[t], recurrent_weight, steps_left=n_steps - 1 - t)]
        ctx.save_for_backward(sums_TBSHW, h_TBCHW, recurrent_weight, peephole_GCHW, gamma, beta, *c_steps)
        ctx.terms, ctx.advance, ctx.watch = terms, advance_, watch
        return h_TBCHW

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_TBCHW: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of what `forward` took."""
        sums_TBSHW, h_TBCHW, recurrent_weight, *rest = ctx.saved_tensors
        weights, c_steps = [weight for weight in rest[:3] if weight is not None], rest[3:]
        n_steps = len(sums_TBSHW)
        dc_BCHW = torch.zeros_like(c_steps[0])
        totals = [torch.zeros_like(weight) for weight in weights]
        for t in reversed(range(n_steps)):
            dh_BCHW = dh_TBCHW[t]
            if t < n_steps - 1:
                dh_BCHW = dh_BCHW + _convolve_back(sums_TBSHW[t + 1 : t + 3], recurrent_weight, shape=dh_BCHW.shape)
            if ctx.watch is not None:
                ctx.watch(t, dh_BCHW)
            dsums_BSHW, dc_BCHW, *dweights = _pull_back(
                ctx.advance, ctx.terms, (sums_TBSHW[t], c_steps[t], *weights), (dc_BCHW, dh_BCHW)
            )
            sums_TBSHW[t] = dsums_BSHW
            for total, dweight in zip(totals, dweights, strict=True):
                total += dweight
        absent = [None] * (3 - len(totals))
        return sums_TBSHW, _weight_gradient(sums_TBSHW, h_TBCHW, recurrent_weight), *totals, *absent, None, None, None


def _empty_states(sums_TBSHW: Tensor, *, channels: int) -> Tensor:
    """Room for the hidden states, in the order of memory that the convolutions use."""
    n_steps, n_clips, _, height, width = sums_TBSHW.shape
    last = sums_TBSHW[0].is_contiguous(memory_format=torch.channels_last)
    memory = torch.channels_last if last and not sums_TBSHW.is_contiguous() else torch.contiguous_format
    states_NCHW = torch.empty(
        (n_steps * n_clips, channels, height, width),
        dtype=sums_TBSHW.dtype,
        device=sums_TBSHW.device,
        memory_format=memory,
    )
    return states_NCHW.view(n_steps, n_clips, channels, height, width)


def _complete(sums_BSHW: Tensor, two_back_BSHW: Tensor | None, one_back_BSHW: Tensor | None, *, n_lstm: int) -> None:
    """Add to the sums what h[t-1] contributes to i f o c, the first `n_lstm`, and h[t-2] to s s~."""
    if one_back_BSHW is not None:
        sums_BSHW[:, :n_lstm] += one_back_BSHW[:, :n_lstm]
    if two_back_BSHW is not None and two_back_BSHW.shape[1] > n_lstm:
        sums_BSHW[:, n_lstm : two_back_BSHW.shape[1]] += two_back_BSHW[:, n_lstm:]


def _convolve(h_BCHW: Tensor, weight: Tensor, *, steps_left: int) -> Tensor | None:
    """What h contributes to i f o c at the next step and to s s~ at the one after, as far as these steps exist."""
    if steps_left == 0:
        return None
    used = weight if steps_left > 1 else weight[: 4 * h_BCHW.shape[1]]
    return conv2d(h_BCHW, used, padding=weight.shape[-1] // 2)


def _convolve_back(dsums_TBSHW: Tensor, weight: Tensor, *, shape: torch.Size) -> Tensor:
    """The gradient of h through the convolutions of the next step and, where it exists, the one after."""
    n_lstm = 4 * shape[1]
    dsums_BSHW = dsums_TBSHW[0, :, :n_lstm]
    if len(dsums_TBSHW) > 1 and len(weight) > n_lstm:
        dsums_BSHW = torch.cat([dsums_BSHW, dsums_TBSHW[1, :, n_lstm : len(weight)]], dim=1)
    used = weight[: dsums_BSHW.shape[1]]
    dh_BCHW: Tensor = conv2d_input(shape, used, dsums_BSHW, padding=weight.shape[-1] // 2)
    return dh_BCHW


def _pull_back(
    advance_: Advance, terms: Terms, arguments: Sequence[Tensor], gradients: tuple[Tensor, Tensor]
) -> tuple[Tensor, ...]:
    """Gradients of the sums, of c and of the weights that `advance` takes, from those of (c, h)."""
    with torch.enable_grad():
        sums_BSHW, *others = leaves = [argument.detach().requires_grad_() for argument in arguments]
        return torch.autograd.grad(advance_(sums_BSHW, None, None, *others, **vars(terms)), leaves, gradients)


def _weight_gradient(dsums_TBSHW: Tensor, h_TBCHW: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the recurrent kernels: h[t] was convolved into i f o c at t+1 and into s s~ at t+2."""
    n_lstm = 4 * h_TBCHW.shape[2]
    parts = []
    for steps, kernels in ((1, slice(0, n_lstm)), (2, slice(n_lstm, len(weight)))):
        used = weight[kernels]
        if len(h_TBCHW) <= steps or len(used) == 0:
            parts.append(torch.zeros_like(used))
            continue
        dsums_NSHW = dsums_TBSHW[steps:, :, kernels].flatten(0, 1)
        h_NCHW = h_TBCHW[:-steps].flatten(0, 1)
        parts.append(conv2d_weight(h_NCHW, used.shape, dsums_NSHW, padding=weight.shape[-1] // 2))
    return torch.cat(parts)
