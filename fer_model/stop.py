"""Ctrl-C and SIGTERM: while steps are made, the first waits for the end of a step; else, it ends the run at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run was asked to end, and has.

    Args:
        number: the signal that asked.
        where: how far the run is, and is kept, as in "after step 3 of 10 in epoch 2"; None: the last checkpoint knows.
        said: whether another program has told the user already.
        others: what is to be said of the other runs of a set.
    """

    def __init__(self, number: int, where: str | None = None, *, said: bool = False, others: str = "") -> None:
        super().__init__()
        self.number, self.where, self.said, self.others = number, where, said, others

    def __str__(self) -> str:
        here = "" if self.where is None else f" {self.where}"
        there = "after the last checkpoint" if self.where is None else "there"
        what = "interrupted" if self.number == signal.SIGINT else "ended by SIGTERM"
        return f"{what}{here}: the same command with --resume (and no --overwrite) goes on {there}{self.others}"

    @property
    def exit_code(self) -> int:
        """As of a shell: 130 or 143."""
        return 128 + self.number


class Stop:
    """Whether the run was asked to end.

    A second Ctrl-C ends it at once. A second SIGTERM does not: cluster managers send one to every process they know of,
    and those that start processes send it on.

    Args:
        says: whether the first Ctrl-C is answered on the standard error.
    """

    def __init__(self, *, says: bool) -> None:
        self._says = says
        self._number: int | None = None
        self._patient = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Whoever asks for the end in here is to look at `asked` after each step."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    def asked(self) -> tuple[int, ...]:
        """For each of SIGNALS, 1 if it came and 0 if not: numbers that processes can add up."""
        return tuple(int(self._number == number) for number in SIGNALS)

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Take a signal.

        Raises:
            Interrupted: it ends the run at once.
        """
        if not self._patient or (self._number is not None and number == signal.SIGINT):
            raise Interrupted(number)
        if self._says and self._number is None and number == signal.SIGINT:
            os.write(2, b"ending after this step; Ctrl-C again ends at once\n")  # safe inside of a handler
        self._number = self._number or number


@contextmanager
def hearing_stop(*, says: bool) -> Iterator[Stop]:
    """Take the two signals while in here. Python hears them in its main thread only; elsewhere nothing is asked."""
    stop = Stop(says=says)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    # what a shell has told to ignore Ctrl-C, in the background, goes on ignoring it
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, stop.hear) for number in heard]
    try:
        yield stop
    finally:
        for number, handler in zip(heard, before, strict=True):
            signal.signal(number, handler)
