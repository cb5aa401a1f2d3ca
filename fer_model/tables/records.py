"""What is known of runs: one frozen record for each run, and one for each thing that is wrong in a tree of them.

Axes: N decisions, K classes, S steps.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_model.rundir import Json


@dataclass(frozen=True, kw_only=True, eq=False)
class Decisions:
    """Decisions on the clips or the recordings of a test fold."""

    recordings: tuple[str, ...]
    """Of each decision."""
    subjects: tuple[str, ...]
    label_N: NDArray[np.int64]
    predicted_N: NDArray[np.int64]
    probability_NK: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GradientNorm:
    """A row of gradients.csv: mean over an epoch's steps of the norm of dL/dh[t] of one layer."""

    epoch: int
    stream: str
    layer: int
    t: int
    norm: float


@dataclass(frozen=True, kw_only=True)
class BestEpoch:
    """The epoch that did best on the test fold, chosen on it: what some papers report, and no result."""

    epoch: int
    video_accuracy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A finished run: what it was asked, and what it left."""

    path: Path
    config: Json
    """Everything that decides the result."""
    corpus: str
    name: str
    """What tables call the network: the word of a variant, or of a baseline."""
    model: str
    seed: int
    fold: int
    n_folds: int | None
    """Groups of the shards; None in runs that do not say it."""
    classes: tuple[str, ...]
    note: str | None
    parameters: int | None
    flops_per_clip: int | None
    seconds: float | None
    best_epoch: BestEpoch | None
    clips: Decisions
    videos: Decisions
    loss_S: NDArray[np.float64]
    """Of each training step; empty if the model takes no steps."""
    gradients: tuple[GradientNorm, ...]
    """Empty if they were not recorded."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A directory or file that is not what it should be."""

    path: Path
    text: str
    """What was found, and what to do."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Gathered:
    """A tree of run directories."""

    root: Path
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]
