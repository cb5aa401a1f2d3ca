"""Windows: properties that hold for every length, stride and track."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_prep.clips import Clip, clip_starts, plan_clips
from fer_prep.recipe import ClipRecipe

tails = st.sampled_from(["drop", "shift"])
positive = st.integers(1, 40)


@given(st.integers(1, 300), positive, positive, tails)
def test_clips_lie_inside_and_in_order(n_frames: int, length: int, stride: int, tail: Literal["drop", "shift"]) -> None:
    starts = clip_starts(n_frames, length=length, stride=stride, tail=tail)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    if n_frames >= length:
        assert starts[-1] + length <= n_frames
    else:
        assert starts == [0]


@given(st.integers(1, 300), positive, positive)
def test_shifted_tails_reach_the_last_frame_and_dropped_ones_are_shorter_than_a_stride(
    n_frames: int, length: int, stride: int
) -> None:
    shifted = clip_starts(n_frames, length=length, stride=stride, tail="shift")
    dropped = clip_starts(n_frames, length=length, stride=stride)
    if n_frames >= length:
        assert shifted[-1] + length == n_frames
        assert n_frames - (dropped[-1] + length) < stride
    assert shifted[: len(dropped)] == dropped


@pytest.mark.parametrize(
    ("n_frames", "length", "stride", "starts"),
    [(16, 16, 8, [0]), (23, 16, 8, [0]), (24, 16, 8, [0, 8]), (40, 16, 8, [0, 8, 16, 24]), (12, 8, 2, [0, 2, 4])],
)
def test_the_papers_geometries(n_frames: int, length: int, stride: int, starts: list[int]) -> None:
    assert clip_starts(n_frames, length=length, stride=stride) == starts


@pytest.mark.parametrize(("length", "stride"), [(0, 8), (16, 0), (-1, 1)])
def test_impossible_windows_are_refused(length: int, stride: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        clip_starts(20, length=length, stride=stride)


def test_a_short_recording_is_padded_or_dropped() -> None:
    detected = np.ones(5, bool)
    assert plan_clips(detected, ClipRecipe()).clips == (Clip(0, 5),)
    dropped = plan_clips(detected, ClipRecipe(short="drop"))
    assert dropped.clips == ()
    assert dropped.too_short


def test_clips_without_enough_faces_are_left_out_and_counted() -> None:
    detected = np.ones(32, bool)
    detected[16:21] = False
    plan = plan_clips(detected, ClipRecipe())
    # 16 by 8: 0-15 all there, 8-23 and 16-31 have 11 of 16 frames with a face
    assert plan.clips == (Clip(0, 16),)
    assert plan.n_faceless == 2
    assert len(plan_clips(detected, ClipRecipe(min_detected=11 / 16)).clips) == 3


def test_a_padded_clip_is_judged_by_the_frames_that_exist() -> None:
    assert plan_clips(np.array([True, True, True, False]), ClipRecipe()).clips == (Clip(0, 4),)
    assert plan_clips(np.array([True, True, False, False]), ClipRecipe()).clips == ()
