"""Where the tasks of a build run: worker processes of this machine, a running Dask cluster, or a caller's client."""

import asyncio
import logging
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from multiprocessing import forkserver

import dask
from distributed import Client, LocalCluster
from distributed.comm.core import connect
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from fer_prep.errors import FerPrepError, UsageError
from fer_prep.interrupt import ctrl_c_postponed, starting_processes

CONNECT_S = 10
# Dask looks at its own threads a hundred times a second; on two cores that is seconds of every minute
LOCAL = {
    "distributed.worker.daemon": True,
    "distributed.worker.multiprocessing-method": "forkserver",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "2s",
}
ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^\s/]+:(?P<port>[0-9]{1,5})")
LAST_PORT = 65535


@contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """A client of so many worker processes of one thread each, which live as long as the context.

    They never see Ctrl-C: the driver hears it, and stops them in order.

    Raises:
        FerPrepError: the processes could not be started.
    """
    dask.config.set(LOCAL)
    with starting_processes():  # all workers, also those that replace dead ones, are forked from this one
        forkserver.ensure_running()
    with silence_logging_cmgr(logging.CRITICAL):
        try:
            with ctrl_c_postponed() as ctrl_c:
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    # whose worker died is counted by us; ":0", else a second build warns that port 8787 is taken
                    scheduler_kwargs={"dashboard_address": ":0", "allowed_failures": 0},
                    silence_logs=logging.CRITICAL,
                )
                client = Client(cluster)
        except (OSError, RuntimeError) as error:
            raise FerPrepError(
                f"{workers} worker processes could not be started ({error}); try fewer --workers"
            ) from error
        try:
            if ctrl_c.pressed:
                raise KeyboardInterrupt
            yield client
        except KeyboardInterrupt:
            _end_at_once(cluster)
            raise
        finally:
            # it is quick, and who interrupts it gets tracebacks of Dask's threads
            with ctrl_c_postponed():
                client.close()
                cluster.close()


@contextmanager
def scheduler_client(address: str) -> Iterator[Client]:
    """A client of a running Dask cluster, closed at the end; the cluster goes on.

    Raises:
        UsageError: that is no address.
        FerPrepError: no scheduler answers there.
    """
    parts = ADDRESS.fullmatch(address)
    if parts is None or not 0 < int(parts["port"]) <= LAST_PORT:
        raise UsageError(f"{address!r} is no address of a Dask scheduler; write it as tcp://host:port")
    with silence_logging_cmgr(logging.CRITICAL):
        try:
            # a client by itself waits forever for something that listens and never answers
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _knock(address)).result()
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise FerPrepError(
                f"{address}: no Dask scheduler answers there within {CONNECT_S} s; start one with `dask scheduler`, or "
                "leave --scheduler out to use this machine"
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=CONNECT_S)


async def _knock(address: str) -> None:
    async with asyncio.timeout(CONNECT_S):
        comm = await connect(address, timeout=CONNECT_S, **Security().get_connection_args("client"))
        await comm.close()


@contextmanager
def callers_client(client: Client) -> Iterator[Client]:
    """The same client; it stays open.

    Raises:
        UsageError: it cannot be used.
    """
    if client.asynchronous or client.status != "running":
        state = "asynchronous" if client.asynchronous else client.status
        raise UsageError(f"the client is {state}; a running Client(asynchronous=False) is needed")
    yield client


def dashboard(client: Client) -> str | None:
    """Address of the page on which Dask shows what its cluster does; None: it has none, for want of bokeh."""
    try:
        return client.dashboard_link if client.run_on_scheduler(_has_bokeh) else None
    except (KeyError, OSError):
        return None


def _end_at_once(cluster: LocalCluster) -> None:
    """Workers that are at a task take seconds to be closed; what they are at is not wanted any more."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


def _has_bokeh() -> bool:
    return find_spec("bokeh") is not None
