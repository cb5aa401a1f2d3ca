"""The parts of an epoch: the order of the clips, the pass through the network, the measuring of a held-out group.

Axes: B clips of a batch, N clips, K classes, T time, C channels, H rows, W columns.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from fer_model.data import Batch, ClipStore
from fer_model.errors import DivergedError
from fer_model.evaluate import clip_scores, decide, video_scores
from fer_model.folds import ClipRef
from fer_model.inputs import network_inputs
from fer_model.results import Validation

EVALUATION_BATCH = 16


def epoch_order(n_clips: int, *, seed: int, epoch: int, flip: bool) -> tuple[Tensor, Tensor]:
    """The order of the training clips in an epoch, and which of them are mirrored: functions of (seed, epoch) alone.

    Returns:
        (order_N int64, flip_N bool); `flip_N` is indexed by clip, not by place in the order.
    """
    random = np.random.default_rng([seed, epoch])
    order_N = torch.from_numpy(random.permutation(n_clips))
    return order_N, torch.from_numpy(random.random(n_clips) < 0.5) & flip


def forward(
    network: nn.Module, batch: Batch, *, flip_B: Tensor | None, flow_scale: float, device: torch.device
) -> Tensor:
    """Logits (B, K) of a batch as stored; `flip_B` None: none is flipped."""
    rgb_BTCHW, flow_BTCHW = network_inputs(
        batch.rgb_BTHWC.to(device), batch.flow_BTHWC.to(device), flip_B=flip_B, flow_scale=flow_scale
    )
    logits_BK: Tensor = network(rgb_BTCHW, flow_BTCHW)
    return logits_BK


def check_finite(loss: float, *, epoch: int, lr: float) -> float:
    """The loss, if it is a finite number.

    Raises:
        DivergedError: it is not.
    """
    if not np.isfinite(loss):
        raise DivergedError(
            f"the loss became {loss} in epoch {epoch + 1} at learning rate {lr:.3g}: training diverged. "
            "Give a smaller --lr, and --overwrite."
        )
    return loss


def check_weights(network: nn.Module, *, epoch: int) -> None:
    """Refuse to keep weights that are not finite.

    Raises:
        DivergedError: a weight is not a finite number.
    """
    if not all(weight.isfinite().all() for weight in network.parameters()):
        raise DivergedError(
            f"the weights are no longer finite after epoch {epoch + 1}: training diverged. "
            "Give a smaller --lr, and --overwrite."
        )


@torch.no_grad()
def predict(
    network: nn.Module, store: ClipStore, refs: Sequence[ClipRef], *, flow_scale: float, device: torch.device
) -> Tensor:
    """Class probabilities (N, K) of clips, float64 on the CPU.

    Raises:
        DivergedError: an output is not a finite number.
    """
    network.eval()
    parts = []
    for batch in store.batches(refs[i : i + EVALUATION_BATCH] for i in range(0, len(refs), EVALUATION_BATCH)):
        logits_BK = forward(network, batch, flip_B=None, flow_scale=flow_scale, device=device)
        if not logits_BK.isfinite().all():
            raise DivergedError("the network's outputs are not finite: training diverged. Give a smaller --lr.")
        parts.append(logits_BK.double().softmax(1).cpu())
    return torch.cat(parts)


def validate(
    network: nn.Module, store: ClipStore, refs: Sequence[ClipRef], *, flow_scale: float, device: torch.device
) -> Validation | None:
    """Measures of the validation group; None without one."""
    if not refs:
        return None
    probability_NK = predict(network, store, refs, flow_scale=flow_scale, device=device)
    predictions = decide(refs, probability_NK)
    labels = torch.tensor([ref.label for ref in refs])
    video = video_scores(predictions)
    return Validation(
        loss=float(nll_loss(probability_NK.clamp_min(torch.finfo(torch.float64).tiny).log(), labels)),
        clip_accuracy=clip_scores(predictions).accuracy,
        video_accuracy=video.accuracy,
        video_uar=video.uar,
    )
