"""`fer-prep build`: recipe and corpus become a plan, the plan becomes shards, ledger and index."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from fer_prep import corpora
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.folds import assign_groups, natural_key
from fer_prep.ledger import LedgerRow, read_ledger, write_ledger
from fer_prep.listener import Listener
from fer_prep.output import leftovers, prepare, shard_names, write_index
from fer_prep.pipeline import Pipeline, Subject
from fer_prep.recipe import Recipe, load_recipe
from fer_prep.shards import ShardHead
from fer_prep.stages import Job
from fer_prep.stored import ShardEntry
from fer_prep.versions import tool_versions

LOCK = ".lock"


@dataclass(frozen=True)
class BuildResult:
    """A finished build.

    Attributes:
        rows: the ledger, in corpus order.
        n_kept: shards that were there already.
        n_frames_built: frames aligned, or taken from the cache, in this run.
    """

    out: Path
    corpus: str
    classes: tuple[str, ...]
    rows: tuple[LedgerRow, ...]
    entries: tuple[ShardEntry, ...]
    n_kept: int
    n_frames_built: int
    seconds: float

    @property
    def n_failed(self) -> int:
        return sum(row.status == "failed" for row in self.rows)


def build(
    *,
    dataset: str,
    out: Path,
    root: Path | None = None,
    manifest: Path | None = None,
    select: str | None = None,
    recipe: Path | None = None,
    groups: int | None = None,
    length: int | None = None,
    stride: int | None = None,
    face_size: int | None = None,
    workers: int | None = None,
    cache: Path | None = None,
    rebuild: bool = False,
    listener: Listener,
) -> BuildResult:
    """Build the shards of a corpus, or what is missing of them.

    Args:
        recipe: TOML file; `select`, `groups`, `length`, `stride` and `face_size` override single keys of it.
        workers: worker processes; default: one per core.
        cache: where aligned tracks are kept between runs; default: $FER_CACHE, else the user's cache directory.
        rebuild: replace shards of another recipe.

    Raises:
        UsageError: arguments, manifest or recipe make no sense together.
        FerPrepError: the output or cache directory cannot be used.
    """
    begin = time.perf_counter()
    overrides = {
        "select": select,
        "n_groups": groups,
        "clips.length": length,
        "clips.stride": stride,
        "align.face_size": face_size,
    }
    settings = load_recipe(recipe, dataset, overrides)
    corpus = corpora.find(dataset, root=root, manifest=manifest, select=settings.select, rendering=listener.rendering)
    _check_inputs(corpus, groups)
    subjects = plan_subjects(corpus, settings, out)
    n_groups = max(subject.head.group for subject in subjects)
    n_workers = min(workers or os.cpu_count() or 1, len(corpus.recordings))
    pipeline = Pipeline(settings, _cache_dir(cache), listener)
    with _hold(out, settings, rebuild=rebuild):
        listener.planned(len(corpus.recordings))
        result = pipeline.run(out, subjects, read_ledger(out), workers=n_workers)
        rows = tuple(result.rows[recording.id] for recording in corpus.recordings)
        write_ledger(out, rows)
        write_index(
            out, corpus=corpus.name, classes=corpus.classes, n_groups=n_groups, recipe=settings,
            versions=tool_versions(), entries=result.entries,
        )  # fmt: skip
        for name in leftovers(out, result.entries):
            listener.note(f"{out / name} belongs to no recording that could be built now; it is not in the index")
    return BuildResult(
        out, corpus.name, corpus.classes, rows, tuple(result.entries), result.n_kept, result.n_frames_built,
        time.perf_counter() - begin,
    )  # fmt: skip


def _check_inputs(corpus: corpora.Corpus, groups: int | None) -> None:
    if groups is not None and any(recording.group is not None for recording in corpus.recordings):
        raise UsageError("the recordings have groups of their own; leave --groups out")
    if not any(recording.path.exists() for recording in corpus.recordings):
        first = corpus.recordings[0]
        raise FerPrepError(
            f"none of {len(corpus.recordings)} recordings is there, not even {first.path}; "
            "is the disk mounted, and is --root right?"
        )


def plan_subjects(corpus: corpora.Corpus, recipe: Recipe, out: Path) -> list[Subject]:
    """One shard per subject, subjects in natural order, recordings in corpus order."""
    group_of = assign_groups(corpus.recordings, recipe.n_groups)
    label_of = {name: k for k, name in enumerate(corpus.classes)}
    ordered = sorted(group_of, key=natural_key)
    names = shard_names(corpus.name, ordered)
    jobs: dict[str, list[Job]] = {subject: [] for subject in ordered}
    for recording in corpus.recordings:
        label = -1 if recording.label is None else label_of[recording.label]
        jobs[recording.subject].append(Job(recording, label, group_of[recording.subject]))
    return [
        Subject(
            path=out / names[subject],
            head=ShardHead(corpus.name, subject, group_of[subject], corpus.classes, recipe, tool_versions(), key=""),
            jobs=tuple(jobs[subject]),
        )
        for subject in ordered
    ]


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


def _cache_dir(cache: Path | None) -> Path:
    directory = cache or Path(os.environ.get("FER_CACHE") or user_cache_path("fer-convlstm") / "tracks")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise FerPrepError(f"{directory}: cache cannot be used ({error.strerror}); choose another --cache") from error
    return directory.absolute()
