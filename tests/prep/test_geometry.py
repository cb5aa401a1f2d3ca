"""Transforms: exact on exact input, steady where the face is large."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_prep.align.geometry import apply, cut_out, interpolate, scale_of, similarity
from fer_prep.align.template import TEMPLATE_68x2

angles = st.floats(-3.1, 3.1)
scales = st.floats(0.1, 10)
shifts = st.floats(-500, 500)


def a_similarity(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, x], [s, c, y]])


def test_the_template_is_symmetric_upright_and_centred() -> None:
    left, right = TEMPLATE_68x2[36], TEMPLATE_68x2[45]
    assert right[0] - left[0] == pytest.approx(64, abs=0.02)
    assert left[1] == pytest.approx(right[1], abs=0.02)
    assert (left[0] + right[0]) / 2 == pytest.approx(56, abs=0.02)
    assert TEMPLATE_68x2.mean(0) == pytest.approx([56, 56], abs=0.05)
    assert TEMPLATE_68x2.min() > 0
    assert TEMPLATE_68x2.max() < 112


@given(angles, scales, shifts, shifts, st.sampled_from([56, 112, 224]))
def test_a_moved_template_is_moved_back_exactly(angle: float, scale: float, x: float, y: float, size: int) -> None:
    moved = apply(a_similarity(angle, scale, x, y), TEMPLATE_68x2)
    assert apply(similarity(moved, size), moved) == pytest.approx(TEMPLATE_68x2 * size / 112, abs=1e-6)


def test_an_opening_mouth_does_not_move_the_face() -> None:
    opened = TEMPLATE_68x2.copy()
    opened[48:68, 1] += 15
    opened[5:12, 1] += 15
    assert similarity(opened, 112) == pytest.approx(similarity(TEMPLATE_68x2, 112), abs=1e-9)


@given(angles, scales, shifts, shifts, angles, scales, shifts, shifts)
def test_interpolation_meets_both_ends_and_keeps_a_similarity(
    a1: float, s1: float, x1: float, y1: float, a2: float, s2: float, x2: float, y2: float
) -> None:
    before, after = a_similarity(a1, s1, x1, y1), a_similarity(a2, s2, x2, y2)
    assert interpolate(before, after, 0.0, 112) == pytest.approx(before, abs=1e-6)
    assert interpolate(before, after, 1.0, 112) == pytest.approx(after, abs=1e-6)
    half = interpolate(before, after, 0.5, 112)
    assert scale_of(half) == pytest.approx(np.sqrt(s1 * s2), rel=1e-6)
    assert half[0, 0] == pytest.approx(half[1, 1])
    assert half[0, 1] == pytest.approx(-half[1, 0])


def test_interpolation_turns_the_short_way() -> None:
    half = interpolate(a_similarity(3.0, 1, 0, 0), a_similarity(-3.0, 1, 0, 0), 0.5, 112)
    assert abs(np.arctan2(half[1, 0], half[0, 0])) == pytest.approx(np.pi)


@pytest.mark.parametrize(("turn", "zoom"), [(0.35, 1.0), (1.5, 1.0), (0.0, 2.0), (0.7, 0.5)])
def test_a_face_that_turns_or_comes_closer_stays_in_the_middle(turn: float, zoom: float) -> None:
    centre, middle = np.array([300.0, 200.0]), np.array([56.0, 56.0])
    before, after = a_similarity(0.1, 0.4, 0, 0), a_similarity(0.1 + turn, 0.4 * zoom, 0, 0)
    for end in (before, after):
        end[:, 2] = middle - end[:, :2] @ centre
    for share in (0.25, 0.5, 0.75):
        assert apply(interpolate(before, after, share, 112), centre[None])[0] == pytest.approx(middle, abs=1e-9)


@pytest.mark.parametrize("scale", [1.7, 0.9, 0.45, 0.3, 0.17])
def test_a_point_of_the_frame_lands_where_the_transform_says(scale: float) -> None:
    frame = np.zeros((720, 960, 3), np.uint8)
    centre = np.array([431.3, 377.8])
    radius = 12 / scale
    y, x = np.mgrid[0:720, 0:960]
    frame[:] = (255 * np.exp(-(((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius**2)))[..., None]
    transform = a_similarity(0.2, scale, 0, 0)
    transform[:, 2] = np.array([60.0, 50.0]) - transform[:, :2] @ centre
    face = cut_out(frame, transform, 112)[..., 0].astype(float)
    ys, xs = np.mgrid[0:112, 0:112]
    found = np.array([(xs * face).sum(), (ys * face).sum()]) / face.sum()
    assert found == pytest.approx([60, 50], abs=0.1)


def test_a_large_face_is_averaged_and_not_skipped_over() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (800, 800, 3), np.uint8)
    transform = a_similarity(0, 1 / 6, 0, 0)
    averaged = cut_out(noise, transform, 112)[8:100, 8:100]
    skipped = np.asarray(cv2.warpAffine(noise, transform, (112, 112)))[8:100, 8:100]
    assert averaged.std() < 0.4 * skipped.std()


def test_outside_the_frame_the_face_is_black() -> None:
    white = np.full((60, 60, 3), 255, np.uint8)
    face = cut_out(white, a_similarity(0, 0.4, 40, 40), 112)
    assert face[:35].max() == 0
    assert face[45:60, 45:60].min() == 255
    assert cut_out(white, a_similarity(0, 0.4, 4000, 4000), 112).max() == 0
