"""What is written of each epoch while a run goes on: metrics.csv, losses.csv, gradients.csv and TensorBoard events."""

import dataclasses
import shutil
import time
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from fer_model import rundir
from fer_model.checkpoint import Progress
from fer_model.gradients import HEADER, gradient_rows
from fer_model.results import Epoch
from fer_model.rundir import RunDirectory


class Journal:
    """A row and some events for each epoch, none missing and none twice, also when a run goes on after it was killed.

    What a killed run has left is written anew from its checkpoint. TensorBoard's own way, to go on in a second file,
    fails where both are of the same second: it reads files by the order of their names.

    Args:
        progress: what the run has kept.
        writes: whether this process is the one that writes.
    """

    def __init__(self, run: RunDirectory, progress: Progress, *, writes: bool) -> None:
        self._run = run
        self._events: SummaryWriter | None = None
        if writes:
            shutil.rmtree(run.tensorboard, ignore_errors=True)
            self._events = SummaryWriter(str(run.tensorboard))
            ended_at = time.time() - sum(row.seconds for row in progress.history)  # as if there had been no pause
            for row in progress.history:
                ended_at += row.seconds
                self._add_events(row, ended_at)
            write_tables(run, progress)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None) -> None:
        if self._events is not None:
            self._events.close()

    def epoch_done(self, progress: Progress) -> None:
        """Write the last epoch."""
        if self._events is not None:
            self._add_events(progress.history[-1], time.time())
            self._events.flush()
            write_tables(self._run, progress)

    def _add_events(self, row: Epoch, ended_at: float) -> None:
        for name, value in dataclasses.asdict(row).items():
            if value is not None and self._events is not None:
                self._events.add_scalar(name, value, row.epoch, walltime=ended_at)


def write_tables(run: RunDirectory, progress: Progress) -> None:
    """Replace metrics.csv, a row for each epoch, losses.csv, a row for each step, and gradients.csv if asked for."""
    header = [field.name for field in dataclasses.fields(Epoch)]
    rundir.write_csv(run.path / "metrics.csv", header, [dataclasses.astuple(row) for row in progress.history])
    steps = [(step, f"{loss:.6g}") for step, loss in enumerate(progress.losses, 1)]
    rundir.write_csv(run.path / "losses.csv", ["step", "loss"], steps)
    if progress.gradient_sums is not None:
        rundir.write_csv(run.path / "gradients.csv", HEADER, gradient_rows(progress.gradients))
