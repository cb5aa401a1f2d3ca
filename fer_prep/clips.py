"""Windows over a face track: where clips begin, and which of them have enough faces."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fer_prep.recipe import ClipRecipe


@dataclass(frozen=True)
class Clip:
    """A window of one recording.

    Attributes:
        first_frame: of the recording, from 0.
        n_valid: frames that exist; less than the clip length only where a short recording is padded.
    """

    first_frame: int
    n_valid: int


@dataclass(frozen=True)
class ClipPlan:
    """The clips of one recording, and what the rules left out.

    Attributes:
        n_faceless: windows with too few detected frames.
        too_short: the recording is shorter than a clip and the recipe drops such recordings.
    """

    clips: tuple[Clip, ...]
    n_faceless: int = 0
    too_short: bool = False


def clip_starts(n_frames: int, *, length: int, stride: int, tail: Literal["drop", "shift"] = "drop") -> list[int]:
    """First frame of every clip of a recording.

    With tail="shift" the frames behind the last whole clip are covered by one more clip, moved back to fit.
    A recording shorter than `length` yields [0]; whether that clip is padded or dropped is the caller's rule.

    Raises:
        ValueError: `length` or `stride` is not positive.
    """
    if length < 1 or stride < 1:
        raise ValueError(f"clip length and stride must be positive, found {length} and {stride}")
    last = max(n_frames - length, 0)
    starts = list(range(0, last + 1, stride))
    if tail == "shift" and starts[-1] < last:
        starts.append(last)
    return starts


def plan_clips(detected_N: NDArray[np.bool_], recipe: ClipRecipe) -> ClipPlan:
    """Clips of a recording whose frames are marked as detected or not.

    A padded clip is judged by the frames that exist.
    """
    n_frames = len(detected_N)
    if n_frames < recipe.length and recipe.short == "drop":
        return ClipPlan((), too_short=True)
    windows = [
        Clip(start, min(recipe.length, n_frames - start))
        for start in clip_starts(n_frames, length=recipe.length, stride=recipe.stride, tail=recipe.tail)
    ]
    kept = tuple(
        clip
        for clip in windows
        if detected_N[clip.first_frame : clip.first_frame + clip.n_valid].mean() >= recipe.min_detected
    )
    return ClipPlan(kept, n_faceless=len(windows) - len(kept))
