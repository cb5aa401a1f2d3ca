"""Ctrl-C in a build: the first one asks for an orderly end, the second one ends it at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """The build was asked to end, and has; its text says what is kept."""


class CtrlC:
    """Whether it was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


@contextmanager
def hearing_ctrl_c() -> Iterator[CtrlC]:
    """Ctrl-C is noted, and the build goes on; the second one raises KeyboardInterrupt.

    Python hears signals in its main thread only; elsewhere nothing is ever pressed.
    """
    ctrl_c = CtrlC()
    if threading.current_thread() is not threading.main_thread():
        yield ctrl_c
        return
    before = signal.signal(signal.SIGINT, ctrl_c.hear)
    try:
        yield ctrl_c
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ctrl_c_postponed() -> Iterator[None]:
    """What is interrupted while it starts cannot be closed; so it starts first."""
    with hearing_ctrl_c() as ctrl_c:
        yield
    if ctrl_c.pressed:
        raise KeyboardInterrupt
