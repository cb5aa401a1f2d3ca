"""Optical flow between consecutive aligned faces, by one of three methods, and its 16-bit storage form."""

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.align.track import FaceTrack
from fer_prep.recipe import DisRecipe, FarnebackRecipe, FlowRecipe, Tvl1Recipe

# stored value = pixels * FLOW_SCALE
FLOW_SCALE = 256.0
_LARGEST = np.iinfo(np.int16).max
DIS_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}

# grey (H,W) before and after -> displacement (H,W,2) in pixels: what is at (x, y) before is at (x + dx, y + dy) after
Flow: TypeAlias = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]


def track_flow(track: FaceTrack, recipe: FlowRecipe) -> tuple[NDArray[np.int16], int]:
    """Flow from frame t-1 to t as it is stored, and how many of its values were cut to fit.

    It is 0 in frame 0, and where this frame or the one before has no image.

    Returns:
        (flow_NHW2 int16, (dx, dy) in 1/256 px; number of saturated values)
    """
    flow_NHW2 = np.zeros((*track.rgb_NHWC.shape[:3], 2), np.int16)
    saturated = 0
    shown_N = track.shown_N
    between = make_flow(recipe)
    before: NDArray[np.uint8] | None = None
    for t in range(track.n_frames):
        grey = np.asarray(cv2.cvtColor(track.rgb_NHWC[t], cv2.COLOR_RGB2GRAY), np.uint8) if shown_N[t] else None
        if before is not None and grey is not None:
            flow_NHW2[t], cut = to_stored(between(before, grey))
            saturated += cut
        before = grey
    return flow_NHW2, saturated


def make_flow(recipe: FlowRecipe) -> Flow:
    """The method that a recipe asks for. Its working memory is reused from pair to pair; its results are not."""
    match recipe:
        case FarnebackRecipe():
            return _farneback(recipe)
        case DisRecipe():
            dis = cv2.DISOpticalFlow.create(DIS_PRESETS[recipe.preset])
            return lambda before_HW, after_HW: _no_guess(dis, before_HW, after_HW)
        case Tvl1Recipe():
            tvl1 = cv2.optflow.DualTVL1OpticalFlow.create(
                recipe.tau, recipe.attachment, recipe.theta, recipe.nscales, recipe.warps, recipe.epsilon,
                recipe.iterations, recipe.outer_iterations,
            )  # fmt: skip
            return lambda before_HW, after_HW: _no_guess(tvl1, before_HW, after_HW)


def _farneback(recipe: FarnebackRecipe) -> Flow:
    """Source: Farnebäck 2003, by cv2.calcOpticalFlowFarneback."""

    def flow(before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
        flow_HW2 = cv2.calcOpticalFlowFarneback(
            before_HW, after_HW, None, recipe.pyr_scale, recipe.levels, recipe.winsize,  # type: ignore[call-overload]
            recipe.iterations, recipe.poly_n, recipe.poly_sigma, recipe.flags,
        )  # fmt: skip
        return np.asarray(flow_HW2, np.float32)

    return flow


def _no_guess(
    method: cv2.DenseOpticalFlow, before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8]
) -> NDArray[np.float32]:
    # a flow handed in would be its first guess: here none is, lest one recording's flow hang on another's
    return np.asarray(method.calc(before_HW, after_HW, None), np.float32)  # type: ignore[call-overload]


def to_stored(flow_px: NDArray[np.float32]) -> tuple[NDArray[np.int16], int]:
    """Flow in pixels as int16 in 1/256 px, and how many values were too large and were cut."""
    scaled = np.rint(flow_px * FLOW_SCALE)
    saturated = int((np.abs(scaled) > _LARGEST).sum())
    return np.clip(scaled, -_LARGEST, _LARGEST).astype(np.int16), saturated
