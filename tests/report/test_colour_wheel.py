"""The colours of the flow: known directions, white for rest, no seam."""

import colorsys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_prep.colour_wheel import STEPS, flow_colours, round_scale, wheel


def towards(degrees: float, speed_px: float = 1.0) -> NDArray[np.float64]:
    """Flow into a direction, clockwise from the right as seen on the screen."""
    return speed_px * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


@pytest.mark.parametrize(
    ("step", "colour"),
    [(0, "ff0000"), (15, "ffff00"), (21, "00ff00"), (25, "00ffff"), (36, "0000ff"), (49, "ff00ff")],
)
def test_the_pure_colours_stand_where_the_wheel_of_2007_has_them(step: int, colour: str) -> None:
    found = flow_colours(towards(360 * step / STEPS[-1]), full_px=1.0 + 1e-9)
    assert np.abs(found.astype(int) - list(bytes.fromhex(colour))).max() <= 1


@pytest.mark.parametrize(("degrees", "hue"), [(0, 0), (90, 55), (180, 194), (270, 264)])
def test_right_is_red_down_yellow_left_cyan_and_up_violet(degrees: float, hue: float) -> None:
    rgb = flow_colours(towards(degrees), full_px=1.0 + 1e-9) / 255
    assert abs(360 * colorsys.rgb_to_hsv(*rgb)[0] - hue) < 2


def test_rest_is_white_and_speed_takes_white_away() -> None:
    assert flow_colours(np.zeros((2, 3, 2)), full_px=1.0).tolist() == np.full((2, 3, 3), 255).tolist()
    for degrees in range(0, 360, 15):
        whiteness = [int(flow_colours(towards(degrees, speed), full_px=2.0).min()) for speed in (0, 0.5, 1, 1.5, 2)]
        assert whiteness == sorted(whiteness, reverse=True)
        assert whiteness[-1] <= 1


def test_what_is_faster_than_the_scale_is_darker_and_of_the_same_hue() -> None:
    full, beyond = (flow_colours(towards(33, speed), full_px=1.0).astype(int) for speed in (0.999, 8.0))
    assert np.abs(beyond - 0.75 * full).max() <= 2


def test_the_circle_has_no_seam() -> None:
    around = flow_colours(np.stack([towards(degrees) for degrees in np.arange(0, 361, 0.5)]), full_px=1.0 + 1e-9)
    assert np.abs(np.diff(around.astype(int), axis=0)).max() <= 10
    assert np.abs(around[0].astype(int) - around[-1]).max() <= 1


def test_the_legend_shows_the_colours_of_its_directions() -> None:
    legend = wheel(101)
    assert legend[50, 50].tolist() == [255, 255, 255]
    assert legend[0, 0].tolist() == [255, 255, 255]
    for degrees in range(0, 360, 30):
        x, y = np.rint(50 + 40 * towards(degrees)).astype(int)
        expected = flow_colours(np.array([x - 50, y - 50]), full_px=50.0)
        assert legend[y, x].tolist() == expected.tolist()


def test_the_flow_of_a_picture_moved_down_is_yellow() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), (0, 0), 2)
    flow = cv2.calcOpticalFlowFarneback(noise, np.roll(noise, 2, axis=0), None, 0.5, 3, 15, 3, 5, 1.2, 0)  # type: ignore[call-overload]
    red, green, blue = np.median(flow_colours(flow[16:48, 16:48], full_px=2.5).reshape(-1, 3), axis=0)
    assert min(red, green) > blue + 100


@pytest.mark.parametrize(
    ("px", "scale"), [(0, 0.1), (0.1, 0.1), (0.11, 0.15), (0.8, 1), (1, 1), (1.2, 1.5), (7.1, 10), (128, 150)]
)
def test_the_scale_is_a_round_number_not_below_the_speed(px: float, scale: float) -> None:
    assert round_scale(px) == pytest.approx(scale)
