"""Tasks on their way through a Dask cluster: sent, awaited, and sent again when their worker died."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import dask
from dask.typing import Key
from dask.utils import parse_timedelta
from distributed import Client, Future, KilledWorker

from fer_prep.errors import FerPrepError

LOOK_S = 0.5  # for Ctrl-C
CLUSTER_LOOK_S = 2.0  # workers come and go
FIRST = 10
MOST_DEATHS = 3
What = TypeVar("What")


class ClusterLostError(FerPrepError):
    """The scheduler is gone, or does not answer any more."""


class DiedError(Exception):
    """The workers that a task was given to died, time after time."""


@dataclass(frozen=True)
class Landed(Generic[What]):
    """A task that has ended: with its value, or the exception that it raised."""

    what: What
    value: Any
    error: Exception | None = None


@dataclass
class _Task(Generic[What]):
    what: What
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    first: bool
    again: bool
    deaths: int = 0
    rounds: int = 0


class Flight(Generic[What]):
    """All tasks of one driver that have not ended yet.

    A worker that dies takes along the task that it was at, and blames those that waited behind it. So the suspects are
    sent again one at a time and before all others: the guilty one dies alone, and after three deaths it is given up.
    """

    def __init__(self, client: Client, *, died: Callable[[What, int], None] = lambda what, deaths: None) -> None:
        """`died` is told of tasks that are sent again, and how many workers they were on when those died."""
        self._client, self._died = client, died
        self._tasks: dict[Key, tuple[Future[Any], _Task[What]]] = {}
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()
        self._suspects: deque[_Task[What]] = deque()
        self._suspect: Key | None = None
        self._n_threads, self._looked_at = 0, float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(value, ClusterLostError):
            self.drop(lambda what: True)

    def __len__(self) -> int:
        return len(self._tasks) + len(self._suspects)

    @property
    def n_threads(self) -> int:
        """Threads of all workers, as of a moment ago; 0: there is no worker.

        Raises:
            ClusterLostError: the scheduler does not answer.
        """
        if time.monotonic() - self._looked_at > CLUSTER_LOOK_S:
            self._look()
        return self._n_threads

    def send(
        self, what: What, function: Callable[..., Any], *arguments: Any, first: bool = False, again: bool = True
    ) -> None:
        """Have a task done.

        Args:
            first: before all that are not.
            again: if its worker dies, try it again.

        Raises:
            ClusterLostError: there is no connection to the scheduler.
        """
        self._send(_Task(what, function, arguments, first, again))

    def landed(self) -> list[Landed[What]]:
        """The tasks that have ended since; waits a moment for one of them, and may return none.

        Raises:
            ClusterLostError: the connection to the scheduler is lost, and all tasks with it.
        """
        ended = [self._tasks.pop(future.key) for future in self._just_ended() if future.key in self._tasks]
        found: list[Landed[What]] = []
        good: list[tuple[Future[Any], _Task[What]]] = []
        for future, task in ended:
            if self._suspect == future.key:
                self._suspect = None
            if future.status == "cancelled":
                raise _lost(self._client)
            if future.status == "error":
                found += self._failed(task, future.exception())
            else:
                good.append((future, task))
        found += self._values(good)
        if self._suspects and self._suspect is None:
            task = self._suspects.popleft()
            self._suspect = self._send(task)
        return found

    def drop(self, unwanted: Callable[[What], bool]) -> None:
        """Forget tasks; those that run already run on, and nobody hears of it."""
        self._suspects = deque(task for task in self._suspects if not unwanted(task.what))
        futures = [future for future, task in self._tasks.values() if unwanted(task.what)]
        for future in futures:
            del self._tasks[future.key]
            if self._suspect == future.key:
                self._suspect = None
        if futures and self._client.status == "running":
            try:
                self._client.cancel(futures)
            except (OSError, CancelledError, RuntimeError) as error:
                raise _lost(self._client) from error

    def _send(self, task: _Task[What]) -> Key:
        try:
            future = self._client.submit(
                task.function, *task.arguments, pure=False, priority=FIRST if task.first or task.rounds else 0
            )
        except Exception as error:
            if self._client.status != "running":
                raise _lost(self._client) from error
            raise
        self._tasks[future.key] = (future, task)
        future.add_done_callback(self._ended.put)
        return future.key

    def _just_ended(self) -> Iterable[Future[Any]]:
        ended: dict[Key, Future[Any]] = {}  # a task that is lost and done again ends twice
        with suppress(Empty):
            future = self._ended.get(timeout=LOOK_S)
            while True:
                ended[future.key] = future
                future = self._ended.get_nowait()
        if not ended and self._client.status != "running":
            raise _lost(self._client)
        return ended.values()

    def _values(self, ended: list[tuple[Future[Any], _Task[What]]]) -> list[Landed[What]]:
        """Their values, fetched all at once; one by one if one of them is lost meanwhile."""
        futures = [future for future, _ in ended]
        try:
            values = self._client.sync(
                lambda: self._client.gather(futures, asynchronous=True), callback_timeout=_patience_s()
            )
            return [Landed(task.what, value) for (_, task), value in zip(ended, values, strict=True)]
        except TimeoutError:
            return self._later(ended)
        except Exception:
            found: list[Landed[What]] = []
            for future, task in ended:
                try:
                    found.append(Landed(task.what, future.result(timeout=_patience_s())))
                except TimeoutError:
                    found += self._later([(future, task)])
                except (OSError, CancelledError) as error:
                    raise _lost(self._client) from error
                except Exception as error:
                    found += self._failed(task, error)
            return found

    def _later(self, ended: list[tuple[Future[Any], _Task[What]]]) -> list[Landed[What]]:
        """Whoever has the values is silent. If it is a worker, the scheduler will find out, and have them made anew.

        Raises:
            ClusterLostError: it is the scheduler.
        """
        self._look()
        for future, task in ended:
            self._tasks[future.key] = (future, task)
            self._ended.put(future)
        return []

    def _look(self) -> None:
        """Ask the scheduler for its workers' threads.

        Raises:
            ClusterLostError: it does not answer.
        """
        if self._client.status != "running":
            raise _lost(self._client)
        self._looked_at = time.monotonic()
        try:
            threads: dict[str, int] = self._client.sync(
                lambda: self._client.nthreads(asynchronous=True), callback_timeout=_patience_s()
            )
        except (OSError, CancelledError, RuntimeError) as error:
            raise _lost(self._client) from error
        self._n_threads = sum(threads.values())

    def _failed(self, task: _Task[What], error: Exception) -> list[Landed[What]]:
        if not isinstance(error, KilledWorker):
            return [Landed(task.what, None, error)]
        task.deaths += error.allowed_failures + 1
        task.rounds += 1
        if not task.again or (task.rounds > 1 and task.deaths >= MOST_DEATHS):
            return [Landed(task.what, None, DiedError(f"{task.deaths} workers died"))]
        self._died(task.what, task.deaths)
        self._suspects.append(task)
        return []


def _patience_s() -> float:
    """How long a silent connection counts as alive, for Dask and for us."""
    patience_s: float = parse_timedelta(dask.config.get("distributed.comm.timeouts.tcp"))
    return patience_s


def _lost(client: Client) -> ClusterLostError:
    address = client.scheduler.address if client.scheduler else "the scheduler"
    return ClusterLostError(
        f"the connection to {address} is lost: the Dask scheduler has ended, or the network is down; finished shards "
        "are kept, the same command goes on from here once it is there again"
    )
