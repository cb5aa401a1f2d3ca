"""What a worker does: one recording to a cached face track, one subject's tracks to a shard. No Dask in here."""

import json
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
from joblib import Memory
from joblib.memory import CacheWarning
from platformdirs import user_cache_path

from fer_prep.align.mesh import MeshFinder
from fer_prep.align.track import FaceTrack, make_track
from fer_prep.clips import ClipPlan, plan_clips
from fer_prep.corpora.recording import Recording
from fer_prep.errors import RecordingError
from fer_prep.flow import track_flow
from fer_prep.ledger import LedgerRow
from fer_prep.recipe import AlignRecipe, Recipe
from fer_prep.sequence import Sequence, open_sequence, sequence_sha256
from fer_prep.shards import ShardHead, StoredRecording, write_shard
from fer_prep.stored import ShardEntry, file_sha256
from fer_prep.video import Video, open_video


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


@dataclass(frozen=True)
class BuiltShard:
    """A finished shard (None if every recording failed) and the ledger rows of its recordings."""

    entry: ShardEntry | None
    rows: tuple[LedgerRow, ...]


def track_cache(cache: Path | None) -> Path:
    """Where aligned tracks are kept: as given, else in $FER_CACHE, else in the user's cache directory."""
    return (cache or Path(os.environ.get("FER_CACHE") or user_cache_path("fer-convlstm") / "tracks")).absolute()


def align_recording(job: Job, recipe: AlignRecipe, cache_dir: Path, versions: dict[str, Any]) -> Aligned:
    """Align one recording into the cache. A recording that cannot be aligned is an outcome, not an exception."""
    begin = time.perf_counter()
    sha256 = ""
    try:
        sha256 = input_sha256(job.recording.path)
        with warnings.catch_warnings(record=True) as caught:
            alignment = _cached_alignment(job, sha256, recipe, cache_dir, versions)
    except RecordingError as error:
        return Aligned(job, sha256, error.n_frames, time.perf_counter() - begin, failure=str(error))
    warning = next((str(w.message) for w in caught if issubclass(w.category, CacheWarning)), "")
    return Aligned(job, sha256, alignment.track.n_frames, time.perf_counter() - begin, warning=warning)


def build_shard(
    path: Path, head: ShardHead, aligned: list[Aligned], cache_dir: Path, versions: dict[str, Any]
) -> BuiltShard:
    """Flow, clips and the shard of one subject, from the tracks in the cache.

    Raises:
        FerPrepError: the shard cannot be written.
    """
    cv2.setNumThreads(1)
    rows: list[LedgerRow] = []

    def stored() -> Iterator[StoredRecording]:
        for outcome in aligned:
            if outcome.failure:
                rows.append(failed_row(outcome.job, outcome.failure, outcome.n_frames, outcome.seconds))
                continue
            begin = time.perf_counter()
            try:
                alignment = _cached_alignment(outcome.job, outcome.sha256, head.recipe.align, cache_dir, versions)
            except RecordingError as error:  # not cached, and the file has changed since it was aligned
                rows.append(failed_row(outcome.job, str(error), error.n_frames, outcome.seconds))
                continue
            recording, plan = _store(outcome, alignment, head.recipe)
            rows.append(_built_row(outcome, alignment, plan, outcome.seconds + time.perf_counter() - begin))
            yield recording

    entry = write_shard(path, head, stored())
    return BuiltShard(entry, tuple(rows))


def open_recording(path: Path) -> AbstractContextManager[Video | Sequence]:
    """Open a video file, or a directory of numbered images.

    Raises:
        RecordingError: when it is entered; there is none, or it cannot be read.
    """
    return open_sequence(path) if path.is_dir() else open_video(path)


def input_sha256(path: Path) -> str:
    """Hash of an input, a file or a directory of images; empty if there is none (opening it will say why)."""
    try:
        if path.is_dir():
            return sequence_sha256(path)
        return file_sha256(path) if path.is_file() else ""
    except OSError as error:
        raise RecordingError("cannot be read", f"{path}: {error.strerror}") from error


def align_file(
    path: Path, sha256: str, start_frame: int, end_frame: int | None, recipe_json: str, versions_json: str
) -> Alignment:
    """Decode and align one file. `sha256` and `versions_json` take no part; they are there to key the cache.

    Raises:
        RecordingError: the file cannot be decoded to its end.
    """
    recipe = AlignRecipe.model_validate_json(recipe_json)
    with open_recording(path) as video:
        track = make_track(video.frames(start_frame, end_frame), recipe, _finder(recipe.min_presence))
        return Alignment(track, video.fps, video.remark)


def _cached_alignment(
    job: Job, sha256: str, recipe: AlignRecipe, cache_dir: Path, versions: dict[str, Any]
) -> Alignment:
    cached = Memory(cache_dir, verbose=0).cache(align_file, ignore=["path"])
    recording = job.recording
    alignment: Alignment = cached(
        recording.path,
        sha256,
        recording.start_frame,
        recording.end_frame,
        recipe.model_dump_json(),
        json.dumps(versions, sort_keys=True),
    )
    return alignment


@cache
def _finder(min_presence: float) -> MeshFinder:
    """One finder per worker process: loading the models takes longer than a short recording."""
    cv2.setNumThreads(1)
    return MeshFinder(min_presence=min_presence)


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
    track = alignment.track
    if track.n_detected == 0:
        return f"no face: none found in {track.n_frames} frames"
    if plan.too_short:
        return f"shorter than a clip: {track.n_frames} frames"
    if not plan.clips:
        return f"too few faces for a clip: found in {track.n_detected} of {track.n_frames} frames"
    remarks = []
    if plan.n_faceless:
        windows = plan.n_faceless + len(plan.clips)
        remarks.append(f"clips left out: {plan.n_faceless} of {windows} have too few frames with a face")
    if alignment.remark:
        remarks.append(alignment.remark)
    return "; ".join(remarks)
