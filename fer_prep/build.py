"""`fer-prep build`: a plan becomes shards, ledger and index."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from distributed import Client
from filelock import FileLock, Timeout

from fer_prep.cluster import callers_client, dashboard, local_client, scheduler_client
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.image import running_image
from fer_prep.kept_groups import keep_groups, remember_groups
from fer_prep.ledger import LedgerRow, read_ledger, write_ledger
from fer_prep.listener import Listener, Silent
from fer_prep.output import LOCK, check_output, clear_rubble, clear_shards, content_digest, leftovers, write_index
from fer_prep.pipeline import Pipeline, PipelineResult
from fer_prep.places import Places, prove, shown_places
from fer_prep.plan import Plan, plan_shards
from fer_prep.stages import track_cache
from fer_prep.stopwatch import Timings
from fer_prep.stored import ShardEntry
from fer_prep.timings import write_timings


@dataclass(frozen=True)
class BuildResult:
    """A finished build.

    Attributes:
        rows: the ledger, in corpus order.
        n_kept: shards that were there already.
        n_frames_built: frames aligned, or taken from the cache, in this run.
        timings: what the stages of this run took.
        digest: the same for equal builds; see `output.directory_digest`.
    """

    out: Path
    plan: Plan
    rows: tuple[LedgerRow, ...]
    entries: tuple[ShardEntry, ...]
    n_kept: int
    n_frames_built: int
    seconds: float
    timings: Timings
    digest: str

    @property
    def n_failed(self) -> int:
        return sum(row.status == "failed" for row in self.rows)


def build(
    plan: Plan,
    *,
    out: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    client: Client | None = None,
    cache: Path | None = None,
    rebuild: bool = False,
    listener: Listener | None = None,
) -> BuildResult:
    """Build the shards of a plan, or what is missing of them.

    Args:
        workers: worker processes on this machine; None: one per core.
        scheduler: address of a running Dask cluster, tcp://host:port, to be used instead.
        client: a Dask client of the caller's, to be used instead; it stays open.
        cache: where aligned tracks are kept between runs; default: $FER_CACHE, else the user's cache directory.
        rebuild: replace shards of another recipe.

    Raises:
        UsageError: the output directory belongs to something else, several places to work were named, or the digest
            of the container image is none.
        FerPrepError: the output or cache directory, or the cluster, cannot be used.
        Interrupted: Ctrl-C was pressed.
    """
    begin = time.perf_counter()
    told = listener or Silent()
    try:
        plan, result = _build(plan, out, _place(plan, workers, scheduler, client), cache, rebuild, told)
    except (FerPrepError, KeyboardInterrupt) as error:
        told.stopped(str(error) or "stopped at once by Ctrl-C; finished shards are kept")
        raise
    rows = tuple(result.rows[recording.id] for recording in plan.corpus.recordings)
    digest = content_digest({entry.file: entry.sha256 for entry in result.entries}, rows)
    counts = Counter(row.status for row in rows)
    told.finished(counts["ok"], counts["skipped"], counts["failed"], digest)
    return BuildResult(
        out,
        plan,
        rows,
        tuple(result.entries),
        result.n_kept,
        result.n_frames_built,
        time.perf_counter() - begin,
        result.timings,
        digest,
    )


def _build(
    plan: Plan, out: Path, place: tuple[AbstractContextManager[Client], bool], cache: Path | None, rebuild: bool,
    told: Listener,
) -> tuple[Plan, PipelineResult]:  # fmt: skip
    """The plan with the groups that are kept, and what came of it."""
    corpus, image, tracks = plan.corpus, running_image(), _usable(track_cache(cache))
    if image:
        told.note(image.says)
    with _hold(out):
        check_output(out, plan.recipe, rebuild=rebuild)
        clear_rubble(out)
        cluster, ours = place
        with cluster as client, nullcontext() if ours else _same_places(client, plan, out, tracks) as places:
            if link := dashboard(client):
                told.note(f"Dask dashboard: {link}")
            # what is replaced is removed when everything else is known to work
            if rebuild:
                clear_shards(out)
            plan = keep_groups(plan, out)
            remember_groups(plan, out)
            told.planned(len(corpus.recordings))
            n_threads = sum(client.nthreads().values())
            pipeline = Pipeline(plan.setup(tracks), told, batch_size=plan.batch_size(n_threads), places=places)
            result = pipeline.run(client, out, plan_shards(plan, out.absolute()), read_ledger(out))
        clear_rubble(out)
        rows = [result.rows[recording.id] for recording in corpus.recordings]
        write_ledger(out, rows)
        if result.timings.cpu_s:  # else everything was kept, and the file tells of the run that built it
            write_timings(out, result.timings, n_frames=result.n_frames_built, workers=n_threads)
        write_index(
            out, corpus=corpus.name, classes=corpus.classes, n_groups=plan.n_groups, recipe=plan.recipe,
            versions=plan.versions, left_out=Counter(remark.kind for remark in corpus.left_out),
            rows=rows, entries=result.entries, image=image,
        )  # fmt: skip
        for name in leftovers(out, {entry.file for entry in result.entries}):
            told.note(f"{out / name} belongs to no recording that could be built now; it is not in the index")
    return plan, result


def _place(
    plan: Plan, workers: int | None, scheduler: str | None, client: Client | None
) -> tuple[AbstractContextManager[Client], bool]:
    """Where to work, and whether the workers are our own.

    Raises:
        UsageError: there is more than one answer.
    """
    if sum(given is not None for given in (workers, scheduler, client)) > 1:
        raise UsageError(
            "--workers starts processes on this machine, --scheduler uses those of a running cluster, and a client its "
            "own; give one of them"
        )
    if client is not None:
        return callers_client(client), False
    if scheduler is not None:
        return scheduler_client(scheduler), False
    return local_client(plan.n_workers(workers)), True


@contextmanager
def _same_places(client: Client, plan: Plan, out: Path, cache: Path) -> Iterator[Places]:
    """What workers of a foreign cluster must see; those that are there have shown it.

    Raises:
        StrangeWorkerError: a worker sees something else.
    """
    unreadable = {remark.path for remark in plan.unreadable}
    recordings = [recording for recording in plan.corpus.recordings if recording.file not in unreadable]
    some = {recordings[k * (len(recordings) - 1) // 2].path.absolute() for k in range(3)}
    openface = plan.aligner.openface
    directories = {"output directory": out.absolute(), "cache": cache}
    with shown_places(
        plan.versions, directories, [*sorted(some), *([openface.program, openface.model] if openface else [])]
    ) as places:
        prove(client, places)
        yield places


@contextmanager
def _hold(out: Path) -> Iterator[None]:
    """The output directory, made and held by this run alone."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK, timeout=0)
        lock.acquire()
    except FileExistsError as error:
        raise UsageError(f"{out} is a file; --out must be a directory") from error
    except Timeout as error:
        raise FerPrepError(f"another fer-prep build writes to {out}; wait for it, or choose another --out") from error
    except OSError as error:
        raise FerPrepError(f"{out} cannot be written to ({error.strerror}); choose another --out") from error
    try:
        yield
    finally:
        # the file stays: who removes a lock file takes away the lock of the next one
        lock.release()


def _usable(cache: Path) -> Path:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise FerPrepError(f"{cache}: cache cannot be used ({error.strerror}); choose another --cache") from error
    return cache
