"""`fer-prep build`: a plan becomes shards, ledger and index."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from filelock import FileLock, Timeout

from fer_prep.errors import FerPrepError, UsageError
from fer_prep.ledger import LedgerRow, read_ledger, write_ledger
from fer_prep.listener import Listener
from fer_prep.output import LOCK, leftovers, prepare, write_index
from fer_prep.pipeline import Pipeline
from fer_prep.plan import Plan, plan_shards
from fer_prep.recipe import Recipe
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
    """

    out: Path
    plan: Plan
    rows: tuple[LedgerRow, ...]
    entries: tuple[ShardEntry, ...]
    n_kept: int
    n_frames_built: int
    seconds: float
    timings: Timings

    @property
    def n_failed(self) -> int:
        return sum(row.status == "failed" for row in self.rows)


def build(
    plan: Plan,
    *,
    out: Path,
    workers: int | None = None,
    cache: Path | None = None,
    rebuild: bool = False,
    listener: Listener,
) -> BuildResult:
    """Build the shards of a plan, or what is missing of them.

    Args:
        workers: worker processes; default: one per core.
        cache: where aligned tracks are kept between runs; default: $FER_CACHE, else the user's cache directory.
        rebuild: replace shards of another recipe.

    Raises:
        UsageError: the output directory belongs to something else.
        FerPrepError: the output or cache directory cannot be used.
    """
    begin = time.perf_counter()
    corpus, shards = plan.corpus, plan_shards(plan, out)
    pipeline = Pipeline(plan.setup(_usable(track_cache(cache))), listener, batch_size=plan.batch_size(workers))
    with _hold(out, plan.recipe, rebuild=rebuild):
        listener.planned(len(corpus.recordings))
        result = pipeline.run(out, shards, read_ledger(out), workers=plan.n_workers(workers))
        rows = tuple(result.rows[recording.id] for recording in corpus.recordings)
        write_ledger(out, rows)
        if result.timings.cpu_s:  # else everything was kept, and the file tells of the run that built it
            write_timings(out, result.timings, n_frames=result.n_frames_built, workers=plan.n_workers(workers))
        write_index(
            out, corpus=corpus.name, classes=corpus.classes, n_groups=plan.n_groups, recipe=plan.recipe,
            versions=plan.versions, left_out=Counter(remark.kind for remark in corpus.left_out),
            rows=rows, entries=result.entries,
        )  # fmt: skip
        for name in leftovers(out, {entry.file for entry in result.entries}):
            listener.note(f"{out / name} belongs to no recording that could be built now; it is not in the index")
    return BuildResult(
        out,
        plan,
        rows,
        tuple(result.entries),
        result.n_kept,
        result.n_frames_built,
        time.perf_counter() - begin,
        result.timings,
    )


@contextmanager
def _hold(out: Path, recipe: Recipe, *, rebuild: bool) -> Iterator[None]:
    """The output directory, held by this run alone and made ready."""
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
        prepare(out, recipe, rebuild=rebuild)
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
