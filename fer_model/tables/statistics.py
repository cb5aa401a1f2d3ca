"""Measures of confusion matrices, and how sure they are: bootstrap over subjects, McNemar's test, Holm's correction.

Axes: B resamples, S subjects, K true classes and K decisions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Array = NDArray[np.float64]
N_RESAMPLES = 10_000
SEED = 2021
LEVEL = 0.95
FEW_SUBJECTS = 20
"""Below this, a percentile interval is noticeably too narrow."""
CHUNK = 500
"""Resamples at once: what they take does not grow with their number."""
SURE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean and standard deviation (n-1) over folds; no deviation of one fold."""

    mean: float
    sd: float | None
    n: int


def accuracy(confusion_BKK: Array) -> Array:
    """Share of right decisions (B,); NaN of nothing."""
    return _ratio(np.trace(confusion_BKK, axis1=-2, axis2=-1), confusion_BKK.sum((-2, -1)))


def recall(confusion_BKK: Array) -> Array:
    """Share of right decisions for each true class (B,K); NaN for a class that does not occur."""
    return _ratio(np.diagonal(confusion_BKK, axis1=-2, axis2=-1), confusion_BKK.sum(-1))


def uar(confusion_BKK: Array) -> Array:
    """Unweighted average recall (B,), over the classes that occur."""
    return _mean_of_known(recall(confusion_BKK))


def f1(confusion_BKK: Array) -> Array:
    """F1 of each class (B,K): twice the right ones by the occurrences plus the decisions; NaN if it does not occur."""
    occurs_BK = confusion_BKK.sum(-1)
    right_BK = np.diagonal(confusion_BKK, axis1=-2, axis2=-1)
    return _ratio(2 * right_BK, np.where(occurs_BK > 0, occurs_BK + confusion_BKK.sum(-2), 0))


def macro_f1(confusion_BKK: Array) -> Array:
    """Unweighted average F1 (B,), over the classes that occur."""
    return _mean_of_known(f1(confusion_BKK))


def weighted_f1(confusion_BKK: Array) -> Array:
    """F1 averaged by how often each class occurs (B,)."""
    occurs_BK = confusion_BKK.sum(-1)
    return _ratio((np.nan_to_num(f1(confusion_BKK)) * occurs_BK).sum(-1), occurs_BK.sum(-1))


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of the values of folds."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(mean=float(np.mean(values)), sd=sd, n=len(values))


def bootstrap(values_SX: Array, measure: Callable[[Array], Array]) -> Interval | None:
    """Percentile interval of a measure of sums over subjects, when subjects are drawn again, with replacement.

    A subject comes with everything that was decided of it: its recordings are no independent trials.

    Args:
        values_SX: what each subject adds, of whatever further axes.
        measure: from sums (B, ...) to values (B,).

    Returns:
        None where resampling cannot tell: fewer than two subjects, or no resample differs from another.
    """
    n_subjects = len(values_SX)
    if n_subjects < 2:
        return None
    flat_SX = values_SX.reshape(n_subjects, -1)
    found = [
        measure((counts_BS @ flat_SX).reshape(len(counts_BS), *values_SX.shape[1:]))
        for counts_BS in _resamples(n_subjects)
    ]
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(np.concatenate(found), [tail, 1 - tail])
    return None if high - low < SURE else Interval(low=float(low), high=float(high))


def _resamples(n_subjects: int) -> Iterator[Array]:
    """How often each subject is drawn, CHUNK resamples at a time; always the same ones."""
    random = np.random.default_rng(SEED)
    for _ in range(N_RESAMPLES // CHUNK):
        yield random.multinomial(n_subjects, np.full(n_subjects, 1 / n_subjects), size=CHUNK).astype(np.float64)


def mcnemar(n01: int, n10: int) -> float:
    """Two-sided p of McNemar's exact test: of n01 + n10 disagreements, each is as likely one way as the other."""
    return float(binomtest(n01, n01 + n10, 0.5).pvalue) if n01 + n10 else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p of several tests, corrected by Holm's method, in the order given (Holm 1979)."""
    order = sorted(range(len(p)), key=p.__getitem__)
    corrected, largest = [1.0] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = largest
    return corrected


def _ratio(part: Array, whole: Array) -> Array:
    ratio: Array = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return ratio


def _mean_of_known(values_BK: Array) -> Array:
    known_BK = ~np.isnan(values_BK)
    return _ratio(np.nan_to_num(values_BK).sum(-1), known_BK.sum(-1))
