"""LBP-TOP and a linear SVM as a network whose only weights are the SVM's, and how they are found: not by gradients.

Axes: B clips of a batch, N clips, T time, C channels, H rows, W columns, F features, K classes.
"""

import warnings
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fer_model.baselines.lbp_top import lbp_top, n_features
from fer_model.errors import FoldError

Floats = npt.NDArray[np.float64]
ABSENT = -100.0
"""Logit of a class without a training clip: it is never chosen."""
MAX_ITERATIONS = 10_000


class LbpTopSvm(nn.Module):
    """LBP-TOP of the faces, and one linear decision value per class. Flow is not used.

    The logits are the decision values of one class against the rest, as they are: their softmax, the probability of
    the vote, is not calibrated.

    Args:
        n_classes: number of logits.
        input_size: side of a face, pixels.
        radius_px, radius_frames, blocks: see lbp_top.
    """

    BACKBONE: ClassVar = ()
    CLASSIFIER: ClassVar = "fc."

    def __init__(
        self, *, n_classes: int, input_size: int, radius_px: int, radius_frames: int, blocks: int
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        self.radius_px, self.radius_frames, self.blocks = radius_px, radius_frames, blocks
        self.fc = nn.Linear(n_features(blocks), n_classes)

    def features(self, rgb_BTCHW: Tensor) -> Tensor:
        """Histograms (B, F)."""
        return lbp_top(rgb_BTCHW, radius_px=self.radius_px, radius_frames=self.radius_frames, blocks=self.blocks)

    def forward(self, rgb_BTCHW: Tensor, flow_BTCHW: Tensor) -> Tensor:
        """Logits (B, K) of clips."""
        logits_BK: Tensor = self.fc(self.features(rgb_BTCHW))
        return logits_BK

    def fit(self, features_NF: Tensor, labels_N: Tensor, *, c: float, seed: int) -> bool:
        """Find the weights; whether the solver has converged.

        Raises:
            FoldError: all clips are of one class.
        """
        weight_KF, bias_K, converged = fit_linear_svm(
            features_NF.double().cpu().numpy(), labels_N.cpu().numpy(), n_classes=self.fc.out_features, c=c, seed=seed
        )
        with torch.no_grad():
            self.fc.weight.copy_(torch.from_numpy(weight_KF))
            self.fc.bias.copy_(torch.from_numpy(bias_K))
        return converged


def fit_linear_svm(
    features_NF: Floats, labels_N: npt.NDArray[np.int64], *, n_classes: int, c: float, seed: int
) -> tuple[Floats, Floats, bool]:
    """A linear SVM for each class against the rest, of features that are standardised on these clips.

    Args:
        c: how much a clip on the wrong side costs.
        seed: decides the order in which the solver visits the clips.

    Returns:
        (weight_KF, bias_K) that apply to the features as they are, and whether the solver has converged.

    Raises:
        FoldError: all clips are of one class.
    """
    # scikit-learn takes seconds to load, and no other model needs it
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    present = np.unique(labels_N)
    if len(present) < 2:
        raise FoldError("all training clips are of one class: an SVM needs two; choose another fold.")
    scaler = StandardScaler().fit(features_NF)
    svm = LinearSVC(C=c, random_state=seed % 2**32, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is returned
        svm.fit(scaler.transform(features_NF), labels_N)
    coef, intercept = svm.coef_, svm.intercept_
    if len(present) == 2:  # then there is one value, for the second class; halves keep the odds what they were
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight_KF, bias_K = np.zeros((n_classes, features_NF.shape[1])), np.full(n_classes, ABSENT)
    weight_KF[present] = coef / scaler.scale_
    bias_K[present] = intercept - weight_KF[present] @ scaler.mean_
    return weight_KF, bias_K, bool(svm.n_iter_ < MAX_ITERATIONS)
