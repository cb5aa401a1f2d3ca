"""Real builds, real Dask clusters, and the means to do them harm."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from fer_prep.output import directory_digest

HARD = "003_fear_1.mp4"  # for tests in which one recording is too much
SUBJECTS, LABELS = ("001", "003", "005", "006"), ("anger", "fear", "happiness", "surprise")


def command(root: Path, out: Path, cache: Path, *options: str) -> list[str]:
    """A build of the corpus of these tests."""
    places = [f"--root={root}", f"--out={out}", f"--cache={cache}"]
    return [sys.executable, "-m", "fer_prep", "build", "--dataset=manifest", *places, *options]


def run(command_line: list[str], timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=timeout_s)


def start(command_line: list[str]) -> "subprocess.Popen[str]":
    """In a process group of its own; standard output and error are one."""
    return subprocess.Popen(
        command_line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def digest(out: Path) -> str:
    """Of a finished directory, whose index fits what lies there."""
    index = json.loads((out / "index.json").read_text())
    assert [shard["file"] for shard in index["shards"]] == sorted(path.name for path in out.glob("*.h5"))
    return directory_digest(out)


def wait_for(condition: Callable[[], object], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.02)


def tracks(cache: Path) -> int:
    """Recordings aligned so far."""
    return sum(1 for _ in cache.rglob("output.pkl"))


class DaskCluster:
    """`dask scheduler` and `dask worker`, as a person starts them, on the loopback interface."""

    def __init__(self, home: Path, **settings: str) -> None:
        """`settings` are environment variables of Dask's configuration."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._home, self._environment = home, os.environ | settings
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    def start_scheduler(self) -> None:
        self.scheduler = self._start("scheduler", "--host=127.0.0.1", f"--port={self._port}")

    def add_worker(
        self, *options: str, environment: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> "subprocess.Popen[bytes]":
        """A nanny with one worker process of one thread, unless options say otherwise.

        Args:
            before: words that the command comes after, such as `nice`.
        """
        threads = () if any(option.startswith("--nthreads") for option in options) else ("--nthreads=1",)
        return self._start("worker", self.address, *threads, *options, environment=environment, before=before)

    def wait_for_workers(self, n: int) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(n, timeout=60)

    def _start(
        self, what: str, *options: str, environment: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [*before, sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *options],
            cwd=self._home, env={**self._environment, **(environment or {})}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            kill_all(process.pid)
            process.wait()


@contextmanager
def dask_cluster(home: Path, n_workers: int, *options: str, **settings: str) -> Iterator[DaskCluster]:
    """A running cluster; nothing of it outlives the context."""
    cluster = DaskCluster(home, **settings)
    try:
        for _ in range(n_workers):
            cluster.add_worker(*options)
        if n_workers:
            cluster.wait_for_workers(n_workers)
        yield cluster
    finally:
        cluster.end()


def worker_processes(nanny: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """What works below a `dask worker`: its nanny's child, not Python's resource tracker."""
    children = psutil.Process(nanny.pid).children(recursive=True)
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


def local_workers(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The worker processes of a build: children of its fork server, busy or not."""
    children = psutil.Process(process.pid).children()
    return [worker for child in children for worker in child.children()]


def kill_all(pid: int, blow: signal.Signals = signal.SIGKILL) -> None:
    """A process and everything below it."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            member.send_signal(blow)
        except psutil.NoSuchProcess:
            continue


def trap(home: Path, body: str) -> str:
    """Option of a worker that runs a piece of code whenever it is given the hard recording."""
    path = home / "trap.py"
    path.write_text(
        "import fer_prep.stages as stages\n"
        "original = getattr(stages.align_recording, 'original', stages.align_recording)  # preloaded twice\n"
        "def meet():"
        f"{body}"
        "def align_recording(job, setup):\n"
        f"    if job.recording.id == {HARD!r}: meet()\n"
        "    return original(job, setup)\n"
        "align_recording.original = original\n"
        "stages.align_recording = align_recording\n"
    )
    return f"--preload={path}"
