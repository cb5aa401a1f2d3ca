"""Ctrl-C while processes are started."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from fer_prep.interrupt import starting_processes


def is_deaf(process: "subprocess.Popen[bytes]") -> bool:
    """Whether it has SIGINT blocked."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    blocked = next(line for line in status.splitlines() if line.startswith("SigBlk:")).split()[1]
    return bool(int(blocked, 16) >> (signal.SIGINT - 1) & 1)


def test_ctrl_c_while_processes_start_is_heard_by_the_driver_alone_and_once_they_are_known() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with starting_processes():
            os.kill(os.getpid(), signal.SIGINT)
            started.append(subprocess.Popen(["sleep", "60"]))

    with pytest.raises(KeyboardInterrupt):
        start()
    (process,) = started
    try:
        assert is_deaf(process)
    finally:
        process.kill()
        process.wait()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_processes_that_a_thread_starts_are_deaf_too() -> None:
    deaf: list[bool] = []

    def work() -> None:
        with starting_processes(), subprocess.Popen(["sleep", "60"]) as process:
            deaf.append(is_deaf(process))
            process.kill()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert deaf == [True]
