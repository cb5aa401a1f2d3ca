"""Flow: the right way round, in the right units, zero where nothing can be compared."""

import cv2
import numpy as np
import pytest

from fer_prep.align.track import FaceTrack
from fer_prep.flow import make_flow, to_stored, track_flow
from fer_prep.recipe import DisRecipe, FarnebackRecipe, FlowRecipe, Tvl1Recipe

EACH = [
    FarnebackRecipe(), DisRecipe(preset="ultrafast"), DisRecipe(preset="fast"), DisRecipe(),
    Tvl1Recipe(iterations=10, outer_iterations=2),
]  # fmt: skip
each_backend = pytest.mark.parametrize("recipe", EACH, ids=lambda r: "-".join(str(v) for v in r.model_dump().values()))


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


@each_backend
@pytest.mark.parametrize("move", [(2.0, -1.0), (0.4, 0.3), (-5.0, 3.0)])
def test_a_known_displacement_is_found_from_the_frame_before_to_this_one(
    recipe: FlowRecipe, move: tuple[float, float]
) -> None:
    flow = make_flow(recipe)(texture(0, 0), texture(*move))[20:92, 20:92]
    assert np.median(flow, axis=(0, 1)) == pytest.approx(move, abs=0.15)
    assert np.linalg.norm(flow - move, axis=2).mean() < 0.2


def test_flow_is_what_opencv_gives_for_the_papers_parameters() -> None:
    before, after = texture(0, 0), texture(1, 1)
    expected = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)  # type: ignore[call-overload]
    assert np.array_equal(make_flow(FarnebackRecipe())(before, after), expected)


def test_the_defaults_of_tvl1_are_opencvs_and_every_parameter_arrives() -> None:
    ours = Tvl1Recipe().model_dump(exclude={"backend"})
    opencv = cv2.optflow.DualTVL1OpticalFlow.create()
    found = {
        "tau": opencv.getTau(), "attachment": opencv.getLambda(), "theta": opencv.getTheta(),
        "nscales": opencv.getScalesNumber(), "warps": opencv.getWarpingsNumber(), "epsilon": opencv.getEpsilon(),
        "iterations": opencv.getInnerIterations(), "outer_iterations": opencv.getOuterIterations(),
    }  # fmt: skip
    assert found == pytest.approx(ours)
    before, after = texture(0, 0)[:48, :48].copy(), texture(3, 1)[:48, :48].copy()
    quick = {"iterations": 10, "outer_iterations": 2}
    usual = make_flow(Tvl1Recipe.model_validate(quick))(before, after)
    others = {"tau": 0.1, "attachment": 0.05, "theta": 0.6, "nscales": 2, "warps": 2, "epsilon": 1.0,
              "iterations": 3, "outer_iterations": 1}  # fmt: skip
    for name, value in others.items():
        assert not np.array_equal(make_flow(Tvl1Recipe.model_validate(quick | {name: value}))(before, after), usual), (
            name
        )


@each_backend
def test_flow_does_not_hang_on_what_was_computed_before(recipe: FlowRecipe) -> None:
    pictures = [texture(k * k / 3, -k) for k in range(5)]
    whole, _ = track_flow(track(pictures, [True] * 5), recipe)
    for t in range(1, 5):
        fresh, _ = to_stored(make_flow(recipe)(pictures[t - 1], pictures[t]))
        assert np.array_equal(whole[t], fresh)
    used = make_flow(recipe)
    used(texture(9, 9), texture(0, 0))
    assert np.array_equal(to_stored(used(pictures[0], pictures[1]))[0], whole[1])


@each_backend
def test_the_smallest_faces_have_flow_too(recipe: FlowRecipe) -> None:
    small = [texture(k, 0)[48:64, 48:64].copy() for k in range(2)]
    assert make_flow(recipe)(*small).shape == (16, 16, 2)


@each_backend
def test_flow_is_zero_at_the_start_and_next_to_missing_pictures(recipe: FlowRecipe) -> None:
    pictures = [texture(k, 0) for k in range(6)]
    flow_NHW2, saturated = track_flow(track(pictures, [True, True, True, False, True, True]), recipe)
    assert [bool(f.any()) for f in flow_NHW2] == [False, True, True, False, False, True]
    assert saturated == 0


@each_backend
def test_stored_flow_of_a_track_points_where_the_face_goes(recipe: FlowRecipe) -> None:
    flow_NHW2, _ = track_flow(track([texture(0, 0), texture(2.0, -1.0)], [True, True]), recipe)
    assert np.median(flow_NHW2[1, 20:92, 20:92], axis=(0, 1)) / 256 == pytest.approx([2.0, -1.0], abs=0.1)


def test_stored_flow_keeps_a_256th_of_a_pixel_and_counts_what_it_cuts() -> None:
    pixels = np.array([[0.0, 1.0, -1.5, 127.99, -127.99, 128.0, -500.0]], np.float32)
    stored, saturated = to_stored(pixels)
    assert stored.dtype == np.int16
    assert list(stored[0]) == [0, 256, -384, 32765, -32765, 32767, -32767]
    assert saturated == 2
    noise = np.random.default_rng(0).uniform(-100, 100, (50, 2)).astype(np.float32)
    assert np.abs(to_stored(noise)[0] / 256 - noise).max() <= 0.5 / 256 + 1e-5
