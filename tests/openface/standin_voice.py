"""How the stand-in speaks and dies: flushed lines, unflushed percentages, real signals."""

import os
import sys
import time
from typing import NoReturn


def say(text: str, end: str = "\n", flush: bool = True) -> None:
    """A line of stdout; OpenFace flushes at every line end, but not after a percentage."""
    sys.stdout.write(text + end)
    if flush:
        sys.stdout.flush()


def noise(text: str) -> None:
    """A line of stderr."""
    os.write(2, f"{text}\n".encode(errors="surrogateescape"))


def abort(message: str) -> NoReturn:
    """A real SIGABRT, as after an uncaught C++ exception; what is not flushed is lost."""
    noise(message)
    os.abort()


def uncaught(kind: str, what: str) -> NoReturn:
    abort(f"terminate called after throwing an instance of '{kind}'\n  what():  {what}")


def sleep_for_ever() -> NoReturn:
    """0 % CPU; any signal ends it."""
    while True:
        time.sleep(3600)
