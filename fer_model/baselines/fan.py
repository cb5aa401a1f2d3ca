"""Frame attention network: a feature vector for each frame, and how much each frame counts.

D. Meng, X. Peng, K. Wang, Y. Qiao, *Frame attention networks for facial expression recognition in videos*, ICIP 2019.
Axes: B clips, T time, C channels, H rows, W columns, D features, K classes.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from fer_model.baselines.precision import convolutions_in
from fer_model.baselines.resnet import ResNet

ATTENTION_DROPOUT, CLASSIFIER_DROPOUT = 0.5, 0.6
"""Of the authors' code."""


class FrameAttentionNetwork(nn.Module):
    """ResNet on each face; self-attention and relation-attention weights; a classifier of the weighted mean.

    With f_t the features of frame t: α_t = σ(f_t·q0), f' = Σ α_t f_t / Σ α_t, β_t = σ([f_t : f']·q1), and the clip is
    v = Σ α_t β_t [f_t : f'] / Σ α_t β_t. Flow is not used, nor is the order of the frames.

    Args:
        n_classes: number of logits.
        bf16: let the convolutions compute in 16 bits.
        input_size, channels, depths, stem_kernel, stem_halves: see ResNet.
    """

    BACKBONE: ClassVar = ("backbone.",)
    CLASSIFIER: ClassVar = "fc."

    def __init__(
        self,
        *,
        n_classes: int,
        input_size: int,
        channels: Sequence[int],
        depths: Sequence[int],
        stem_kernel: int,
        stem_halves: bool,
        bf16: bool = False,
    ) -> None:
        super().__init__()
        self.input_size, self.bf16 = input_size, bf16
        self.backbone = ResNet(
            input_size=input_size, channels=channels, depths=depths, stem_kernel=stem_kernel, stem_halves=stem_halves
        )
        n_features = self.backbone.n_features
        self.alpha = nn.Linear(n_features, 1)
        self.beta = nn.Linear(2 * n_features, 1)
        self.fc = nn.Linear(2 * n_features, n_classes)

    def forward(self, rgb_BTCHW: Tensor, flow_BTCHW: Tensor) -> Tensor:
        """Logits (B, K) of clips."""
        with convolutions_in(rgb_BTCHW, bf16=self.bf16):
            f_ND = self.backbone(rgb_BTCHW.flatten(0, 1))
        f_BTD = f_ND.to(rgb_BTCHW.dtype).unflatten(0, rgb_BTCHW.shape[:2])
        alpha_BT1 = self.alpha(self._dropped(f_BTD, ATTENTION_DROPOUT)).sigmoid()
        anchor_B1D = weighted_mean(f_BTD, alpha_BT1)
        both_BTD = torch.cat([f_BTD, anchor_B1D.expand_as(f_BTD)], 2)
        beta_BT1 = self.beta(self._dropped(both_BTD, ATTENTION_DROPOUT)).sigmoid()
        v_BD = weighted_mean(both_BTD, alpha_BT1 * beta_BT1).squeeze(1)
        logits_BK: Tensor = self.fc(self._dropped(v_BD, CLASSIFIER_DROPOUT))
        return logits_BK

    def _dropped(self, x: Tensor, share: float) -> Tensor:
        return dropout(x, share, training=self.training)


def weighted_mean(x_BTD: Tensor, weights_BT1: Tensor) -> Tensor:
    """The mean over time, (B, 1, D)."""
    return (x_BTD * weights_BT1).sum(1, keepdim=True) / weights_BT1.sum(1, keepdim=True)
