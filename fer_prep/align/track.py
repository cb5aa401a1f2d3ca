"""A stream of frames becomes a face track: one aligned face per frame, each marked as found or not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_prep.align.geometry import Transform, apply, cut_out, interpolate, similarity
from fer_prep.align.mesh import Face, MeshFinder
from fer_prep.recipe import AlignRecipe
from fer_prep.stopwatch import Stopwatch


@dataclass(frozen=True)
class FaceTrack:
    """Aligned faces of one recording; N frames of H×H pixels.

    Attributes:
        rgb_NHWC: uint8; black where there is no face to show.
        detected_N: bool; a face was found in this very frame.
        confidence_N: float32, 0…1; 0 where not detected.
        landmarks_N68x2: float32, pixels of the aligned face; NaN where not detected.
        transform_N2x3: float32, frame pixels -> aligned pixels; NaN where the image is black for want of a face.
    """

    rgb_NHWC: NDArray[np.uint8]
    detected_N: NDArray[np.bool_]
    confidence_N: NDArray[np.float32]
    landmarks_N68x2: NDArray[np.float32]
    transform_N2x3: NDArray[np.float32]

    @property
    def n_frames(self) -> int:
        return len(self.detected_N)

    @property
    def n_detected(self) -> int:
        return int(self.detected_N.sum())

    @property
    def shown_N(self) -> NDArray[np.bool_]:
        """Frames that have an image: detected ones and filled gaps."""
        return ~np.isnan(self.transform_N2x3[:, 0, 0])


@dataclass(frozen=True)
class _Moment:
    """One frame of a track in the making."""

    rgb_HWC: NDArray[np.uint8]
    transform: Transform | None
    face: Face | None


def make_track(
    frames: Iterable[NDArray[np.uint8]], recipe: AlignRecipe, finder: MeshFinder, watch: Stopwatch | None = None
) -> FaceTrack:
    """Align every frame of one recording.

    Frames without a face keep their place. A gap of at most `max_gap_frames` between two found faces is cut out of its
    frames with the transform interpolated over the gap. Longer gaps, and frames before the first or after the last
    face, are black. Memory: the aligned faces and at most `max_gap_frames` + 1 whole frames.

    Args:
        frames: (H,W,3) uint8 RGB each, in order; at least one.
        finder: is reset first.
        watch: counts "detect".
    """
    finder.reset()
    moments = list(_moments(frames, recipe, finder, watch or Stopwatch()))
    nowhere = np.full((2, 3), np.nan)
    no_points = np.full((68, 2), np.nan)
    return FaceTrack(
        rgb_NHWC=np.stack([moment.rgb_HWC for moment in moments]),
        detected_N=np.array([moment.face is not None for moment in moments]),
        confidence_N=np.array([m.face.confidence if m.face else 0 for m in moments], np.float32),
        landmarks_N68x2=np.array(
            [
                apply(m.transform, m.face.points_68x2) if m.face and m.transform is not None else no_points
                for m in moments
            ],
            np.float32,
        ),
        transform_N2x3=np.array([nowhere if m.transform is None else m.transform for m in moments], np.float32),
    )


def _moments(
    frames: Iterable[NDArray[np.uint8]], recipe: AlignRecipe, finder: MeshFinder, watch: Stopwatch
) -> Iterator[_Moment]:
    """Aligned frames in order; those of a gap come out when it has ended or has grown too long to fill."""
    before: Transform | None = None
    waiting: list[NDArray[np.uint8]] = []
    for frame in frames:
        with watch("detect"):
            face = finder.find(frame)
        if face is None:
            waiting.append(frame)
            if len(waiting) > recipe.max_gap_frames or before is None:
                # too long, or nothing to interpolate from: these and all up to the next face stay black
                yield from _black(len(waiting), recipe)
                waiting, before = [], None
            continue
        transform = similarity(face.points_68x2, recipe.face_size)
        if before is not None:
            yield from _filled(waiting, before, transform, recipe)
        yield _Moment(cut_out(frame, transform, recipe.face_size), transform, face)
        waiting, before = [], transform
    yield from _black(len(waiting), recipe)


def _filled(
    frames: list[NDArray[np.uint8]], before: Transform, after: Transform, recipe: AlignRecipe
) -> Iterator[_Moment]:
    for k, frame in enumerate(frames, start=1):
        transform = interpolate(before, after, k / (len(frames) + 1), recipe.face_size)
        yield _Moment(cut_out(frame, transform, recipe.face_size), transform, None)


def _black(n: int, recipe: AlignRecipe) -> Iterator[_Moment]:
    for _ in range(n):
        yield _Moment(np.zeros((recipe.face_size, recipe.face_size, 3), np.uint8), None, None)
