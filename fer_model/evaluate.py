"""From class probabilities of clips to the decision for each recording, and the measures of both.

Axes: N clips, R recordings, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fer_model.folds import ClipRef


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Measures of one set of decisions; the means run over the classes that occur among the labels."""

    n: int
    accuracy: float
    uar: float
    """Unweighted average recall."""
    f1: float
    """Unweighted average F1."""
    confusion_KK: list[list[int]]
    """Rows: true class, columns: decision."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The clips of one evaluation with their probabilities and decisions, and the recordings that they vote for."""

    refs: tuple[ClipRef, ...]
    probability_NK: Tensor
    recording_refs: tuple[ClipRef, ...]
    """The first clip of every recording."""
    recording_probability_RK: Tensor
    """Mean over the recording's clips."""
    vote_R: Tensor

    @property
    def choice_N(self) -> Tensor:
        """The most probable class of every clip."""
        return self.probability_NK.argmax(1)


def decide(refs: Sequence[ClipRef], probability_NK: Tensor) -> Predictions:
    """Every clip chooses its most probable class; every recording the class that most of its clips chose."""
    rows: dict[str, list[int]] = {}
    for i, ref in enumerate(refs):
        rows.setdefault(ref.clip.recording.id, []).append(i)
    return Predictions(
        refs=tuple(refs),
        probability_NK=probability_NK,
        recording_refs=tuple(refs[i[0]] for i in rows.values()),
        recording_probability_RK=torch.stack([probability_NK[i].mean(0) for i in rows.values()]),
        vote_R=torch.tensor([vote(probability_NK[i]) for i in rows.values()]),
    )


def vote(probability_NK: Tensor) -> int:
    """The class that most clips find most probable; among equals, the one with the larger summed probability."""
    counts_K = torch.bincount(probability_NK.argmax(1), minlength=probability_NK.shape[1])
    sums_K = probability_NK.sum(0).masked_fill(counts_K < counts_K.max(), -1.0)
    return int(sums_K.argmax())


def clip_scores(predictions: Predictions) -> Scores:
    """Measures over clips."""
    labels = torch.tensor([ref.label for ref in predictions.refs])
    return measure(predictions.choice_N, labels, n_classes=predictions.probability_NK.shape[1])


def video_scores(predictions: Predictions) -> Scores:
    """Measures over recordings, after the vote."""
    labels = torch.tensor([ref.label for ref in predictions.recording_refs])
    return measure(predictions.vote_R, labels, n_classes=predictions.probability_NK.shape[1])


def measure(choices: Tensor, labels: Tensor, *, n_classes: int) -> Scores:
    """Measures of decisions against labels, both (n,) class indices.

    UAR and F1 leave out classes without a label here: a recall of nothing is no recall.
    """
    # it takes seconds to load, and the processes of a run need it once, at its end
    from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_f1_score

    confusion = multiclass_confusion_matrix(choices, labels, num_classes=n_classes)
    occurs = confusion.sum(1) > 0
    recalls = confusion.diagonal()[occurs] / confusion.sum(1)[occurs]
    f1 = multiclass_f1_score(choices, labels, num_classes=n_classes, average="none")
    return Scores(
        n=len(labels),
        accuracy=float((choices == labels).double().mean()),
        uar=float(recalls.double().mean()),
        f1=float(f1[occurs].double().mean()),
        confusion_KK=confusion.tolist(),
    )
