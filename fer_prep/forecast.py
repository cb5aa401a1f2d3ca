"""What a build will cost and what it will keep, before it is begun."""

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from joblib import Parallel, delayed

from fer_prep.clips import clip_starts
from fer_prep.corpora import Recording, Remark
from fer_prep.decode import open_recording
from fer_prep.errors import RecordingError
from fer_prep.kept_groups import keep_groups
from fer_prep.ledger import LedgerRow, read_ledger, rows_of
from fer_prep.output import check_writable, leftovers, other_recipe, read_index, refuse_foreign
from fer_prep.plan import Plan, Subject, plan_shards
from fer_prep.recipe import ClipRecipe
from fer_prep.resume import Kept, check_existing
from fer_prep.stages import Job, align_batch, align_recording, build_shard
from fer_prep.video import check_part

MOST_HEADERS = 200  # recordings whose length is looked up; the others are like these on average
COLOUR_BYTES, FLOW_AND_COLOUR_BYTES = 3, 7  # of a pixel
TRIALS, TRIAL_FRAMES = 4, 150  # recordings built for trial, and frames of each at most


@dataclass(frozen=True)
class Extent:
    """Frames and clips of a whole plan if every frame has a face, as far as file headers tell.

    Attributes:
        n_read: recordings whose length is known; the others are assumed to be like these.
        will_fail: recordings that were looked at and cannot be built.
    """

    n_frames: int
    n_clips: int
    n_read: int
    will_fail: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """What a few recordings took on one core, from decoding to the written shard.

    Attributes:
        n_recordings: built; 0 if none could be.
        will_fail: recordings that could not be built.
    """

    n_recordings: int
    n_frames: int
    seconds: float
    bytes: int
    will_fail: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Existing:
    """What a build would do with the shards that lie in the output directory.

    Attributes:
        other_recipe: how their recipe differs; a build then refuses, or with --rebuild replaces them all.
        kept: file names.
        rebuilt: file name and reason.
        new: file names of shards of subjects that are new.
        orphaned: file names of shards that belong to no recording any more; they stay, and leave the index.
        kept_share: of the recordings, those in shards that are kept.
    """

    other_recipe: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    rebuilt: tuple[tuple[str, str], ...] = ()
    new: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    kept_share: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """What a build of a plan will bring and cost.

    Attributes:
        calibration: None: not asked for.
        existing: None: there is no output directory yet.
    """

    plan: Plan
    extent: Extent
    workers: int
    calibration: Calibration | None
    existing: Existing | None

    @property
    def will_fail(self) -> tuple[Remark, ...]:
        """Recordings that are known to fail, as far as was looked."""
        trial = self.calibration.will_fail if self.calibration else ()
        remarks = {remark.path: remark for remark in (*trial, *self.extent.will_fail, *self.plan.unreadable)}
        return tuple(remarks.values())

    @property
    def seconds(self) -> float | None:
        """Time for what is not kept; None if no frame was built for trial."""
        trial = self.calibration
        if trial is None or trial.n_frames == 0:
            return None
        kept = self.existing.kept_share if self.existing else 0.0
        return (1 - kept) * self.extent.n_frames * trial.seconds / trial.n_frames / self.workers

    @property
    def shard_bytes(self) -> int:
        """Size of all shards; without a trial as if nothing could be compressed."""
        trial = self.calibration
        per_frame = trial.bytes / trial.n_frames if trial and trial.n_frames else FLOW_AND_COLOUR_BYTES * self._pixels
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
        UsageError, FerPrepError: a build would be refused, for `out` is not ours or cannot be written to.
    """
    n_workers = plan.n_workers(workers)
    # what may be refused comes first
    existing = None
    if out is not None and out.exists():
        existing = compare(plan, out, workers=n_workers, rebuild=rebuild)
        check_writable(out)
        plan = keep_groups(plan, out, rebuild=rebuild)
    return Forecast(plan, expect(plan), n_workers, calibrate(plan) if with_calibration else None, existing)


def expect(plan: Plan) -> Extent:
    """Frames and clips to come, from at most MOST_HEADERS recordings spread evenly over the corpus."""
    unreadable = {remark.path for remark in plan.unreadable}
    recordings = [recording for recording in plan.corpus.recordings if recording.file not in unreadable]
    sample = recordings[:: -(-len(recordings) // MOST_HEADERS)]
    # headers are waited for, not computed: threads help even on one core
    lengths = Parallel(n_jobs=2 * (os.cpu_count() or 1), prefer="threads")(delayed(_look_up)(r) for r in sample)
    known = [length.n_frames for length in lengths if length.n_frames]
    failing = tuple(
        Remark(length.problem, recording.file)
        for recording, length in zip(sample, lengths, strict=True)
        if length.problem
    )
    will_do = len(recordings) * (len(sample) - len(failing)) / len(sample)
    scale = will_do / len(known) if known else 0.0
    n_clips = sum(_n_clips(n, plan.recipe.clips) for n in known)
    return Extent(round(scale * sum(known)), round(scale * n_clips), len(known), failing)


def calibrate(plan: Plan) -> Calibration:
    """Build a few recordings, spread over the corpus, into a temporary directory.

    This runs in the calling process, on one core.
    """
    chosen = _for_trial(plan)
    with tempfile.TemporaryDirectory(prefix="fer-prep-plan-") as home:
        setup = plan.setup(Path(home, "cache"))
        if plan.aligner.openface is None:
            # loading the models is not what a thousand recordings wait for
            align_recording(_beginning(chosen[0], 1), setup)
        begin = time.perf_counter()
        aligned = align_batch(chosen, setup)
        (subject, *_) = plan_shards(plan, Path(home))
        built = build_shard(subject.path, subject.head, aligned, setup)
        seconds = time.perf_counter() - begin
    failing = tuple(
        Remark(row.kind, job.recording.file)
        for job, row in zip(chosen, built.rows, strict=True)
        if row.status == "failed"
    )
    if built.entry is None:
        return Calibration(0, 0, seconds, 0, failing)
    return Calibration(built.entry.n_recordings, built.entry.n_frames, seconds, built.entry.bytes, failing)


def compare(plan: Plan, out: Path, *, workers: int, rebuild: bool) -> Existing:
    """What a build into `out` would keep, build anew and why, or add. Reads every input of the shards that exist.

    Raises:
        UsageError: a build would be refused, for the directory is not ours.
        FerPrepError: something there cannot be read.
    """
    refuse_foreign(out)
    changes = other_recipe(out, plan.recipe)
    if changes and not rebuild:
        return Existing(other_recipe=tuple(changes))
    plan = keep_groups(plan, out, rebuild=rebuild)
    shards = plan_shards(plan, out)
    there = [shard for shard in shards if shard.path.exists()]
    names = {shard.path.name for shard in there}
    rows, listed = read_ledger(out), read_index(out)
    absent = {shard.path.name: _why_absent(shard, rows) for shard in shards if shard.path.name not in names}
    new = tuple(name for name, reason in absent.items() if not reason)
    if rebuild:
        reason = f"recipe changed: {'; '.join(changes)}" if changes else "--rebuild"
        return Existing(rebuilt=tuple((shard.path.name, reason) for shard in there), new=new)

    def check(shard: Subject) -> Kept:
        known = rows_of(shard.recordings, rows)
        return check_existing(shard.path, shard.head, shard.jobs, known, listed.get(shard.path.name))

    verdicts = Parallel(n_jobs=workers, prefer="threads")(delayed(check)(shard) for shard in there)
    judged = list(zip(there, verdicts, strict=True))
    n_kept = sum(len(shard.jobs) for shard, verdict in judged if verdict.entry)
    return Existing(
        kept=tuple(shard.path.name for shard, verdict in judged if verdict.entry),
        rebuilt=(
            *((shard.path.name, verdict.reason) for shard, verdict in judged if not verdict.entry),
            *((name, reason) for name, reason in absent.items() if reason),
        ),
        new=new,
        orphaned=tuple(leftovers(out, {shard.path.name for shard in shards})),
        kept_share=n_kept / len(plan.corpus.recordings),
    )


def _why_absent(shard: Subject, rows: Mapping[str, LedgerRow]) -> str:
    """Why the shard of a subject that was built before is not there; empty: it never was."""
    known = [row for row in rows_of(shard.recordings, rows).values() if row.subject == shard.head.subject]
    if not known:
        return ""
    return "shard is gone" if any(row.status != "failed" for row in known) else "failed recordings tried again"


def _for_trial(plan: Plan) -> list[Job]:
    """A few recordings spread over the corpus: beginnings; or whole short ones, for OpenFace aligns whole files."""
    jobs = [job for of_subject in plan.jobs().values() for job in of_subject]
    if plan.aligner.openface is None:
        n = min(TRIALS, len(jobs))
        return [_beginning(jobs[(2 * k + 1) * len(jobs) // (2 * n)], TRIAL_FRAMES) for k in range(n)]
    spread = jobs[:: max(1, len(jobs) // (5 * TRIALS))]
    lengths = {job.recording.id: _look_up(job.recording).n_frames for job in spread}
    known = [job for job in spread if lengths[job.recording.id]] or spread
    whole = [job for job in known if job.recording.start_frame == 0 and job.recording.end_frame is None] or known
    return sorted(whole, key=lambda job: lengths[job.recording.id] or 0)[:TRIALS]


def _beginning(job: Job, n_frames: int) -> Job:
    """The same recording, and no more than its first frames."""
    recording = job.recording
    if (_look_up(recording).n_frames or 0) <= n_frames:
        return job
    return replace(job, recording=replace(recording, end_frame=recording.start_frame + n_frames))


@dataclass(frozen=True)
class _Length:
    """Frames of a recording by its header, or by its images; None: it does not say. Or why there are none."""

    n_frames: int | None
    problem: str = ""


def _look_up(recording: Recording) -> _Length:
    start, end = recording.start_frame, recording.end_frame
    try:
        with open_recording(recording.path) as video:
            n_frames = video.n_expected
            if video.n_declared is not None:
                check_part(recording.path, n_frames, start, end)
    except RecordingError as error:
        return _Length(None, error.kind)
    n_part = min(n_frames, end or n_frames) - start
    return _Length(n_part if n_part > 0 else None)


def _n_clips(n_frames: int, recipe: ClipRecipe) -> int:
    if n_frames < recipe.length and recipe.short == "drop":
        return 0
    return len(clip_starts(n_frames, length=recipe.length, stride=recipe.stride, tail=recipe.tail))
