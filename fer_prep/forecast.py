"""What a build will cost and what it will keep, before it is begun."""

import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from joblib import Parallel, delayed

from fer_prep.clips import clip_starts
from fer_prep.corpora import Recording
from fer_prep.errors import RecordingError
from fer_prep.ledger import read_ledger
from fer_prep.output import other_recipe, read_index
from fer_prep.plan import Plan, Subject, plan_shards
from fer_prep.recipe import ClipRecipe
from fer_prep.resume import Kept, check_existing
from fer_prep.sequence import list_images
from fer_prep.stages import Job, align_recording, build_shard
from fer_prep.versions import tool_versions
from fer_prep.video import open_video

MOST_HEADERS = 200  # recordings whose length is looked up; the others are like these on average
COLOUR_BYTES, FLOW_AND_COLOUR_BYTES = 3, 7  # of a pixel
TRIALS, TRIAL_FRAMES = 4, 150  # recordings built for trial, and frames of each at most


@dataclass(frozen=True)
class Extent:
    """Frames and clips of a whole plan if every frame has a face, as far as file headers tell.

    Attributes:
        n_read: recordings whose length is known; the others are assumed to be like these.
    """

    n_frames: int
    n_clips: int
    n_read: int


@dataclass(frozen=True)
class Calibration:
    """What a few recordings took on one core, from decoding to the written shard."""

    n_recordings: int
    n_frames: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Existing:
    """What a build would do with the shards that lie in the output directory.

    Attributes:
        other_recipe: how their recipe differs; a build then refuses, or with --rebuild replaces them all.
        kept: file names.
        rebuilt: file name -> reason.
        new: file names of shards that are not there yet.
    """

    other_recipe: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    rebuilt: tuple[tuple[str, str], ...] = ()
    new: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """What a build of a plan will bring and cost.

    Attributes:
        calibration: None: not asked for, or no recording could be built.
        existing: None: there is no output directory yet.
        share: of the recordings that a build has still to align, where shards are kept.
    """

    plan: Plan
    extent: Extent
    workers: int
    calibration: Calibration | None
    existing: Existing | None

    @property
    def share(self) -> float:
        if self.existing is None or not self.existing.kept:
            return 1.0
        kept = sum(len(shard.jobs) for shard in plan_shards(self.plan, Path()) if shard.path.name in self.existing.kept)
        return 1 - kept / len(self.plan.corpus.recordings)

    @property
    def seconds(self) -> float | None:
        """Time to go; None without a calibration."""
        trial = self.calibration
        if trial is None:
            return None
        return self.share * self.extent.n_frames * trial.seconds / trial.n_frames / self.workers

    @property
    def shard_bytes(self) -> int:
        """Size of all shards; without a calibration as if nothing could be compressed."""
        trial = self.calibration
        per_frame = trial.bytes / trial.n_frames if trial else FLOW_AND_COLOUR_BYTES * self._pixels
        return round(self.extent.n_frames * per_frame)

    @property
    def cache_bytes(self) -> int:
        """Size of the aligned faces in the cache."""
        return COLOUR_BYTES * self._pixels * self.extent.n_frames

    @property
    def _pixels(self) -> int:
        return self.plan.recipe.align.face_size**2


def forecast(plan: Plan, *, out: Path | None, workers: int | None, rebuild: bool, with_calibration: bool) -> Forecast:
    """Look up lengths, compare with the shards in `out`, if there are any, and build a few recordings for trial.

    Raises:
        FerPrepError: the ledger in `out` is none of ours.
    """
    n_workers = plan.n_workers(workers)
    return Forecast(
        plan,
        expect(plan),
        n_workers,
        calibrate(plan) if with_calibration else None,
        compare(plan, out, workers=n_workers, rebuild=rebuild) if out is not None and out.is_dir() else None,
    )


def expect(plan: Plan) -> Extent:
    """Frames and clips to come, from at most MOST_HEADERS recordings spread evenly over the corpus."""
    unreadable = {remark.path for remark in plan.unreadable}
    recordings = [recording for recording in plan.corpus.recordings if recording.file not in unreadable]
    sample = recordings[:: -(-len(recordings) // MOST_HEADERS)]
    # headers are waited for, not computed: threads help even on one core
    lengths = Parallel(n_jobs=2 * (os.cpu_count() or 1), prefer="threads")(delayed(_n_frames)(r) for r in sample)
    known = [n for n in lengths if n]
    scale = len(recordings) / len(known) if known else 0.0
    n_clips = sum(_n_clips(n, plan.recipe.clips) for n in known)
    return Extent(round(scale * sum(known)), round(scale * n_clips), len(known))


def calibrate(plan: Plan) -> Calibration | None:
    """Build a few recordings, spread over the corpus, into a temporary directory; None if none of them can be built.

    This runs in the calling process, on one core.
    """
    jobs = [job for of_subject in plan.jobs().values() for job in of_subject]
    n = min(TRIALS, len(jobs))
    chosen = [_beginning(jobs[(2 * k + 1) * len(jobs) // (2 * n)], TRIAL_FRAMES) for k in range(n)]
    versions = tool_versions()
    with tempfile.TemporaryDirectory(prefix="fer-prep-plan-") as home:
        cache = Path(home, "cache")
        # loading the models is not what a thousand recordings wait for
        align_recording(_beginning(chosen[0], 1), plan.recipe.align, cache, versions)
        begin = time.perf_counter()
        aligned = [align_recording(job, plan.recipe.align, cache, versions) for job in chosen]
        (subject, *_) = plan_shards(plan, Path(home))
        built = build_shard(subject.path, subject.head, aligned, cache, versions)
        seconds = time.perf_counter() - begin
    if built.entry is None:
        return None
    return Calibration(built.entry.n_recordings, built.entry.n_frames, seconds, built.entry.bytes)


def compare(plan: Plan, out: Path, *, workers: int, rebuild: bool) -> Existing:
    """What a build into `out` would keep, build anew and why, or add. Reads every input of the shards that exist.

    Raises:
        FerPrepError: the ledger there is none of ours.
    """
    shards = plan_shards(plan, out)
    there = [shard for shard in shards if shard.path.exists()]
    new = tuple(shard.path.name for shard in shards if shard not in there)
    if rebuild:
        return Existing(rebuilt=tuple((shard.path.name, "--rebuild") for shard in there), new=new)
    changes = other_recipe(out, plan.recipe)
    if changes:
        return Existing(other_recipe=tuple(changes))
    rows, listed = read_ledger(out), read_index(out)

    def check(shard: Subject) -> Kept:
        known = {job.recording.id: rows[job.recording.id] for job in shard.jobs if job.recording.id in rows}
        return check_existing(shard.path, shard.head, shard.jobs, known, listed.get(shard.path.name))

    verdicts = Parallel(n_jobs=workers, prefer="threads")(delayed(check)(shard) for shard in there)
    reason_of = {shard.path.name: verdict.reason for shard, verdict in zip(there, verdicts, strict=True)}
    return Existing(
        kept=tuple(name for name, reason in reason_of.items() if not reason),
        rebuilt=tuple((name, reason) for name, reason in reason_of.items() if reason),
        new=new,
    )


def _beginning(job: Job, n_frames: int) -> Job:
    """The same recording, and no more than its first frames."""
    recording = job.recording
    length = _n_frames(recording)
    if length <= n_frames:
        return job
    return replace(job, recording=replace(recording, end_frame=recording.start_frame + n_frames))


def _n_frames(recording: Recording) -> int:
    """Frames that a recording has by its header, or by its images; 0: unknown."""
    try:
        if recording.path.is_dir():
            n_frames = len(list_images(recording.path).files)
        else:
            with open_video(recording.path) as video:
                n_frames = video.n_expected
    except RecordingError:
        return 0
    return max(0, min(n_frames, recording.end_frame or n_frames) - recording.start_frame)


def _n_clips(n_frames: int, recipe: ClipRecipe) -> int:
    if n_frames < recipe.length and recipe.short == "drop":
        return 0
    return len(clip_starts(n_frames, length=recipe.length, stride=recipe.stride, tail=recipe.tail))
