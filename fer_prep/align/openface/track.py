"""OpenFace's output and the frames it was made of become a face track, of the kind that the embedded aligner makes."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fer_prep.align.geometry import apply
from fer_prep.align.mesh import MeshFinder
from fer_prep.align.openface.judge import FaceRun, believable, difference, found_runs
from fer_prep.align.openface.matrices import alignment_matrices
from fer_prep.align.openface.output import Output
from fer_prep.align.track import FaceTrack
from fer_prep.recipe import AlignRecipe
from fer_prep.stopwatch import Stopwatch

Image = NDArray[np.uint8]


def openface_track(
    output: Output,
    frames: Iterable[Image],
    recipe: AlignRecipe,
    finder: MeshFinder,
    reference_68x2: NDArray[np.float64] | None,
    *,
    first_frame: int = 0,
    watch: Stopwatch | None = None,
) -> tuple[FaceTrack, str]:
    """The track, and a remark on faces that were not believed.

    A gap of at most `max_gap_frames` between two found faces shows the nearer one, still marked as not detected; longer
    gaps, and frames before the first or after the last face, are black.

    Args:
        frames: those of `output`, (H,W,3) uint8 RGB each; a few of them are looked at.
        finder: for the second opinion.
        first_frame: of the part of the file that this is; for the remark.
        watch: counts the second opinions as "detect".
    """
    watch = watch or Stopwatch()
    runs = found_runs(output, recipe)
    asked = {k for run in runs for k in run.asked}
    opinions: dict[int, float | None] = {}
    for k, frame in enumerate(frames):
        if k in asked:
            with watch("detect"):
                opinions[k] = difference(frame, output.points_N68x2[k], finder)
    confirmed, unconfirmed, implausible = believable(runs, opinions)
    detected_N = np.zeros(len(output.success_N), np.bool_)
    for run in (*confirmed, *unconfirmed):
        detected_N[run.first : run.last + 1] = True
    source_N = _shown_frames(detected_N, recipe.max_gap_frames)
    return _track(output, detected_N, source_N, recipe, reference_68x2), _remark(unconfirmed, implausible, first_frame)


def _track(
    output: Output,
    detected_N: NDArray[np.bool_],
    source_N: NDArray[np.int64],
    recipe: AlignRecipe,
    reference_68x2: NDArray[np.float64] | None,
) -> FaceTrack:
    n = len(detected_N)
    transform_N2x3 = np.full((n, 2, 3), np.nan)
    points_N68x2 = np.full((n, 68, 2), np.nan)
    if detected_N.any():
        transform_N2x3[detected_N] = alignment_matrices(
            output.points_N68x2[detected_N], recipe.face_size, reference_68x2
        )
        for k in np.flatnonzero(detected_N):
            points_N68x2[k] = apply(transform_N2x3[k], output.points_N68x2[k])
    shown_N = source_N >= 0
    rgb_NHWC = np.zeros_like(output.rgb_NHWC)
    rgb_NHWC[shown_N] = output.rgb_NHWC[source_N[shown_N]]
    transform_N2x3[shown_N] = transform_N2x3[source_N[shown_N]]
    return FaceTrack(
        rgb_NHWC=rgb_NHWC,
        detected_N=detected_N,
        confidence_N=np.where(detected_N, output.confidence_N, 0).astype(np.float32),
        landmarks_N68x2=points_N68x2.astype(np.float32),
        transform_N2x3=transform_N2x3.astype(np.float32),
    )


def _shown_frames(detected_N: NDArray[np.bool_], max_gap_frames: int) -> NDArray[np.int64]:
    """For each frame the one whose image it shows; -1: none. In the middle of a gap the earlier one wins."""
    n = len(detected_N)
    source_N = np.where(detected_N, np.arange(n), -1)
    there = np.flatnonzero(detected_N)
    for before, after in pairwise(there):
        if 1 < after - before <= max_gap_frames + 1:
            gap = np.arange(before + 1, after)
            source_N[gap] = np.where(gap - before <= after - gap, before, after)
    return np.asarray(source_N, np.int64)


def _remark(unconfirmed: list[FaceRun], implausible: list[FaceRun], first_frame: int) -> str:
    remarks = []
    if implausible:
        n_frames = sum(run.n_frames for run in implausible)
        remarks.append(
            f"implausible faces of OpenFace not used: {n_frames} frames ({_places(implausible, first_frame)})"
        )
    if unconfirmed:
        remarks.append(f"faces that only OpenFace sees: frames {_places(unconfirmed, first_frame)}")
    return "; ".join(remarks)


def _places(runs: list[FaceRun], first_frame: int) -> str:
    """Frames of the whole file, from 1, as OpenFace counts them."""
    ends = [(run.first + first_frame + 1, run.last + first_frame + 1) for run in runs[:4]]
    shown = [f"{first}-{last}" if first < last else str(first) for first, last in ends]
    return ", ".join(shown) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")
