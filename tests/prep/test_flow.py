"""Flow: the right way round, in the right units, zero where nothing can be compared."""

import cv2
import numpy as np
import pytest

from fer_prep.align.track import FaceTrack
from fer_prep.flow import farneback, to_stored, track_flow
from fer_prep.recipe import FlowRecipe


def texture(shift_x: float, shift_y: float) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0, 1, (160, 160)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    grey = 128 + 60 * smooth / smooth.std()
    move = np.array([[1, 0, shift_x - 24], [0, 1, shift_y - 24]], np.float64)
    return np.clip(cv2.warpAffine(grey, move, (112, 112)), 0, 255).astype(np.uint8)


def track(pictures: list[np.ndarray], shown: list[bool]) -> FaceTrack:
    n = len(pictures)
    transform = np.zeros((n, 2, 3), np.float32)
    transform[~np.array(shown)] = np.nan
    return FaceTrack(
        rgb_NHWC=np.stack([np.repeat(p[..., None], 3, axis=2) for p in pictures]),
        detected_N=np.array(shown),
        confidence_N=np.ones(n, np.float32),
        landmarks_N68x2=np.zeros((n, 68, 2), np.float32),
        transform_N2x3=transform,
    )


def test_flow_points_from_the_frame_before_to_this_one() -> None:
    flow = farneback(texture(0, 0), texture(2.0, -1.0), FlowRecipe())[20:92, 20:92]
    assert np.median(flow, axis=(0, 1)) == pytest.approx([2.0, -1.0], abs=0.1)


def test_flow_is_what_opencv_gives_for_the_papers_parameters() -> None:
    before, after = texture(0, 0), texture(1, 1)
    expected = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)  # type: ignore[call-overload]
    assert np.array_equal(farneback(before, after, FlowRecipe()), expected)


def test_flow_is_zero_at_the_start_and_next_to_missing_pictures() -> None:
    pictures = [texture(k, 0) for k in range(6)]
    flow_NHW2, saturated = track_flow(track(pictures, [True, True, True, False, True, True]), FlowRecipe())
    assert [bool(f.any()) for f in flow_NHW2] == [False, True, True, False, False, True]
    assert saturated == 0


def test_stored_flow_of_a_track_points_where_the_face_goes() -> None:
    flow_NHW2, _ = track_flow(track([texture(0, 0), texture(2.0, -1.0)], [True, True]), FlowRecipe())
    assert np.median(flow_NHW2[1, 20:92, 20:92], axis=(0, 1)) / 256 == pytest.approx([2.0, -1.0], abs=0.1)


def test_stored_flow_keeps_a_256th_of_a_pixel_and_counts_what_it_cuts() -> None:
    pixels = np.array([[0.0, 1.0, -1.5, 127.99, -127.99, 128.0, -500.0]], np.float32)
    stored, saturated = to_stored(pixels)
    assert stored.dtype == np.int16
    assert list(stored[0]) == [0, 256, -384, 32765, -32765, 32767, -32767]
    assert saturated == 2
    noise = np.random.default_rng(0).uniform(-100, 100, (50, 2)).astype(np.float32)
    assert np.abs(to_stored(noise)[0] / 256 - noise).max() <= 0.5 / 256 + 1e-5
