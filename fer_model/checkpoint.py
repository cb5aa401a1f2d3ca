"""How far a run is, and keeping it: the state after any step, from which the run goes on as if nothing had happened."""

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from fer_model import rundir
from fer_model.errors import DivergedError
from fer_model.gradients import Norms, added, divided
from fer_model.results import Epoch
from fer_model.rundir import Json, RunDirectory


@dataclass(kw_only=True)
class Progress:
    """The epochs that are complete, and the one that is under way: its steps done, and what they add up to."""

    n_steps: int
    """Of an epoch."""
    history: list[Epoch]
    losses: list[float] = field(default_factory=list)
    """Of every step of the run: the mean cross-entropy of its clips."""
    gradients: list[Norms] = field(default_factory=list)
    """Of each complete epoch, the means over its clips, see GradientLog."""
    gradient_sums: Norms | None = None
    """Of the epoch under way, over its clips; empty before its first step; None: they are not recorded."""
    step: int = 0
    n_clips: int = 0
    """Of the steps done."""
    loss_sum: float = 0.0
    """Of the cross-entropies of all clips."""
    seconds: float = 0.0
    waited_s: float = 0.0

    @property
    def epoch(self) -> int:
        """The one under way, from 0."""
        return len(self.history)

    def step_done(self, *, loss_sum: float, n_clips: int, seconds: float, waited_s: float) -> None:
        """Count a step of `n_clips` clips."""
        self.step += 1
        self.n_clips += n_clips
        self.losses.append(loss_sum / n_clips)
        self.loss_sum += loss_sum
        self.seconds += seconds
        self.waited_s += waited_s

    def gradients_seen(self, norms: Norms) -> None:
        """Count what reached the hidden states in a step."""
        self.gradient_sums = added(self.gradient_sums or [], norms)

    def epoch_done(self, row: Epoch) -> None:
        """Count an epoch."""
        self.history.append(row)
        if self.gradient_sums is not None:
            self.gradients.append(divided(self.gradient_sums, self.n_clips))
            self.gradient_sums = []
        self.step, self.n_clips, self.loss_sum, self.seconds, self.waited_s = 0, 0, 0.0, 0.0, 0.0

    def __str__(self) -> str:
        if self.step:
            return f"after step {self.step} of {self.n_steps} in epoch {self.epoch + 1}"
        return f"after epoch {self.epoch}" if self.epoch else "before the first step"


class Checkpoints:
    """Keeps a run's last good state in its directory.

    No state of a random generator is in it: each step seeds its own (`step_seed`), order and flips follow from seed and
    epoch. So a checkpoint says nothing of the number of processes or readers, and any number can go on from it.

    Args:
        every_s: seconds between those of `save_if_due`; 0: each call saves.
        writes: whether this process is the one that writes.
    """

    def __init__(
        self,
        run: RunDirectory,
        *,
        config_hash: str,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        every_s: float,
        writes: bool,
    ) -> None:
        self._run, self._config_hash = run, config_hash
        self._network, self._optimizer = network, optimizer
        self._every_s, self._writes = every_s, writes
        self._saved_at = time.monotonic()
        self._last: str | None = None

    def restore(self, state: Json) -> Progress:
        """Put a loaded state into the network and the optimiser; how far it was."""
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        progress = progress_of(state)
        self._last = str(progress)
        return progress

    def save_if_due(self, progress: Progress) -> None:
        """Save, if it is time to."""
        if time.monotonic() - self._saved_at >= self._every_s:
            self.save(progress)

    def save(self, progress: Progress) -> None:
        """Replace the checkpoint, unless a number of the new one is not finite: then the old one is the better one.

        Raises:
            RunDirectoryError: the file system refuses.
        """
        self._saved_at = time.monotonic()
        if not self._writes or not self._finite():
            return
        state = {
            "config_hash": self._config_hash,
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": dataclasses.asdict(progress),
        }
        rundir.save_checkpoint(self._run, state)
        self._last = str(progress)

    def check(self, progress: Progress) -> None:
        """Refuse to go on with weights that are not finite.

        Raises:
            DivergedError: a weight, or a number of the optimiser, is not.
        """
        if not self._finite():
            raise DivergedError(f"the weights are no longer finite {progress}: training diverged. {self.advice()}")

    def advice(self) -> str:
        """What to do after training diverged, and what is kept."""
        kept = "there is no checkpoint" if self._last is None else f"{self._run.checkpoint} is the last good one"
        where = "" if self._last is None else f", {self._last}"
        return f"Give a smaller --lr, and --overwrite; {kept}{where}."

    def _finite(self) -> bool:
        return all(bool(numbers.isfinite().all()) for numbers in self._numbers())

    def _numbers(self) -> Iterator[Tensor]:
        yield from self._network.state_dict().values()
        for state in self._optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))


def progress_of(state: Json) -> Progress:
    """How far a loaded checkpoint is."""
    progress: Json = state["progress"]
    return Progress(**progress | {"history": [Epoch(**row) for row in progress["history"]]})
