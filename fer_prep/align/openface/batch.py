"""Recordings through OpenFace, several in one process to save its start-up, and each one proved or refused by itself.

A batch ends at the first input that OpenFace cannot open, and says nothing of the others. What a run has finished is
kept; the rest is run again one by one, so that one bad file costs one file. What fails alone is tried once more.
"""

import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fer_prep.align.mesh import MeshFinder
from fer_prep.align.openface.matrices import read_reference
from fer_prep.align.openface.output import Output, read_output
from fer_prep.align.openface.program import OpenFace
from fer_prep.align.openface.reasons import HOPELESS, explain
from fer_prep.align.openface.run import Input, Run, private_directory, run_openface
from fer_prep.align.openface.track import openface_track
from fer_prep.align.track import FaceTrack
from fer_prep.decode import open_recording
from fer_prep.errors import RecordingError
from fer_prep.recipe import AlignRecipe
from fer_prep.stopwatch import Stopwatch
from fer_prep.video import check_part

TRIES_ALONE = 2
MOST_FRAMES = 5000  # of tracks that are in memory together
NOT_RUN = "OpenFace cannot be run"


@dataclass(frozen=True)
class Wanted:
    """A recording, or a part of it, that is to be aligned."""

    path: Path
    start_frame: int = 0
    end_frame: int | None = None


@dataclass(frozen=True)
class Made:
    """An aligned recording."""

    track: FaceTrack
    fps: float | None
    remark: str


Result = Made | RecordingError


@dataclass(frozen=True)
class _Unit:
    """One file, and the recordings that are parts of it: OpenFace aligns the whole, once."""

    source: Input
    parts: tuple[tuple[int, Wanted], ...]


def align_batch(
    wanted: Sequence[Wanted], openface: OpenFace, recipe: AlignRecipe, finder: MeshFinder,
    watch: Stopwatch | None = None,
) -> list[Result]:  # fmt: skip
    """Align recordings by OpenFace; each result is a track, or the reason why there is none.

    Args:
        finder: for the second opinion on what OpenFace calls a face.
        watch: counts "openface", "decode", "detect" (second opinions) and "align" (all else).
    """
    watch = watch or Stopwatch()
    batch = _Batch(openface, recipe, finder, watch)
    results: dict[int, Result] = {}
    units: list[_Unit] = []
    for path in dict.fromkeys(item.path for item in wanted):
        parts = tuple((k, item) for k, item in enumerate(wanted) if item.path == path)
        try:
            units.append(_Unit(Input(path, f"{len(units):06}", expected_frames(path)), parts))
        except RecordingError as error:
            results |= dict.fromkeys((k for k, _ in parts), error)
    # how OpenFace orders videos and directories that are given together is not known
    for of_directories in (False, True):
        with watch("align"):
            results |= batch.align([unit for unit in units if unit.source.path.is_dir() == of_directories])
    return [results[k] for k in range(len(wanted))]


def in_memory_chunks(paths: Sequence[Path]) -> list[list[int]]:
    """Places in `paths`, in groups whose tracks fit into memory together; parts of one file stay together."""
    chunks: list[list[int]] = []
    n_in_chunk, last = 0, None
    for k, path in enumerate(paths):
        n_frames = 0
        with suppress(RecordingError):  # it will be said when its turn comes
            n_frames = expected_frames(path)
        n_in_chunk += n_frames
        if not chunks or (n_in_chunk > MOST_FRAMES and path != last):
            chunks.append([])
            n_in_chunk = n_frames
        chunks[-1].append(k)
        last = path
    return chunks


class _Batch:
    """Runs of one program by one recipe."""

    def __init__(self, openface: OpenFace, recipe: AlignRecipe, finder: MeshFinder, watch: Stopwatch) -> None:
        self._openface, self._recipe, self._finder, self._watch = openface, recipe, finder, watch
        self._reference = read_reference(openface.reference) if openface.reference else None

    def align(self, units: Sequence[_Unit]) -> dict[int, Result]:
        if not units:
            return {}
        results = self._run(units, in_memory=True)
        for unit in units:
            tries = 1 if len(units) == 1 else 0
            while tries < TRIES_ALONE and any(_worth_another_try(results[k]) for k, _ in unit.parts):
                # what is in the way may be a full disk in memory
                results |= self._run([unit], in_memory=False)
                tries += 1
        return results

    def _run(self, units: Sequence[_Unit], *, in_memory: bool) -> dict[int, Result]:
        inputs, size = [unit.source for unit in units], self._recipe.face_size
        all_parts = [k for unit in units for k, _ in unit.parts]
        try:
            with private_directory(sum(item.n_frames for item in inputs), size, in_memory=in_memory) as home:
                with self._watch("openface"):
                    run = run_openface(self._openface, inputs, home, face_size=size, mask=self._recipe.mask)
                self._watch.add_cpu("openface", run.cpu_s)
                return {
                    k: self._result(home / "out", item, unit.source, run) for unit in units for k, item in unit.parts
                }
        except RecordingError as error:
            # one directory of images is not what it was; alone, each says for itself
            return dict.fromkeys(all_parts, RecordingError(NOT_RUN, error.sentence))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return dict.fromkeys(all_parts, RecordingError(NOT_RUN, f"{where}{error.strerror}; is the disk full?"))

    def _result(self, out: Path, wanted: Wanted, source: Input, run: Run) -> Result:
        try:
            with self._watch("decode"):
                n_frames, fps, video_remark = _decode(wanted)
            output = self._proven(out, source, n_frames, run)
            with open_recording(wanted.path) as video:
                frames = self._watch.each("decode", video.frames(wanted.start_frame, wanted.end_frame))
                part = _part(output, slice(wanted.start_frame, wanted.end_frame))
                track, remark = openface_track(
                    part,
                    frames,
                    self._recipe,
                    self._finder,
                    self._reference,
                    first_frame=wanted.start_frame,
                    watch=self._watch,
                )
        except RecordingError as error:
            return error
        return Made(track, fps, "; ".join(filter(None, (video_remark, remark))))

    def _proven(self, out: Path, source: Input, n_frames: int, run: Run) -> Output:
        try:
            return read_output(out, source.stem, source.path, n_frames=n_frames, face_size=self._recipe.face_size)
        except RecordingError as error:
            raise _meaning(error, source.path, run) from error


def _worth_another_try(result: Result) -> bool:
    """Only OpenFace's failures are: what we cannot decode ourselves will not get better."""
    return isinstance(result, RecordingError) and result.kind.startswith("OpenFace") and result.kind not in HOPELESS


def _meaning(error: RecordingError, path: Path, run: Run) -> RecordingError:
    """The best reason that there is: how the run ended, what it said, else what is wrong with its files."""
    if run.returncode is None:
        return RecordingError(
            "OpenFace timed out", f"{path}: killed after {run.seconds:.0f} s; try --aligner mesh, and fer-prep doctor"
        )
    explained = explain(run.said, str(path))
    if explained:
        kind, line = explained
        return RecordingError(kind, f"{path}: {line}", n_frames=error.n_frames)
    if run.returncode < 0:
        name = signal.Signals(-run.returncode).name if -run.returncode in set(signal.Signals) else str(-run.returncode)
        rows = f", after {error.n_frames} rows" if error.n_frames else ""
        return RecordingError("OpenFace died", f"{path}: by {name}{rows}", n_frames=error.n_frames)
    return error


def expected_frames(path: Path) -> int:
    """By its header; what cannot even be opened never reaches OpenFace."""
    with open_recording(path) as video:
        return video.n_expected


def _decode(wanted: Wanted) -> tuple[int, float | None, str]:
    """Frames that the whole file has, its frames per second, and its remark.

    Raises:
        RecordingError: it cannot be decoded as far as it is wanted.
    """
    with open_recording(wanted.path) as video:
        try:
            for _ in video.frames():
                pass
        except RecordingError:
            if wanted.end_frame is None or video.n_read < wanted.end_frame:
                raise
        check_part(wanted.path, video.n_read, wanted.start_frame, wanted.end_frame)
        return video.n_read, video.fps, video.remark


def _part(output: Output, part: slice) -> Output:
    return replace(
        output,
        success_N=output.success_N[part],
        confidence_N=output.confidence_N[part],
        points_N68x2=output.points_N68x2[part],
        rgb_NHWC=output.rgb_NHWC[part],
        has_image_N=output.has_image_N[part],
    )
