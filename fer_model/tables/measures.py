"""A section becomes numbers: a row of measures for each entry, and a comparison for each pair of entries.

Axes: K true classes and K decisions; S subjects.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fer_model.tables.pooled import confusion, confusion_of_subjects, verdicts
from fer_model.tables.records import Run
from fer_model.tables.sections import Entry, Section
from fer_model.tables.statistics import (
    Array,
    Interval,
    Spread,
    accuracy,
    bootstrap,
    f1,
    holm,
    macro_f1,
    mcnemar,
    recall,
    spread,
    uar,
    weighted_f1,
)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measure of all test folds together, and how sure it is."""

    value: float
    interval: Interval | None
    """None where resampling subjects cannot tell."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measures:
    """A row of the main table."""

    entry: Entry
    n_recordings: int
    n_clips: int
    n_subjects: int
    fold_accuracy: Spread
    """Of recordings: the mean over seeds for each fold, then over folds; so the next two."""
    fold_uar: Spread
    fold_clip_accuracy: Spread
    accuracy: Estimate
    """Of recordings, all folds pooled; so all others."""
    uar: Estimate
    weighted_f1: Estimate
    macro_f1: Estimate
    clip_accuracy: Estimate
    clip_uar: Estimate
    recall_K: tuple[float, ...]
    """NaN for a class that was nowhere tested."""
    f1_K: tuple[float, ...]
    confusion_KK: NDArray[np.int64]
    """Decisions on recordings, summed over all folds and seeds."""
    parameters: int | None
    flops_per_clip: int | None
    seconds: float | None
    """Mean over runs."""
    best_epoch: Spread | None
    """Accuracy in the epoch that was best on the test fold: no result. None unless all runs have it."""
    accuracy_of_fold: dict[int, float]
    """Of recordings, the mean over seeds; missing folds are not there."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two entries on the recordings that both have tested."""

    first: str
    second: str
    n_recordings: int
    n_seeds: int
    """In common; 0: nothing can be compared."""
    difference: Estimate | None
    """Accuracy of the second less that of the first, each the mean over the common seeds."""
    n01: int
    """Recordings that only the second one gets right, by the majority of the common seeds."""
    n10: int
    """Recordings that only the first one gets right."""
    p: float
    """McNemar's exact test."""
    p_holm: float
    """The same, corrected for the number of pairs of the section."""


def measure(section: Section) -> tuple[Measures, ...]:
    """The measures of each entry."""
    return tuple(_measures(entry, n_classes=len(section.classes)) for entry in section.entries)


def _measures(entry: Entry, *, n_classes: int) -> Measures:
    runs = entry.runs
    videos_SKK = confusion_of_subjects([run.videos for run in runs], n_classes=n_classes)
    clips_SKK = confusion_of_subjects([run.clips for run in runs], n_classes=n_classes)
    pooled_1KK = videos_SKK.sum(0)[None]
    matrices = [(confusion(run.videos, n_classes=n_classes), confusion(run.clips, n_classes=n_classes)) for run in runs]
    best = [run.best_epoch.video_accuracy for run in runs if run.best_epoch is not None]
    seconds = [run.seconds for run in runs if run.seconds is not None]
    folds = by_fold(runs, [float(accuracy(videos[None])[0]) for videos, _ in matrices])
    return Measures(
        entry=entry,
        n_recordings=round(videos_SKK.sum()),
        n_clips=round(clips_SKK.sum()),
        n_subjects=len(videos_SKK),
        fold_accuracy=spread(list(folds.values())),
        fold_uar=_over_folds(runs, [float(uar(videos[None])[0]) for videos, _ in matrices]),
        fold_clip_accuracy=_over_folds(runs, [float(accuracy(clips[None])[0]) for _, clips in matrices]),
        accuracy=_estimate(videos_SKK, accuracy),
        uar=_estimate(videos_SKK, uar),
        weighted_f1=_estimate(videos_SKK, weighted_f1),
        macro_f1=_estimate(videos_SKK, macro_f1),
        clip_accuracy=_estimate(clips_SKK, accuracy),
        clip_uar=_estimate(clips_SKK, uar),
        recall_K=tuple(recall(pooled_1KK)[0].tolist()),
        f1_K=tuple(f1(pooled_1KK)[0].tolist()),
        confusion_KK=np.sum([videos for videos, _ in matrices], axis=0).astype(np.int64),
        parameters=runs[0].parameters,
        flops_per_clip=runs[0].flops_per_clip,
        seconds=float(np.mean(seconds)) if seconds else None,
        best_epoch=_over_folds(runs, best) if len(best) == len(runs) else None,
        accuracy_of_fold=folds,
    )


def by_fold(runs: Sequence[Run], values: Sequence[float]) -> dict[int, float]:
    """The mean over the seeds of each fold."""
    folds: dict[int, list[float]] = {}
    for run, value in zip(runs, values, strict=True):
        folds.setdefault(run.fold, []).append(value)
    return {fold: float(np.mean(folds[fold])) for fold in sorted(folds)}


def _over_folds(runs: Sequence[Run], values: Sequence[float]) -> Spread:
    return spread(list(by_fold(runs, values).values()))


def _estimate(values_SKK: Array, of: Callable[[Array], Array]) -> Estimate:
    return Estimate(value=float(of(values_SKK.sum(0)[None])[0]), interval=bootstrap(values_SKK, of))


def compare(section: Section) -> tuple[Pair, ...]:
    """Every pair of entries, in the order of the tables."""
    pairs = [_pair(first, second) for first, second in combinations(section.entries, 2)]
    tested = [i for i, pair in enumerate(pairs) if pair.n_recordings]
    corrected = dict(zip(tested, holm([pairs[i].p for i in tested]), strict=True))
    return tuple(replace(pair, p_holm=corrected[i]) if i in corrected else pair for i, pair in enumerate(pairs))


def _pair(first: Entry, second: Entry) -> Pair:
    common = {(run.seed, run.fold) for run in first.runs} & {(run.seed, run.fold) for run in second.runs}
    a, b = (verdicts(run for run in entry.runs if (run.seed, run.fold) in common) for entry in (first, second))
    recordings = sorted(a.keys() & b.keys())
    n01 = sum(b[r].majority_right and not a[r].majority_right for r in recordings)
    n10 = sum(a[r].majority_right and not b[r].majority_right for r in recordings)
    subjects = sorted({a[r].subject for r in recordings})
    place = {subject: s for s, subject in enumerate(subjects)}
    values_S2 = np.zeros((len(subjects), 2))
    for r in recordings:
        values_S2[place[a[r].subject]] += (b[r].right - a[r].right, 1)
    return Pair(
        first=first.label,
        second=second.label,
        n_recordings=len(recordings),
        n_seeds=len({seed for seed, _ in common}),
        difference=Estimate(value=float(_mean(values_S2.sum(0)[None])[0]), interval=bootstrap(values_S2, _mean))
        if recordings
        else None,
        n01=n01,
        n10=n10,
        p=mcnemar(n01, n10),
        p_holm=1.0,
    )


def _mean(sums_B2: Array) -> Array:
    """The mean difference (B,) from sums of differences and of recordings."""
    return sums_B2[:, 0] / sums_B2[:, 1]
