"""`dask scheduler` and `dask worker` processes of our own, and how the scheduler answers while others use it."""

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil
from distributed import Client

HERE = Path(__file__).parents[1]
EVERY_S = 0.5
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))}


@contextmanager
def own_cluster(*, workers: int) -> Iterator[tuple[str, int]]:
    """Address and process id of a scheduler with so many workers of one thread; nothing of it outlives the context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    commands = [["scheduler", "--host=127.0.0.1", f"--port={port}"]]
    commands += [["worker", address, "--nthreads=1"] for _ in range(workers)]
    processes = [_start(*command) for command in commands]
    try:
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address, processes[0].pid
    finally:
        for process in processes:
            _end(process)


def _start(what: str, *options: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *options],
        env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _end(process: "subprocess.Popen[bytes]") -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in family:
        with suppress(psutil.Error):
            child.kill()
    process.wait()


def _known(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


class Watch:
    """Asks a scheduler, every half second and from a client of its own, how many tasks it knows."""

    def __init__(self, address: str, pid: int) -> None:
        self._address, self._scheduler = address, psutil.Process(pid)
        self.roundtrips_s: list[float] = []
        self.tasks: list[int] = []
        self.memory_mb: list[float] = []
        self.cpu_s = self._before_s = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._before_s = self._computing_s()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s = self._computing_s() - self._before_s
        self._end.set()
        self._thread.join()

    @property
    def median_s(self) -> float:
        return statistics.median(self.roundtrips_s)

    def _computing_s(self) -> float:
        """Of the scheduler, since it was started."""
        times = self._scheduler.cpu_times()
        return times.user + times.system

    def _watch(self) -> None:
        with Client(self._address, set_as_default=False) as client:
            while not self._end.wait(EVERY_S):
                begin = time.perf_counter()
                self.tasks.append(client.run_on_scheduler(_known))
                self.roundtrips_s.append(time.perf_counter() - begin)
                self.memory_mb.append(self._scheduler.memory_info().rss / 1e6)
