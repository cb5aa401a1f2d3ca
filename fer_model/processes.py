"""Starts the processes of a run on this machine, passes signals on to them, and finds out why they ended."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from torch.multiprocessing.spawn import start_processes

from fer_model.outcome import EndedError, Outcome, outcome_of, read_outcome
from fer_model.stop import SIGNALS, Interrupted, hearing_stop

T = TypeVar("T")
GRACE_S = 10.0
"""A process that lost another one notices at once on a CPU. On a GPU it may take minutes: not longer than this."""


def run_processes(
    work: Callable[[T, int, int, Path], None],
    argument: T,
    *,
    n: int,
    meeting: Path,
    debug: bool,
    grace_s: float | None = GRACE_S,
    called: str = "rank",
) -> None:
    """Call `work(argument, rank, n, meeting)` in `n` processes, and wait for their end.

    Each is in a session of its own: the terminal's Ctrl-C reaches this process alone, which passes the first one on and
    kills at the second. If this process is killed, the system sends them Ctrl-C in its place (on Linux).

    Args:
        meeting: an empty directory that all of them see.
        debug: whether they show tracebacks.
        grace_s: how long the others may go on after one failed; None: to their own end, for they do without it.
        called: what a process is, in the reason that is given.

    Raises:
        EndedError: one of them failed, or all were asked to end; none is left.
        Interrupted: Ctrl-C was pressed twice.
    """
    resource_tracker.ensure_running()  # to start it later would unblock the signals
    crew = _Crew(meeting)
    with crew.hearing_signals():
        with _signals_blocked():  # in the processes too, until they can take them: none is lost
            started = start_processes(  # type: ignore[no-untyped-call]
                _main, (work, argument, n, meeting, os.getpid(), debug), nprocs=n, join=False, start_method="spawn"
            )
            crew.join(started.processes)
        crew.wait(grace_s=grace_s)
    if crew.killed_for is not None:
        raise Interrupted(crew.killed_for)
    error = crew.reason([read_outcome(meeting / f"{rank}.json") for rank in range(n)], called=called)
    if error is not None:
        raise error


def _main(
    rank: int, work: Callable[[T, int, int, Path], None], argument: T, n: int, meeting: Path, parent: int, debug: bool
) -> None:
    os.setsid()
    exit_code = 0
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)  # also where the parent was told to ignore them
    try:
        with hearing_stop(says=False):
            (meeting / f"{rank}.ready").touch()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            if os.getppid() != parent:
                raise Interrupted(signal.SIGINT)  # it was killed before the system was told to tell us
            work(argument, rank, n, meeting)
    except BaseException as error:
        if debug:
            traceback.print_exc()
        outcome = outcome_of(error)
        outcome.write(meeting / f"{rank}.json")
        exit_code = outcome.exit_code
    leave(exit_code)


def leave(exit_code: int) -> NoReturn:
    """End this process at once.

    Python's own way to its end can abort a process whose work is done: a thread of torch that wakes up on it wants an
    interpreter that is gone.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


class _Crew:
    """The processes that were started, by rank."""

    def __init__(self, meeting: Path) -> None:
        self.killed_for: int | None = None  # the signal for which they were
        self._meeting = meeting
        self._asked = False
        self._all: list[BaseProcess] = []
        self._running: dict[object, BaseProcess] = {}  # by sentinel
        self._killed: set[BaseProcess] = set()

    def join(self, processes: list[BaseProcess]) -> None:
        """Take these processes on."""
        self._all = processes
        self._running = {process.sentinel: process for process in processes}

    @contextmanager
    def hearing_signals(self) -> Iterator[None]:
        """Pass signals on, while in here; a second Ctrl-C kills, and any signal as long as not all are there."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = [signal.signal(number, self._hear) for number in heard]
        try:
            yield
        finally:
            for number, handler in zip(heard, before, strict=True):
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        ready = all((self._meeting / f"{rank}.ready").exists() for rank in range(len(self._all)))
        if not ready or (self._asked and number == signal.SIGINT):
            self.killed_for = number
            self._kill()
        self._asked = True
        for process in self._running.values():
            with suppress(ProcessLookupError):
                os.kill(process.pid or 0, number)

    def _kill(self) -> None:
        self._killed.update(self._running.values())
        for process in self._running.values():
            process.kill()

    def wait(self, *, grace_s: float | None) -> None:
        """Until none is left. After the first one that fails, the others have this time to end by themselves."""
        deadline: float | None = None
        while self._running:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            ended = connection.wait([process.sentinel for process in self._running.values()], left_s)
            for sentinel in ended:
                process = self._running.pop(sentinel)
                process.join()
                if process.exitcode != 0 and deadline is None and grace_s is not None:
                    deadline = time.monotonic() + grace_s
            if deadline is not None and not ended:
                self._kill()
                deadline = time.monotonic() + GRACE_S

    def reason(self, outcomes: list[Outcome | None], *, called: str) -> EndedError | None:
        """Why they ended; None if all finished."""
        ends = list(zip(range(len(self._all)), self._all, outcomes, strict=True))
        for rank, process, _ in ends:
            if (process.exitcode or 0) < 0 and process not in self._killed:
                name = signal.Signals(-(process.exitcode or 0)).name
                why = " (often: out of memory)" if name == "SIGKILL" else ""
                return EndedError(Outcome(text=f"{called} {rank} was killed by {name}{why}", exit_code=1), died=True)
        for rank, _, outcome in ends:
            if outcome is not None and not outcome.lost:
                if rank > 0 and outcome.alone:
                    outcome = outcome.said_by(rank, called=called)
                return EndedError(outcome, died=outcome.alone and (rank > 0 or outcome.unexpected))
        for rank, process, outcome in ends:
            if process.exitcode != 0 and outcome is None:
                text = f"{called} {rank} ended with the exit code {process.exitcode}"
                return EndedError(Outcome(text=text, exit_code=1), died=True)
        lost = [outcome for outcome in outcomes if outcome is not None]
        return EndedError(lost[0], died=False) if lost else None


@contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
