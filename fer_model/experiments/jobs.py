"""Several runs of a set at a time: each process takes the next run, and leaves word in small files."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread

from fer_model.experiments.display import ExperimentDisplay, RunState

PERIOD_S = 0.2
"""Between two looks at the files, and two words of the same run."""


def take(meeting: Path, number: int) -> bool:
    """Whether a run is this process's; it is of the one that asks first."""
    try:
        (meeting / f"run{number}.taken").open("x").close()
    except FileExistsError:
        return False
    return True


class JobFiles:
    """Where a process leaves how far it is, and how its runs ended."""

    def __init__(self, meeting: Path, job: int) -> None:
        self._meeting, self._job = meeting, job
        self._said_at, self._number = 0.0, -1

    def said(self, state: RunState) -> None:
        """A run is under way."""
        if state.number != self._number or time.monotonic() - self._said_at >= PERIOD_S:
            self._said_at, self._number = time.monotonic(), state.number
            self._leave(f"job{self._job}.state", asdict(state))

    def ended(self, number: int, reason: str | None) -> None:
        """A run is over; `reason`: why it did not finish."""
        self._leave(f"run{number}.ended", {"reason": reason})

    def _leave(self, name: str, word: dict[str, object]) -> None:
        temporary = self._meeting / f"{name}.tmp{self._job}"
        temporary.write_text(json.dumps(word), encoding="utf-8")
        temporary.replace(self._meeting / name)


@contextmanager
def reading(meeting: Path, display: ExperimentDisplay, *, n_jobs: int, n_runs: int) -> Iterator[None]:
    """Hand on to the display what processes leave, while in here; at the end, all of it was."""
    over = Event()
    thread = Thread(target=_read, args=(meeting, display, n_jobs, n_runs, over), name="display", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _read(meeting: Path, display: ExperimentDisplay, n_jobs: int, n_runs: int, over: Event) -> None:
    waited = set(range(n_runs))
    last = False
    while not last:
        last = over.wait(PERIOD_S)
        for job in range(n_jobs):
            state = meeting / f"job{job}.state"
            if state.exists():
                display.said(RunState(**json.loads(state.read_text(encoding="utf-8"))), job=job)
        for number in sorted(waited):
            ended = meeting / f"run{number}.ended"
            if ended.exists():
                waited.remove(number)
                display.ended(number, json.loads(ended.read_text(encoding="utf-8"))["reason"])
