"""Optical flow as colours: the direction is the hue, the speed the saturation.

The wheel is that of Baker et al., "A Database and Evaluation Methodology for Optical Flow", ICCV 2007: hues are spaced
by how well the eye tells them apart. To the right is red, down yellow, left a bluish cyan, up violet.
"""

import numpy as np
from numpy.typing import NDArray

# Where on a circle of 55 steps each pure colour stands; the last is the first again.
STEPS = (0, 15, 21, 25, 36, 49, 55)
PURE = np.array(
    [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0)],
    np.float32,
)  # red, yellow, green, cyan, blue, magenta
BEYOND = 0.75  # brightness of what is faster than the scale


def flow_colours(flow_px: NDArray[np.floating], *, full_px: float) -> NDArray[np.uint8]:
    """Colours of displacements: no motion is white, `full_px` the pure hue, and what is faster is darkened.

    Args:
        flow_px: (..., 2), dx to the right and dy downwards, pixels.

    Returns:
        (..., 3) uint8 RGB.
    """
    dx, dy = flow_px[..., 0], flow_px[..., 1]
    speed = np.hypot(dx, dy)[..., None] / full_px
    step = np.arctan2(dy, dx) / (2 * np.pi) % 1.0 * STEPS[-1]
    hue = np.stack([np.interp(step, STEPS, PURE[:, channel]) for channel in range(3)], axis=-1)
    colour = np.where(speed <= 1, 1 - speed * (1 - hue), BEYOND * hue)
    return np.asarray(np.rint(255 * colour), np.uint8)


def wheel(side: int) -> NDArray[np.uint8]:
    """The legend: a disc (side,side,3) whose point at the rim is the colour of the full speed into that direction."""
    axis = np.linspace(-1, 1, side)
    field_HW2 = np.stack(np.meshgrid(axis, axis), axis=-1)
    rgb_HWC = flow_colours(field_HW2, full_px=1.0)
    rgb_HWC[np.hypot(field_HW2[..., 0], field_HW2[..., 1]) > 1] = 255
    return rgb_HWC


def round_scale(px: float) -> float:
    """A full speed that can be said in words: the next of … 0.7, 1, 1.5, 2, 3, 5, 7, 10 … pixels, at least 0.1."""
    decade = 10.0 ** np.floor(np.log10(max(px, 0.1)))
    steps = (round(factor * decade, 6) for factor in (1, 1.5, 2, 3, 5, 7, 10))
    return float(next(step for step in steps if step >= px * (1 - 1e-9)))
