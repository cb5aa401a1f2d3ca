"""Decisions of many runs, put together: confusion matrices of each subject, and what several seeds decide together.

Axes: S subjects, K true classes and K decisions.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fer_model.tables.records import Decisions, Run
from fer_model.tables.statistics import Array


def confusion(decisions: Decisions, *, n_classes: int) -> Array:
    """Counts (K,K) of one run. Rows: true class, columns: decision."""
    matrix_KK = np.zeros((n_classes, n_classes))
    np.add.at(matrix_KK, (decisions.label_N, decisions.predicted_N), 1)
    return matrix_KK


def confusion_of_subjects(all_decisions: Sequence[Decisions], *, n_classes: int) -> Array:
    """Matrices (S,K,K) over all runs, in which each recording, or clip, counts once.

    Where several seeds have decided on it, each of its decisions counts as the share of one; so a seed of which only
    some folds are there gives these folds no more weight.
    """
    times: Counter[str] = Counter(recording for of in all_decisions for recording in set(of.recordings))
    place = {subject: s for s, subject in enumerate(sorted({who for of in all_decisions for who in of.subjects}))}
    matrix_SKK = np.zeros((len(place), n_classes, n_classes))
    for of in all_decisions:
        where = np.array([place[subject] for subject in of.subjects])
        share = np.array([1 / times[recording] for recording in of.recordings])
        np.add.at(matrix_SKK, (where, of.label_N, of.predicted_N), share)
    return matrix_SKK


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the runs of some seeds say of a recording."""

    subject: str
    right: float
    """Share of the seeds whose decision is right."""
    majority_right: bool
    """Whether what most seeds decide is right."""


def verdicts(runs: Iterable[Run]) -> dict[str, Verdict]:
    """Of each recording that was tested.

    The majority is the class that most seeds decide for; among equals, the one with the larger summed probability.
    """
    rows: dict[str, list[tuple[Decisions, int]]] = {}
    for run in runs:
        for n, recording in enumerate(run.videos.recordings):
            rows.setdefault(recording, []).append((run.videos, n))
    found = {}
    for recording, of_seeds in rows.items():
        first, n = of_seeds[0]
        label = int(first.label_N[n])
        votes = np.bincount([of.predicted_N[n] for of, n in of_seeds], minlength=first.probability_NK.shape[1])
        summed = np.sum([of.probability_NK[n] for of, n in of_seeds], axis=0)
        majority = int(np.where(votes == votes.max(), summed, -1.0).argmax())
        right = float(np.mean([of.predicted_N[n] == label for of, n in of_seeds]))
        found[recording] = Verdict(subject=first.subjects[n], right=right, majority_right=majority == label)
    return found
