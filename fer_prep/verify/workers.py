"""Shards are checked in processes of their own: one that dies of a shard, or gets stuck in it, is replaced.

A process is sent the name of one shard at a time, and answers with numbers (bytes checked) and then a report.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from fer_prep.errors import FerPrepError
from fer_prep.interrupt import starting_processes
from fer_prep.verify.index import Entry, Index
from fer_prep.verify.result import Listener
from fer_prep.verify.shard import ShardReport, check_shard

STUCK_S = 300.0  # without a word: a block of frames takes far less, from any disk
READY = "ready"


def check_shards(
    directory: Path, index: Index, *, quick: bool, workers: int, listener: Listener
) -> Iterator[tuple[Entry, ShardReport]]:
    """Every shard of the index with its report, as they are done. No process outlives the iterator.

    Raises:
        FerPrepError: processes cannot be started.
    """
    waiting = list(reversed(index.shards))
    team: list[_Worker] = []
    try:
        while waiting or any(worker.entry for worker in team):
            while waiting and len(team) < workers:
                with starting_processes():
                    team.append(_Worker(directory, index, quick=quick))
            for worker in team:
                if waiting and worker.is_ready and worker.entry is None:
                    worker.give(waiting.pop())
            wait([worker.connection for worker in team], timeout=1)
            for worker in list(team):
                entry, report = worker.entry, worker.hear(listener)
                if worker.is_gone:
                    team.remove(worker)
                if entry is not None and report is not None:
                    listener.checked_file(len(report.sentences))
                    yield entry, report
    finally:
        for worker in team:
            worker.end()


class _Worker:
    """One process, as the driver sees it. `entry` is what it is at."""

    def __init__(self, directory: Path, index: Index, *, quick: bool) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.entry: Entry | None = None
        self.is_ready = self.is_gone = False
        self._process: BaseProcess = context.Process(
            target=_work, args=(theirs, directory, index, quick), daemon=True, name="fer-prep verify"
        )
        try:
            self._process.start()
        except OSError as error:
            raise FerPrepError(
                f"a worker process could not be started ({error.strerror}); try fewer --workers"
            ) from error
        theirs.close()
        self._heard_s = time.monotonic()

    def give(self, entry: Entry) -> None:
        self.entry, self._heard_s = entry, time.monotonic()
        with suppress(OSError):  # it has died: that is heard next
            self.connection.send(entry.file)

    def hear(self, listener: Listener) -> ShardReport | None:
        """What has come since: progress is passed on; the report ends the shard, and so does the process' death."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                self._heard_s = time.monotonic()
                if isinstance(message, ShardReport):
                    self.entry = None
                    return message
                if message == READY:
                    self.is_ready = True
                else:
                    listener.checked_bytes(message)
        except (EOFError, OSError):
            return self._lost(_cause_of_death(self._process))
        if self.entry is not None and time.monotonic() - self._heard_s > STUCK_S:
            return self._lost(f"the check got stuck in it, and was stopped after {STUCK_S / 60:.0f} minutes")
        return None

    def _lost(self, sentence: str) -> ShardReport | None:
        self.end()
        self.is_gone = True
        if not self.is_ready:
            raise FerPrepError(
                "a worker process died before it began; try fewer --workers (a script of your own needs "
                "`if __name__ == '__main__':`)"
            )
        return ShardReport((sentence,), False, None) if self.entry is not None else None

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _cause_of_death(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    if code == -signal.SIGKILL:
        return "could not be checked: its process was killed, perhaps for want of memory; try fewer --workers"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the HDF5 library crashed on it ({name})"


def _work(connection: Connection, directory: Path, index: Index, quick: bool) -> None:
    """The process: shard after shard, until the driver hangs up."""
    entries = {entry.file: entry for entry in index.shards}
    # a library that crashes has words for its own author on the user's screen
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with suppress(EOFError, OSError):
        connection.send(READY)
        while True:
            entry = entries[connection.recv()]
            connection.send(check_shard(directory, entry, index, quick=quick, progress=connection.send))
