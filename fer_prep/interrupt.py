"""Ctrl-C in a build: the first one asks for an orderly end, the second one ends it at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """The build was asked to end, and has; its text says what is kept."""


class CtrlC:
    """Whether it was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The second time, raise KeyboardInterrupt."""
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True

    def note(self, number: int, frame: FrameType | None) -> None:
        """However often."""
        self.pressed = True


@contextmanager
def hearing_ctrl_c() -> Iterator[CtrlC]:
    """Ctrl-C is noted, and the build goes on; the second one raises KeyboardInterrupt.

    Python hears signals in its main thread only; elsewhere nothing is ever pressed.
    """
    ctrl_c = CtrlC()
    with _handled_by(ctrl_c.hear):
        yield ctrl_c


@contextmanager
def ctrl_c_postponed() -> Iterator[CtrlC]:
    """Ctrl-C is noted, and changes nothing: for what must not be interrupted, and is quick."""
    ctrl_c = CtrlC()
    with _handled_by(ctrl_c.note):
        yield ctrl_c


@contextmanager
def starting_processes() -> Iterator[None]:
    """Processes started here never hear Ctrl-C: it is ours to end them.

    Raises:
        KeyboardInterrupt: at the end, if it was pressed meanwhile.
    """
    resource_tracker.ensure_running()  # Python starts it before its first process, and unblocks signals then
    with ctrl_c_postponed() as ctrl_c:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if ctrl_c.pressed:
        raise KeyboardInterrupt


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
