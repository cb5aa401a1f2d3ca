"""Losses of each step become a smooth curve, and the step at which it falls below a loss; gradients become means.

Axes: S training steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_model.tables.records import Run
from fer_model.tables.sections import Entry, Section

WINDOW = 20
"""Steps of the running mean."""
SHARES = (0.5, 0.25, 0.1)
"""Of the loss of guessing: which losses to wait for. Set before any result was seen; the test fold has no say."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """When the runs of an entry fall below a loss."""

    label: str
    share: float
    """Of the loss of guessing."""
    loss: float
    steps: tuple[int | None, ...]
    """Of each run with enough steps; None: never."""

    @property
    def reached(self) -> list[int]:
        """Steps of the runs that do."""
        return [step for step in self.steps if step is not None]

    @property
    def mean(self) -> float | None:
        """Over runs; None unless all reach it, for the mean of those that do flatters."""
        return float(np.mean(self.reached)) if self.steps and len(self.reached) == len(self.steps) else None


@dataclass(frozen=True, kw_only=True)
class MeanNorm:
    """Gradient that reaches h[t] of a layer: the mean over the epochs and runs of an entry."""

    label: str
    stream: str
    layer: int
    t: int
    norm: float


def running_mean(loss_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each WINDOW steps in a row; the first value belongs to step WINDOW. Empty if there are fewer."""
    if len(loss_S) < WINDOW:
        return np.empty(0)
    sums = np.concatenate([[0.0], np.cumsum(loss_S)])
    means: NDArray[np.float64] = (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
    return means


def first_below(loss_S: NDArray[np.float64], loss: float) -> int | None:
    """The first step, from 1, at which the running mean is below a loss."""
    below = np.flatnonzero(running_mean(loss_S) < loss)
    return int(below[0]) + WINDOW if len(below) else None


def mean_curve(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Mean over runs of their running means, as far as all of them go."""
    curves = [running_mean(run.loss_S) for run in runs if len(run.loss_S) >= WINDOW]
    if not curves:
        return np.empty(0)
    length = min(map(len, curves))
    mean: NDArray[np.float64] = np.mean([curve[:length] for curve in curves], axis=0)
    return mean


def steps_to_reach(section: Section) -> tuple[Reached, ...]:
    """For each entry and each of SHARES."""
    guessing = math.log(len(section.classes))
    return tuple(
        Reached(label=entry.label, share=share, loss=share * guessing, steps=_steps(entry, share * guessing))
        for entry in section.entries
        for share in SHARES
    )


def _steps(entry: Entry, loss: float) -> tuple[int | None, ...]:
    return tuple(first_below(run.loss_S, loss) for run in entry.runs if len(run.loss_S) >= WINDOW)


def gradient_norms(section: Section) -> tuple[MeanNorm, ...]:
    """Of each entry whose runs recorded gradients, by stream, layer and t."""
    found = []
    for entry in section.entries:
        norms: dict[tuple[str, int, int], list[float]] = {}
        for run in entry.runs:
            for row in run.gradients:
                norms.setdefault((row.stream, row.layer, row.t), []).append(row.norm)
        found += [
            MeanNorm(label=entry.label, stream=stream, layer=layer, t=t, norm=float(np.mean(values)))
            for (stream, layer, t), values in sorted(norms.items())
        ]
    return tuple(found)
