"""Optical flow between consecutive aligned faces, and its 16-bit storage form."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.align.track import FaceTrack
from fer_prep.recipe import FlowRecipe

# stored value = pixels * FLOW_SCALE
FLOW_SCALE = 256.0
_LARGEST = np.iinfo(np.int16).max


def track_flow(track: FaceTrack, recipe: FlowRecipe) -> tuple[NDArray[np.int16], int]:
    """Flow from frame t-1 to t as it is stored, and how many of its values were cut to fit.

    It is 0 in frame 0, and where this frame or the one before has no image.
    Source: Farnebäck 2003, by cv2.calcOpticalFlowFarneback.

    Returns:
        (flow_NHW2 int16, (dx, dy) in 1/256 px; number of saturated values)
    """
    flow_NHW2 = np.zeros((*track.rgb_NHWC.shape[:3], 2), np.int16)
    saturated = 0
    shown_N = track.shown_N
    before: NDArray[np.uint8] | None = None
    for t in range(track.n_frames):
        grey = np.asarray(cv2.cvtColor(track.rgb_NHWC[t], cv2.COLOR_RGB2GRAY), np.uint8) if shown_N[t] else None
        if before is not None and grey is not None:
            flow_NHW2[t], cut = to_stored(farneback(before, grey, recipe))
            saturated += cut
        before = grey
    return flow_NHW2, saturated


def farneback(before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8], recipe: FlowRecipe) -> NDArray[np.float32]:
    """Displacement (H,W,2) in pixels: what is at (x, y) before is at (x + dx, y + dy) after."""
    flow_HW2 = cv2.calcOpticalFlowFarneback(
        before_HW, after_HW, None, recipe.pyr_scale, recipe.levels, recipe.winsize,  # type: ignore[call-overload]
        recipe.iterations, recipe.poly_n, recipe.poly_sigma, recipe.flags,
    )  # fmt: skip
    return np.asarray(flow_HW2, np.float32)


def to_stored(flow_px: NDArray[np.float32]) -> tuple[NDArray[np.int16], int]:
    """Flow in pixels as int16 in 1/256 px, and how many values were too large and were cut."""
    scaled = np.rint(flow_px * FLOW_SCALE)
    saturated = int((np.abs(scaled) > _LARGEST).sum())
    return np.clip(scaled, -_LARGEST, _LARGEST).astype(np.int16), saturated
