"""The Dask graph: recordings -> tracks -> shards.

One task aligns a batch of recordings into the cache, one task writes the whole shard of one subject. The truth is on
disk: the driver holds outcomes, never pixels, and a run that was killed goes on from what it left.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from distributed import Client

from fer_prep.errors import FerPrepError
from fer_prep.flight import DiedError, Flight, Landed
from fer_prep.interrupt import Interrupted, hearing_ctrl_c
from fer_prep.ledger import LedgerRow, append_ledger, rows_of, write_ledger
from fer_prep.listener import Listener
from fer_prep.output import forget_index, read_index, shard_key
from fer_prep.places import Places, StrangeWorkerError, at_the_same_places
from fer_prep.plan import Subject
from fer_prep.resume import Kept, check_existing
from fer_prep.stages import Aligned, AlignSetup, BuiltShard, Job, align_batch, build_shard, failed_row
from fer_prep.stopwatch import Timings
from fer_prep.stored import ShardEntry

# alignments under way or waiting per thread: enough to keep it busy, few enough to keep the scheduler small
IN_FLIGHT_PER_THREAD = 4
Batch: TypeAlias = tuple[tuple[Subject, Job], ...]  # aligned by one task
WORKER_DIED = "worker died: several times on this recording, killed or out of memory; try fewer workers, with more each"


@dataclass
class PipelineResult:
    """What a run has brought: ledger rows by recording id, and the entries of all good shards."""

    rows: dict[str, LedgerRow] = field(default_factory=dict)
    entries: list[ShardEntry] = field(default_factory=list)
    n_kept: int = 0
    n_frames_built: int = 0
    timings: Timings = field(default_factory=Timings)


class Pipeline:
    """Builds the shards of subjects on a Dask cluster."""

    def __init__(
        self,
        setup: AlignSetup,
        listener: Listener,
        *,
        batch_size: int = 1,
        places: Places | None = None,
        align: Callable[[list[Job], AlignSetup], list[Aligned]] = align_batch,
        build: Callable[..., BuiltShard] = build_shard,
    ) -> None:
        """The tasks are `align_batch` and `build_shard`; others try the driver without them.

        Args:
            batch_size: recordings that one task aligns.
            places: what workers must see before their first task; None: they are this machine's.
        """
        self._setup, self._listener, self._batch_size, self._places = setup, listener, batch_size, places
        self._align, self._build_shard = align, build
        self._warned_of_cluster = self._warned_of_cache = False

    def run(self, client: Client, out: Path, subjects: list[Subject], old_rows: dict[str, LedgerRow]) -> PipelineResult:
        """Keep the shards that are still good and build the others; the ledger grows with every finished shard.

        Raises:
            FerPrepError: a shard cannot be written, or the cluster is lost.
            Interrupted: Ctrl-C was pressed; shards that could be finished without aligning anything are.
        """
        result = PipelineResult()
        with hearing_ctrl_c() as ctrl_c:
            missing = self._keep(client, out, subjects, old_rows, result, lambda: ctrl_c.pressed)
            if missing and not ctrl_c.pressed:
                # from here on the directory is unfinished, and the ledger tells of kept shards only
                forget_index(out)
                write_ledger(out, result.rows.values())
                self._build(client, out, missing, result, lambda: ctrl_c.pressed)
            if ctrl_c.pressed:
                raise Interrupted(
                    f"interrupted; {len(result.entries)} of {len(subjects)} shards are in {out}, and all that was "
                    "aligned is in the cache; the same command goes on from here"
                )
        return result

    def _keep(
        self, client: Client, out: Path, subjects: list[Subject], old_rows: dict[str, LedgerRow],
        result: PipelineResult, stopped: Callable[[], bool],
    ) -> list[Subject]:  # fmt: skip
        """Check the shards that exist; returns the subjects that must be built."""
        listed = read_index(out)
        waiting = iter([subject for subject in subjects if subject.path.exists()])
        verdicts: dict[Path, Kept] = {}
        with Flight[Subject](client) as flight:
            while not stopped():
                for subject in islice(waiting, self._room(flight, len(flight))):
                    known = rows_of(subject.recordings, old_rows)
                    arguments = (subject.path, subject.head, subject.jobs, known, listed.get(subject.path.name))
                    self._send(flight, subject, check_existing, *arguments)
                if not len(flight):
                    break
                for landed in flight.landed():
                    verdicts[landed.what.path] = _verdict(landed)
        missing = []
        for subject in subjects:
            verdict = verdicts.get(subject.path, Kept(None))
            if verdict.entry is None:
                missing.append(subject)
                if verdict.reason:
                    self._listener.note(f"{subject.path.name} is built anew: {verdict.reason}")
                continue
            result.entries.append(verdict.entry)
            result.n_kept += 1
            for job in subject.jobs:
                row = result.rows[job.recording.id] = old_rows[job.recording.id]
                self._listener.recording("kept", row.n_frames, row.recording, row.reason)
            self._listener.shard("kept", verdict.entry)
        return missing

    def _build(
        self, client: Client, out: Path, subjects: list[Subject], result: PipelineResult, stopped: Callable[[], bool]
    ) -> None:
        """Align and write, a bounded number of batches at a time; shards go first, so results stream.

        Once it is stopped, nothing is aligned any more, and what is aligned to its end is written.
        """
        waiting = self._batches(subjects)
        aligned: dict[Path, dict[str, Aligned]] = {}
        n_batches, stopping = 0, False
        with Flight[Subject | Batch](client, died=self._say_death) as flight:
            while True:
                if stopped() and not stopping:
                    stopping = True
                    flight.drop(lambda what: not isinstance(what, Subject))
                    self._listener.note(
                        f"Stopping: {len(flight)} shards are written first. Ctrl-C again stops at once."
                    )
                if not stopping:
                    for batch in islice(waiting, self._room(flight, n_batches)):
                        self._send_batch(flight, batch)
                        n_batches += 1
                if not len(flight):
                    return
                for landed in flight.landed():
                    if isinstance(landed.what, Subject):
                        self._finish(out, landed.what, _built(landed.what, landed), result)
                        continue
                    n_batches -= 1
                    outcomes = _outcomes(landed.what, landed)
                    if outcomes is None:
                        # one of them kills its worker; alone it takes no others along
                        for pair in landed.what:
                            self._send_batch(flight, (pair,))
                            n_batches += 1
                        continue
                    for (subject, job), outcome in zip(landed.what, outcomes, strict=True):
                        of_subject = aligned.setdefault(subject.path, {})
                        of_subject[job.recording.id] = outcome
                        self._say(outcome, result)
                        if len(of_subject) == len(subject.jobs):
                            self._send_shard(flight, subject, aligned.pop(subject.path))

    def _room(self, flight: Flight[Any], n_in_flight: int) -> int:
        """How many more tasks are to be sent, by the threads that the cluster has now."""
        n_threads = flight.n_threads
        if n_threads == 0 and not self._warned_of_cluster:
            self._warned_of_cluster = True
            self._listener.note("The cluster has no worker now; work goes on when one comes.")
        return max(0, IN_FLIGHT_PER_THREAD * max(1, n_threads) - n_in_flight)

    def _batches(self, subjects: list[Subject]) -> Iterator[Batch]:
        """Recordings in their order; a batch may end one subject and begin the next."""
        pairs = ((subject, job) for subject in subjects for job in subject.jobs)
        while batch := tuple(islice(pairs, self._batch_size)):
            yield batch

    def _send(
        self, flight: Flight[Any], what: Any, function: Callable[..., Any], *arguments: Any, **options: bool
    ) -> None:
        if self._places is None:
            flight.send(what, function, *arguments, **options)
        else:
            flight.send(what, at_the_same_places, self._places, function, *arguments, **options)

    def _send_batch(self, flight: Flight[Any], batch: Batch) -> None:
        self._send(flight, batch, self._align, [job for _, job in batch], self._setup, again=len(batch) == 1)

    def _send_shard(self, flight: Flight[Any], subject: Subject, aligned: dict[str, Aligned]) -> None:
        outcomes = [aligned[job.recording.id] for job in subject.jobs]
        key = shard_key(subject.head, [(outcome.job, outcome.sha256) for outcome in outcomes])
        head = replace(subject.head, key=key)
        token = self._places.file(subject.path.parent) if self._places else None  # local workers die with their driver
        task = partial(self._build_shard, token=token)
        self._send(flight, subject, task, subject.path, head, outcomes, self._setup, first=True)

    def _finish(self, out: Path, subject: Subject, built: BuiltShard, result: PipelineResult) -> None:
        result.rows |= {row.recording: row for row in built.rows}
        append_ledger(out, built.rows)
        result.timings += built.timings
        self._listener.spent(result.timings)
        if built.entry is not None:
            result.entries.append(built.entry)
            self._listener.shard("built", built.entry)

    def _say(self, outcome: Aligned, result: PipelineResult) -> None:
        if outcome.warning and not self._warned_of_cache:
            self._warned_of_cache = True
            self._listener.note(f"the cache {self._setup.cache_dir} cannot be written: {outcome.warning}")
        result.timings += outcome.timings
        result.n_frames_built += 0 if outcome.failure else outcome.n_frames
        state: Any = "failed" if outcome.failure else "ok"
        self._listener.recording(state, outcome.n_frames, outcome.job.recording.id, outcome.failure)
        self._listener.spent(result.timings)

    def _say_death(self, what: Subject | Batch, deaths: int) -> None:
        name = what.path.name if isinstance(what, Subject) else what[0][1].recording.id
        self._listener.fault(f"a worker died with {name} at hand, or waiting; it is tried again")


def _verdict(landed: Landed[Subject]) -> Kept:
    if isinstance(landed.error, DiedError):
        return Kept(None, "the workers that checked it died")
    if landed.error is not None:
        raise landed.error
    verdict: Kept = landed.value
    return verdict


def _outcomes(batch: Batch, landed: Landed[Any]) -> list[Aligned] | None:
    """The task's outcomes; None: it was lost, and several recordings with it. A task takes no run with it.

    Raises:
        StrangeWorkerError: it came to a worker that must not have it.
    """
    if landed.error is None:
        outcomes: list[Aligned] = landed.value
        return outcomes
    _refuse_strangers(landed.error)
    if len(batch) > 1:
        return None
    if isinstance(landed.error, DiedError):
        failure = WORKER_DIED
    else:  # a defect of ours must not cost the other recordings
        failure = f"internal error: {type(landed.error).__name__}: {landed.error}"
    return [Aligned(job, "", 0, 0.0, failure=failure) for _, job in batch]


def _built(subject: Subject, landed: Landed[Any]) -> BuiltShard:
    """The finished shard; without it, if its worker died, the rows that say so.

    Raises:
        FerPrepError: the shard cannot be written.
    """
    if landed.error is None:
        built: BuiltShard = landed.value
        return built
    _refuse_strangers(landed.error)
    if isinstance(landed.error, DiedError):
        return BuiltShard(None, tuple(failed_row(job, WORKER_DIED, 0, 0.0) for job in subject.jobs))
    if isinstance(landed.error, FerPrepError):
        raise landed.error
    raise FerPrepError(
        f"{subject.path}: internal error ({type(landed.error).__name__}: {landed.error}); please report it"
    ) from landed.error


def _refuse_strangers(error: Exception) -> None:
    if isinstance(error, StrangeWorkerError):
        raise error
    if isinstance(error, ImportError):
        raise StrangeWorkerError(
            f"a worker that has joined cannot import what it needs ({error}); install the same version of "
            "fer-convlstm[prep] there"
        ) from error
