"""The parts of an epoch: the order of the clips, the pass through the network, the measuring of a held-out group.

Axes: B clips of a batch, N clips, K classes, T time, C channels, H rows, W columns.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from fer_model.data import Batch, BatchSource
from fer_model.errors import DivergedError
from fer_model.evaluate import clip_scores, decide, video_scores
from fer_model.folds import ClipRef
from fer_model.inputs import network_inputs
from fer_model.ranks import Ranks
from fer_model.results import Validation

EVALUATION_BATCH = 16
EXPLODED = 100.0
"""Times the loss of a guess, ln K. To be sure and wrong costs more than a guess, but not a hundred times as much."""


def epoch_order(n_clips: int, *, seed: int, epoch: int, flip: bool) -> tuple[Tensor, Tensor]:
    """The order of the training clips in an epoch, and which of them are mirrored: functions of (seed, epoch) alone.

    Returns:
        (order_N int64, flip_N bool); `flip_N` is indexed by clip, not by place in the order.
    """
    random = np.random.default_rng([seed, epoch])
    order_N = torch.from_numpy(random.permutation(n_clips))
    return order_N, torch.from_numpy(random.random(n_clips) < 0.5) & flip


def step_seed(seed: int, *, epoch: int, step: int, rank: int) -> int:
    """What the generators of a step start from: with it, no checkpoint has to hold the state of any."""
    return int(np.random.SeedSequence([seed, epoch, step, rank]).generate_state(1, np.uint64)[0] >> 1)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step, for all weights."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def forward(
    network: nn.Module, batch: Batch, *, flip_B: Tensor | None, flow_scale: float, device: torch.device
) -> Tensor:
    """Logits (B, K) of a batch as stored; `flip_B` None: none is flipped."""
    rgb_BTCHW, flow_BTCHW = network_inputs(
        batch.rgb_BTHWC.to(device, non_blocking=True),
        batch.flow_BTHWC.to(device, non_blocking=True),
        flip_B=flip_B,
        flow_scale=flow_scale,
    )
    logits_BK: Tensor = network(rgb_BTCHW, flow_BTCHW)
    return logits_BK


def check_loss(loss: float, *, n_classes: int, lr: float, where: str, advice: str) -> None:
    """Refuse to go on from a loss that is not finite, or of which nothing good can come.

    Args:
        loss: the mean cross-entropy of a batch.
        where: as in "after step 3 of 10 in epoch 2".
        advice: what to do, and what is kept.

    Raises:
        DivergedError: it is.
    """
    bound = EXPLODED * math.log(n_classes)
    if math.isfinite(loss) and loss <= bound:
        return
    found = f"exploded to {loss:.4g}, more than {bound:.4g}," if math.isfinite(loss) else f"became {loss}"
    raise DivergedError(f"the loss {found} {where} at learning rate {lr:.3g}: training diverged. {advice}")


@torch.no_grad()
def predict(
    network: nn.Module,
    source: BatchSource,
    refs: Sequence[ClipRef],
    *,
    flow_scale: float,
    device: torch.device,
    ranks: Ranks,
) -> Tensor:
    """Class probabilities (N, K) of clips, float64 on the CPU, the same on every rank.

    Batch i is computed by the rank i modulo their number: so the batches, and with them the rounding, are those of one
    process.

    Raises:
        DivergedError: an output is not a finite number.
    """
    ranks.same_buffers(network)
    network.eval()
    batches = [refs[i : i + EVALUATION_BATCH] for i in range(0, len(refs), EVALUATION_BATCH)]
    logits = [
        forward(network, batch, flip_B=None, flow_scale=flow_scale, device=device).double().cpu()
        for batch in source.batches(batches[ranks.rank :: ranks.size])
    ]
    shares = ranks.gather(logits)
    logits_NK = torch.cat([shares[i % ranks.size][i // ranks.size] for i in range(len(batches))])
    if not logits_NK.isfinite().all():
        raise DivergedError(
            "the network's outputs are not finite: training diverged. Give a smaller --lr, and --overwrite."
        )
    return logits_NK.softmax(1)


def test_accuracy(
    network: nn.Module,
    source: BatchSource | None,
    refs: Sequence[ClipRef],
    *,
    flow_scale: float,
    device: torch.device,
    ranks: Ranks,
) -> float | None:
    """Accuracy of the test group's recordings after an epoch, for --report-best-epoch alone.

    None without a source, and where outputs are not finite: what is measured here must not end a run either.
    """
    if source is None:
        return None
    try:
        probability_NK = predict(network, source, refs, flow_scale=flow_scale, device=device, ranks=ranks)
    except DivergedError:
        return None
    return video_scores(decide(refs, probability_NK)).accuracy


def validate(
    network: nn.Module,
    source: BatchSource,
    refs: Sequence[ClipRef],
    *,
    flow_scale: float,
    device: torch.device,
    ranks: Ranks,
) -> Validation | None:
    """Measures of the validation group; None without one."""
    if not refs:
        return None
    probability_NK = predict(network, source, refs, flow_scale=flow_scale, device=device, ranks=ranks)
    predictions = decide(refs, probability_NK)
    labels = torch.tensor([ref.label for ref in refs])
    video = video_scores(predictions)
    return Validation(
        loss=float(nll_loss(probability_NK.clamp_min(torch.finfo(torch.float64).tiny).log(), labels)),
        clip_accuracy=clip_scores(predictions).accuracy,
        video_accuracy=video.accuracy,
        video_uar=video.uar,
    )
