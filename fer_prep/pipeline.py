"""The Dask graph: recordings -> tracks -> shards.

One task aligns a batch of recordings into the cache, one task writes the whole shard of one subject. The truth is on
disk: the driver holds outcomes, never pixels, and a run that was killed goes on from what it left.
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, TypeAlias

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from fer_prep.errors import FerPrepError
from fer_prep.ledger import LedgerRow, write_ledger
from fer_prep.listener import Listener
from fer_prep.output import INDEX, read_index, shard_key
from fer_prep.plan import Subject
from fer_prep.resume import Kept, check_existing
from fer_prep.stages import Aligned, AlignSetup, BuiltShard, Job, align_batch, build_shard, failed_row
from fer_prep.stopwatch import Timings
from fer_prep.stored import ShardEntry

# alignments under way or waiting per worker: enough to keep it busy, few enough to keep the scheduler small
IN_FLIGHT_PER_WORKER = 4
SHARDS_FIRST = 10
Batch: TypeAlias = tuple[tuple[Subject, Job], ...]  # aligned by one task
WORKER_DIED = "worker died: several times on this recording, killed or out of memory; try fewer --workers"


@dataclass
class PipelineResult:
    """What a run has brought: ledger rows by recording id, and the entries of all good shards."""

    rows: dict[str, LedgerRow] = field(default_factory=dict)
    entries: list[ShardEntry] = field(default_factory=list)
    n_kept: int = 0
    n_frames_built: int = 0
    timings: Timings = field(default_factory=Timings)


class Pipeline:
    """Builds the shards of subjects on a local cluster of single-threaded worker processes."""

    def __init__(self, setup: AlignSetup, listener: Listener, *, batch_size: int = 1) -> None:
        """`batch_size`: recordings that one task aligns."""
        self._setup, self._listener, self._batch_size = setup, listener, batch_size

    def run(
        self, out: Path, subjects: list[Subject], old_rows: dict[str, LedgerRow], *, workers: int
    ) -> PipelineResult:
        """Keep the shards that are still good and build the others; the ledger grows with every finished shard.

        Raises:
            FerPrepError: a shard cannot be written.
        """
        result = PipelineResult()
        with _local_cluster(workers) as cluster, Client(cluster) as client:
            missing = self._keep(client, out, subjects, old_rows, result)
            if missing:
                # from here on the directory is unfinished, and the ledger tells of kept shards only
                (out / INDEX).unlink(missing_ok=True)
                write_ledger(out, result.rows.values())
            self._build(client, out, missing, IN_FLIGHT_PER_WORKER * workers, result)
        return result

    def _keep(
        self, client: Client, out: Path, subjects: list[Subject], old_rows: dict[str, LedgerRow], result: PipelineResult
    ) -> list[Subject]:
        """Check the shards that exist; returns the subjects that must be built."""
        listed = read_index(out)
        verdicts = {
            subject.path: client.submit(
                check_existing,
                subject.path,
                subject.head,
                subject.jobs,
                {job.recording.id: old_rows[job.recording.id] for job in subject.jobs if job.recording.id in old_rows},
                listed.get(subject.path.name),
                pure=False,
            )
            for subject in subjects
            if subject.path.exists()
        }
        missing = []
        for subject in subjects:
            verdict = self._verdict(verdicts.get(subject.path))
            if verdict.entry is None:
                missing.append(subject)
                if verdict.reason:
                    self._listener.note(f"{subject.path.name} is built anew: {verdict.reason}")
                continue
            result.entries.append(verdict.entry)
            result.n_kept += 1
            for job in subject.jobs:
                row = result.rows[job.recording.id] = old_rows[job.recording.id]
                self._listener.recording("kept", row.n_frames)
        return missing

    def _verdict(self, future: Future[Any] | None) -> Kept:
        if future is None:
            return Kept(None)
        try:
            verdict: Kept = future.result()
        except KilledWorker:
            return Kept(None, "the worker that checked it died")
        return verdict

    def _build(
        self, client: Client, out: Path, subjects: list[Subject], in_flight: int, result: PipelineResult
    ) -> None:
        """Align and write, at most `in_flight` alignments at a time; shards go first, so results stream."""
        waiting = self._batches(subjects)
        aligned: dict[Path, dict[str, Aligned]] = {subject.path: {} for subject in subjects}
        meaning: dict[Future[Any], Subject | Batch] = {}
        running = as_completed()
        warned = False

        def submit(future: Future[Any], what: Subject | Batch) -> None:
            meaning[future] = what
            running.add(future)

        def submit_batch(batch: Batch) -> None:
            jobs = [job for _, job in batch]
            submit(client.submit(align_batch, jobs, self._setup, pure=False), batch)

        for batch in islice(waiting, in_flight):
            submit_batch(batch)
        for future in running:
            what = meaning.pop(future)
            if isinstance(what, Subject):
                self._finish(out, what, _built(what, future), result)
                continue
            outcomes = _outcomes(what, future)
            if outcomes is None:
                # one of them kills its worker; alone it takes no others along
                for pair in what:
                    submit_batch((pair,))
                continue
            for (subject, job), outcome in zip(what, outcomes, strict=True):
                if outcome.warning and not warned:
                    warned = True
                    self._listener.note(f"the cache {self._setup.cache_dir} cannot be written: {outcome.warning}")
                aligned[subject.path][job.recording.id] = outcome
                result.timings += outcome.timings
                result.n_frames_built += 0 if outcome.failure else outcome.n_frames
                self._listener.recording("failed" if outcome.failure else "ok", outcome.n_frames)
                if len(aligned[subject.path]) == len(subject.jobs):
                    submit(self._shard(client, subject, aligned.pop(subject.path)), subject)
            n_running = sum(not isinstance(what, Subject) for what in meaning.values())
            for batch in islice(waiting, max(0, in_flight - n_running)):
                submit_batch(batch)

    def _batches(self, subjects: list[Subject]) -> Iterator[Batch]:
        """Recordings in their order; a batch may end one subject and begin the next."""
        pairs = ((subject, job) for subject in subjects for job in subject.jobs)
        while batch := tuple(islice(pairs, self._batch_size)):
            yield batch

    def _shard(self, client: Client, subject: Subject, aligned: dict[str, Aligned]) -> Future[Any]:
        outcomes = [aligned[job.recording.id] for job in subject.jobs]
        key = shard_key(subject.head, [(outcome.job, outcome.sha256) for outcome in outcomes])
        arguments = (subject.path, replace(subject.head, key=key), outcomes, self._setup)
        return client.submit(build_shard, *arguments, pure=False, priority=SHARDS_FIRST)

    def _finish(self, out: Path, subject: Subject, built: BuiltShard, result: PipelineResult) -> None:
        if built.entry is not None:
            result.entries.append(built.entry)
        result.timings += built.timings
        result.rows |= {row.recording: row for row in built.rows}
        write_ledger(out, result.rows.values())


@contextmanager
def _local_cluster(workers: int) -> Iterator[LocalCluster]:
    """Single-threaded worker processes that never see Ctrl-C: the driver hears it, and stops them in order."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    dask.config.set({"distributed.worker.daemon": True, "distributed.worker.multiprocessing-method": "forkserver"})
    _start_forkserver_deaf_to_ctrl_c()
    try:
        with _ctrl_c_postponed():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": ":0"},  # else a second build warns that port 8787 is taken
                silence_logs=logging.CRITICAL,
            )
    except (OSError, RuntimeError) as error:
        raise FerPrepError(f"{workers} worker processes could not be started ({error}); try fewer --workers") from error
    with cluster:
        yield cluster


def _start_forkserver_deaf_to_ctrl_c() -> None:
    """All workers, also those that replace dead ones, are forked from one server, and inherit what it ignores."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _ctrl_c_postponed() -> Iterator[None]:
    """A cluster that is interrupted while it starts cannot be closed; so it starts first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _outcomes(batch: Batch, future: Future[Any]) -> list[Aligned] | None:
    """The task's outcomes; None: it was lost, and several recordings with it. A task takes no run with it."""
    try:
        outcomes: list[Aligned] = future.result()
    except KilledWorker:
        if len(batch) > 1:
            return None
        return [Aligned(job, "", 0, 0.0, failure=WORKER_DIED) for _, job in batch]
    except Exception as error:  # a defect of ours must not cost the other recordings
        if len(batch) > 1:
            return None
        failure = f"internal error: {type(error).__name__}: {error}"
        return [Aligned(job, "", 0, 0.0, failure=failure) for _, job in batch]
    return outcomes


def _built(subject: Subject, future: Future[Any]) -> BuiltShard:
    """The finished shard; without it, if its worker died, the rows that say so.

    Raises:
        FerPrepError: the shard cannot be written.
    """
    try:
        built: BuiltShard = future.result()
    except KilledWorker:
        return BuiltShard(None, tuple(failed_row(job, WORKER_DIED, 0, 0.0) for job in subject.jobs))
    except FerPrepError:
        raise
    except Exception as error:
        raise FerPrepError(
            f"{subject.path}: internal error ({type(error).__name__}: {error}); please report it"
        ) from error
    return built
