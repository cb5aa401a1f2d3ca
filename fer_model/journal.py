"""What is written of each epoch while a run goes on: metrics.csv and TensorBoard events."""

import dataclasses
from collections.abc import Sequence
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from fer_model import rundir
from fer_model.results import Epoch
from fer_model.rundir import RunDirectory


class Journal:
    """A row and some events for each epoch, none missing and none twice, also when a run goes on after it was killed.

    Args:
        history: the epochs that the run has kept; whatever else was written of later ones no longer counts.
        writes: whether this process is the one that writes.
    """

    def __init__(self, run: RunDirectory, history: Sequence[Epoch], *, writes: bool) -> None:
        self._run = run
        self._events: SummaryWriter | None = None
        if writes:
            write_metrics(run, history)
            self._events = SummaryWriter(str(run.tensorboard), purge_step=len(history) + 1)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None) -> None:
        if self._events is not None:
            self._events.close()

    def epoch_done(self, history: Sequence[Epoch]) -> None:
        """Write the last epoch. Call it before the epoch is kept in a checkpoint: what is written twice is purged."""
        if self._events is None:
            return
        for name, value in dataclasses.asdict(history[-1]).items():
            if value is not None:
                self._events.add_scalar(name, value, history[-1].epoch)
        self._events.flush()
        write_metrics(self._run, history)


def write_metrics(run: RunDirectory, history: Sequence[Epoch]) -> None:
    """Replace metrics.csv."""
    header = [field.name for field in dataclasses.fields(Epoch)]
    rundir.write_csv(run.path / "metrics.csv", header, [dataclasses.astuple(row) for row in history])
