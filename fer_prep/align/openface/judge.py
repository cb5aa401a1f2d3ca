"""Which of the faces that OpenFace says it found are faces.

`success` and a confidence of 0.98 are no proof: letters have been found to be a face, and a face that lies on its side
has been fitted upright for fifty frames. Found frames are parted into runs wherever size or place jump. Of each run,
three frames are shown to the embedded aligner, which knows nothing of OpenFace: right fits differ by some 0.05 of the
face's size, wrong ones by 1 and more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_prep.align.mesh import MeshFinder
from fer_prep.align.openface.output import Output
from fer_prep.recipe import AlignRecipe

INNER_FACE = slice(17, 68)  # the jaw lines of two aligners mean different things
LARGEST_MOVE, LARGEST_GROWTH = 0.4, 0.25  # from frame to frame, in face sizes, and as a share
LARGEST_DIFFERENCE = 0.3  # between two aligners that see one face, in face sizes
UNCONFIRMED_RUN = 10  # frames: shorter runs that nobody confirms are none
CROP = 2.0  # of the face's extent

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceRun:
    """Frames first … last, in all of which OpenFace found a face."""

    first: int
    last: int

    @property
    def n_frames(self) -> int:
        return self.last - self.first + 1

    @property
    def asked(self) -> tuple[int, ...]:
        """Frames for the second opinion."""
        return tuple(dict.fromkeys((self.first, (self.first + self.last) // 2, self.last)))


def found_runs(output: Output, recipe: AlignRecipe) -> list[FaceRun]:
    """Runs of frames that OpenFace calls found, with an image and with enough confidence, parted at jumps."""
    found_N = output.success_N & output.has_image_N & (output.confidence_N >= recipe.min_confidence)
    found_N &= np.isfinite(output.points_N68x2).all(axis=(1, 2))
    middle_N2 = output.points_N68x2.mean(axis=1)
    size_N = face_sizes(output.points_N68x2)
    runs: list[FaceRun] = []
    for k in np.flatnonzero(found_N).tolist():
        if runs and runs[-1].last == k - 1:
            move = np.linalg.norm(middle_N2[k] - middle_N2[k - 1]) / size_N[k - 1]
            growth = abs(size_N[k] / size_N[k - 1] - 1)
            if move <= LARGEST_MOVE and growth <= LARGEST_GROWTH:
                runs[-1] = FaceRun(runs[-1].first, k)
                continue
        runs.append(FaceRun(k, k))
    return runs


def believable(
    runs: Iterable[FaceRun], opinions_by_frame: Mapping[int, float | None]
) -> tuple[list[FaceRun], list[FaceRun], list[FaceRun]]:
    """Runs that are confirmed, runs that are not but are long enough to be believed, and runs that are not believed.

    Args:
        opinions_by_frame: for each frame that is `asked` of a run, what `difference` says of it.
    """
    confirmed: list[FaceRun] = []
    unconfirmed: list[FaceRun] = []
    implausible: list[FaceRun] = []
    for run in runs:
        opinions = [opinions_by_frame.get(k) for k in run.asked]
        agree = sum(opinion is not None and opinion <= LARGEST_DIFFERENCE for opinion in opinions)
        contradict = sum(opinion is not None and opinion > LARGEST_DIFFERENCE for opinion in opinions)
        if agree > contradict:
            confirmed.append(run)
        elif contradict or run.n_frames < UNCONFIRMED_RUN:
            implausible.append(run)
        else:
            unconfirmed.append(run)
    return confirmed, unconfirmed, implausible


def difference(rgb_HWC: Image, points_68x2: NDArray[np.float64], finder: MeshFinder) -> float | None:
    """Mean distance between OpenFace's points and those of the embedded aligner, in face sizes; None: it sees no face.

    It is shown the surroundings of OpenFace's face only: a picture may hold several.
    """
    middle_2 = points_68x2.mean(axis=0)
    half = CROP * np.abs(points_68x2 - middle_2).max()
    height, width = rgb_HWC.shape[:2]
    left, top = np.clip(middle_2 - half, 0, (width, height)).astype(int)
    right, bottom = np.clip(middle_2 + half, 0, (width, height)).astype(int)
    if right - left < 2 or bottom - top < 2:
        return None
    finder.reset()
    face = finder.find(np.ascontiguousarray(rgb_HWC[top:bottom, left:right]))
    if face is None:
        return None
    there_68x2 = np.asarray(face.points_68x2, np.float64) + (left, top)
    apart = np.linalg.norm(there_68x2[INNER_FACE] - points_68x2[INNER_FACE], axis=1).mean()
    return float(apart / face_sizes(points_68x2[None])[0])


def face_sizes(points_N68x2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square distance of the points from their middle, (N,), pixels."""
    from_middle = points_N68x2 - points_N68x2.mean(axis=1, keepdims=True)
    return np.asarray(np.maximum(np.sqrt((from_middle**2).sum(axis=2).mean(axis=1)), 1e-6))
