"""What a worker does: one recording to a cached face track, one subject's tracks to a shard. No Dask in here."""

import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, update_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any

import cv2
from joblib import Memory
from joblib.memory import CacheWarning, MemorizedFunc
from platformdirs import user_cache_path

from fer_prep.align.mesh import MeshFinder
from fer_prep.align.openface.batch import Result, Wanted, in_memory_chunks
from fer_prep.align.openface.batch import align_batch as openface_batch
from fer_prep.align.openface.program import OpenFace
from fer_prep.align.track import FaceTrack, make_track
from fer_prep.clips import ClipPlan, plan_clips
from fer_prep.corpora.recording import Recording
from fer_prep.decode import open_recording
from fer_prep.errors import RecordingError
from fer_prep.flow import track_flow
from fer_prep.ledger import LedgerRow
from fer_prep.recipe import AlignRecipe, Recipe
from fer_prep.sequence import sequence_sha256
from fer_prep.shards import ShardHead, StoredRecording, write_shard
from fer_prep.stopwatch import Stopwatch, Timings
from fer_prep.stored import ShardEntry, file_sha256

# arguments that do not decide a track
UNKEYED = {"align_file": ["path", "watch"], "keep_openface_track": ["make"]}
_of_this_thread = threading.local()
# what joblib warns of is looked up and said once; to catch a warning would catch those of other threads
warnings.filterwarnings("ignore", category=CacheWarning)
warnings.filterwarnings("ignore", message="Persisting input arguments")


@dataclass(frozen=True)
class Job:
    """One recording with everything the plan knows of it.

    Attributes:
        label: index into the classes; -1: unlabelled.
    """

    recording: Recording
    label: int
    group: int


@dataclass(frozen=True)
class AlignSetup:
    """By what, and with which memory, recordings are aligned.

    Attributes:
        openface: set where the recipe's backend is "openface".
    """

    recipe: AlignRecipe
    openface: OpenFace | None
    cache_dir: Path
    versions: dict[str, Any]


@dataclass(frozen=True)
class Alignment:
    """A face track as it lies in the cache, with what the video said of itself; fps None: images say nothing of it."""

    track: FaceTrack
    fps: float | None
    remark: str


@dataclass(frozen=True)
class Aligned:
    """The outcome of aligning one recording, without its pixels.

    Attributes:
        failure: the sentence of a failed one.
        warning: why the track could not be cached; it will be made a second time for its shard.
    """

    job: Job
    sha256: str
    n_frames: int
    seconds: float
    failure: str = ""
    warning: str = ""
    timings: Timings = field(default_factory=Timings)


@dataclass(frozen=True)
class BuiltShard:
    """A finished shard (None if every recording failed), the ledger rows of its recordings, and what making it took."""

    entry: ShardEntry | None
    rows: tuple[LedgerRow, ...]
    timings: Timings = field(default_factory=Timings)


def track_cache(cache: Path | None) -> Path:
    """Where aligned tracks are kept: as given, else in $FER_CACHE, else in the user's cache directory."""
    return (cache or Path(os.environ.get("FER_CACHE") or user_cache_path("fer-convlstm") / "tracks")).absolute()


def align_batch(jobs: Sequence[Job], setup: AlignSetup) -> list[Aligned]:
    """Align recordings into the cache. One that cannot be aligned is an outcome, not an exception."""
    if setup.openface is None or len(jobs) == 1:
        return [align_recording(job, setup) for job in jobs]
    begin, watch = time.perf_counter(), Stopwatch()
    outcomes: dict[str, Aligned] = {}
    missing: list[tuple[Job, str]] = []
    for job in jobs:
        try:
            with watch("cache"):
                sha256 = input_sha256(job.recording.path)
        except RecordingError as error:
            outcomes[job.recording.id] = _failed(job, "", error)
            continue
        if _is_cached(job, sha256, setup):
            outcomes[job.recording.id] = _keep(job, sha256, setup, watch)
        else:
            missing.append((job, sha256))
    for chunk in in_memory_chunks([job.recording.path for job, _ in missing]):
        results = _by_openface([missing[k][0].recording for k in chunk], setup, watch)
        for (job, sha256), result in zip((missing[k] for k in chunk), results, strict=True):
            outcomes[job.recording.id] = _keep(job, sha256, setup, watch, result)
    share_s = (time.perf_counter() - begin) / len(jobs)
    timings = watch.timings.share(len(jobs))
    return [replace(outcomes[job.recording.id], seconds=share_s, timings=timings) for job in jobs]


def align_recording(job: Job, setup: AlignSetup) -> Aligned:
    """Align one recording into the cache."""
    begin, watch = time.perf_counter(), Stopwatch()
    try:
        with watch("cache"):
            sha256 = input_sha256(job.recording.path)
        aligned = _keep(job, sha256, setup, watch)
    except RecordingError as error:
        aligned = _failed(job, "", error)
    return replace(aligned, seconds=time.perf_counter() - begin, timings=watch.timings)


def _keep(job: Job, sha256: str, setup: AlignSetup, watch: Stopwatch, ready: Result | None = None) -> Aligned:
    """The outcome of one recording, and its track in the cache."""
    try:
        with _enough_memory(job):
            alignment = _cached_alignment(job, sha256, setup, watch, ready)
    except RecordingError as error:
        return _failed(job, sha256, error)
    with watch("cache"):
        warning = "" if _is_cached(job, sha256, setup) else "a track just written is not there; is its disk full?"
    return Aligned(job, sha256, alignment.track.n_frames, 0.0, warning=warning)


@contextmanager
def _enough_memory(job: Job) -> Iterator[None]:
    """A recording too long for the memory is a failed one.

    Raises:
        RecordingError: the memory did not suffice.
    """
    try:
        yield
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        raise RecordingError(
            "out of memory", f"{job.recording.path}: too long for the memory of its worker; build it in parts"
        ) from error


def _failed(job: Job, sha256: str, error: RecordingError) -> Aligned:
    return Aligned(job, sha256, error.n_frames, 0.0, failure=str(error))


def build_shard(
    path: Path, head: ShardHead, aligned: list[Aligned], setup: AlignSetup, *, token: Path | None = None
) -> BuiltShard:
    """Flow, clips and the shard of one subject, from the tracks in the cache.

    Args:
        token: a file that lies there as long as the shard is wanted.

    Raises:
        FerPrepError: the shard cannot be written, or is not wanted any more.
    """
    cv2.setNumThreads(1)
    rows: list[LedgerRow] = []
    watch = Stopwatch()

    def stored() -> Iterator[StoredRecording]:
        for outcome in aligned:
            if outcome.failure:
                rows.append(failed_row(outcome.job, outcome.failure, outcome.n_frames, outcome.seconds))
                continue
            begin = time.perf_counter()
            try:
                with _enough_memory(outcome.job):
                    alignment = _cached_alignment(outcome.job, outcome.sha256, setup, watch)
                    with watch("flow"):
                        recording, plan = _store(outcome, alignment, head.recipe)
            except RecordingError as error:  # or not cached, and the file has changed since it was aligned
                rows.append(failed_row(outcome.job, str(error), error.n_frames, outcome.seconds))
                continue
            rows.append(_built_row(outcome, alignment, plan, outcome.seconds + time.perf_counter() - begin))
            yield recording

    with watch("write"):
        entry = write_shard(path, head, stored(), token=token)
    return BuiltShard(entry, tuple(rows), watch.timings)


def input_sha256(path: Path) -> str:
    """Hash of an input, a file or a directory of images; empty if there is none (opening it will say why)."""
    try:
        if path.is_dir():
            return sequence_sha256(path)
        return file_sha256(path) if path.is_file() else ""
    except OSError as error:
        raise RecordingError("cannot be read", f"{path}: {error.strerror}") from error


def align_file(
    path: Path, watch: Stopwatch, sha256: str, start_frame: int, end_frame: int | None, recipe_json: str,
    versions_json: str,
) -> Alignment:  # fmt: skip
    """Decode and align one file by the mesh. `sha256` and `versions_json` take no part: they key the cache.

    Raises:
        RecordingError: the file cannot be decoded to its end.
    """
    recipe = AlignRecipe.model_validate_json(recipe_json)
    with watch("detect"):
        finder = _finder(recipe.min_presence)
    with watch("decode"), open_recording(path) as video, watch("align"):
        frames = watch.each("decode", video.frames(start_frame, end_frame))
        track = make_track(frames, recipe, finder, watch)
        return Alignment(track, video.fps, video.remark)


def keep_openface_track(
    make: Callable[[], Alignment], sha256: str, start_frame: int, end_frame: int | None, recipe_json: str,
    versions_json: str,
) -> Alignment:  # fmt: skip
    """A track by OpenFace, made now or in a batch before. All but `make` only key the cache.

    Raises:
        RecordingError: OpenFace has made none, or the file cannot be decoded.
    """
    return make()


def _by_openface(recordings: Sequence[Recording], setup: AlignSetup, watch: Stopwatch) -> list[Result]:
    assert setup.openface is not None
    wanted = [Wanted(r.path, r.start_frame, r.end_frame) for r in recordings]
    return openface_batch(wanted, setup.openface, setup.recipe, _finder(setup.recipe.min_presence), watch)


def _cached_alignment(
    job: Job, sha256: str, setup: AlignSetup, watch: Stopwatch, ready: Result | None = None
) -> Alignment:
    """From the cache, else as it is ready, else made anew."""
    keys = _keys(job, sha256, setup)
    if setup.openface is None:
        with watch("cache"):
            mesh_track: Alignment = _remembering(align_file, setup.cache_dir)(job.recording.path, watch, *keys)
        return mesh_track

    def make() -> Alignment:
        (result,) = [ready] if ready is not None else _by_openface([job.recording], setup, watch)
        if isinstance(result, RecordingError):
            raise result
        return Alignment(result.track, result.fps, result.remark)

    with watch("cache"):
        track: Alignment = _remembering(keep_openface_track, setup.cache_dir)(make, *keys)
    return track


def _is_cached(job: Job, sha256: str, setup: AlignSetup) -> bool:
    keys = _keys(job, sha256, setup)
    if setup.openface is None:
        return bool(_remembering(align_file, setup.cache_dir).check_call_in_cache(None, None, *keys))
    return bool(_remembering(keep_openface_track, setup.cache_dir).check_call_in_cache(None, *keys))


@cache
def _remembering(function: Callable[..., Alignment], cache_dir: Path) -> MemorizedFunc:
    """The function, with the memory that lies in a directory.

    joblib looks once in a process whether a memory is of the function as it is now, whatever its directory. So each
    directory gets a function object of its own.
    """
    own = update_wrapper(FunctionType(function.__code__, function.__globals__), function)
    del own.__wrapped__
    return Memory(cache_dir, verbose=0).cache(own, ignore=UNKEYED[function.__name__])


def _keys(job: Job, sha256: str, setup: AlignSetup) -> tuple[str, int, int | None, str, str]:
    """What decides a track."""
    return (
        sha256,
        job.recording.start_frame,
        job.recording.end_frame,
        setup.recipe.model_dump_json(),
        json.dumps(setup.versions, sort_keys=True),
    )


def _finder(min_presence: float) -> MeshFinder:
    """One finder per thread: loading models takes longer than a short recording, and OpenCV's nets cannot be shared."""
    finders: dict[float, MeshFinder] = vars(_of_this_thread).setdefault("finders", {})
    if min_presence not in finders:
        cv2.setNumThreads(1)
        finders[min_presence] = MeshFinder(min_presence=min_presence)
    return finders[min_presence]


def _store(outcome: Aligned, alignment: Alignment, recipe: Recipe) -> tuple[StoredRecording, ClipPlan]:
    job, track = outcome.job, alignment.track
    flow, saturated = track_flow(track, recipe.flow)
    plan = plan_clips(track.detected_N, recipe.clips)
    return (
        StoredRecording(
            job.recording.id,
            job.recording.file,
            outcome.sha256,
            job.label,
            recipe.image_fps if alignment.fps is None else alignment.fps,
            track,
            flow,
            saturated,
            plan.clips,
            job.recording.extra,
        ),
        plan,
    )


def failed_row(job: Job, failure: str, n_frames: int, seconds: float) -> LedgerRow:
    """The ledger row of a recording that is not stored."""
    return LedgerRow(
        job.recording.id, job.recording.subject, job.recording.label or "", job.group, "failed",
        failure, n_frames, 0, 0, seconds,
    )  # fmt: skip


def _built_row(outcome: Aligned, alignment: Alignment, plan: ClipPlan, seconds: float) -> LedgerRow:
    job, track = outcome.job, alignment.track
    return LedgerRow(
        job.recording.id, job.recording.subject, job.recording.label or "", job.group,
        "ok" if plan.clips else "skipped", _remark(alignment, plan),
        track.n_frames, track.n_detected, len(plan.clips), seconds,
    )  # fmt: skip


def _remark(alignment: Alignment, plan: ClipPlan) -> str:
    """Why there is no clip, or what is peculiar; then what the aligner has to say."""
    track, windows = alignment.track, plan.n_faceless + len(plan.clips)
    if track.n_detected == 0:
        remark = f"no face: none found in {track.n_frames} frames"
    elif plan.too_short:
        remark = f"shorter than a clip: {track.n_frames} frames"
    elif not plan.clips:
        remark = f"too few faces for a clip: found in {track.n_detected} of {track.n_frames} frames"
    elif plan.n_faceless:
        remark = f"clips left out: {plan.n_faceless} of {windows} have too few frames with a face"
    else:
        remark = ""
    return "; ".join(filter(None, (remark, alignment.remark)))
