"""From 68 points to a transform, and from a frame and a transform to an aligned face.

Axes: N frames, H, W, C; points are (68,2) as (x, y) in pixels; transforms are (2,3), frame pixels -> aligned pixels.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.align.template import TEMPLATE_68x2

Points = NDArray[np.float64]
Transform = NDArray[np.float64]

# Points that hardly move with the expression: upper jaw line, nose bridge, nostrils, eye corners.
RIGID = np.array([1, 2, 3, 4, 12, 13, 14, 15, 27, 28, 29, 31, 32, 33, 34, 35, 36, 39, 40, 41, 42, 45, 46, 47])
# The template is drawn for faces of this many pixels a side.
TEMPLATE_SIZE = 112


def similarity(points_68x2: Points, face_size: int) -> Transform:
    """Least-squares similarity (rotation, one scale, shift) that takes the rigid points onto the template.

    Only rigid points count, so an opening mouth or rising brows move within the aligned face instead of moving it.
    Source: Umeyama 1991, eq. 39-42.

    Args:
        points_68x2: iBUG-68 points, pixels of the frame.
        face_size: side of the aligned face, pixels.
    """
    source_R2 = points_68x2[RIGID]
    target_R2 = TEMPLATE_68x2[RIGID] * (face_size / TEMPLATE_SIZE)
    source_mean, target_mean = source_R2.mean(0), target_R2.mean(0)
    centred = source_R2 - source_mean
    u, singular, vt = np.linalg.svd((target_R2 - target_mean).T @ centred)
    reflection = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (singular * reflection).sum() / (centred**2).sum()
    linear = scale * (u * reflection) @ vt
    return np.column_stack([linear, target_mean - linear @ source_mean])


def apply(transform: Transform, points_N2: Points) -> Points:
    """Points (N,2) in frame pixels -> aligned pixels."""
    return points_N2 @ transform[:, :2].T + transform[:, 2]


def scale_of(transform: Transform) -> float:
    """Aligned pixels per frame pixel."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def interpolate(before: Transform, after: Transform, share: float, face_size: int) -> Transform:
    """A similarity between two: scale in its logarithm, rotation in its angle, and the place of the face's centre.

    The centre is the frame point that lands in the middle of the aligned face. Interpolating it, and not the raw
    translation, keeps a face that turns or comes closer in the middle of the picture.
    """
    log_scale = (1 - share) * np.log(scale_of(before)) + share * np.log(scale_of(after))
    angle_before = np.arctan2(before[1, 0], before[0, 0])
    turn = np.arctan2(after[1, 0], after[0, 0]) - angle_before
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    angle = angle_before + share * turn
    linear = np.exp(log_scale) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, face_size / 2)
    centres = [np.linalg.solve(end[:, :2], middle - end[:, 2]) for end in (before, after)]
    return np.column_stack([linear, middle - linear @ ((1 - share) * centres[0] + share * centres[1])])


def cut_out(rgb_HWC: NDArray[np.uint8], transform: Transform, face_size: int) -> NDArray[np.uint8]:
    """The aligned face (face_size, face_size, 3); outside the frame it is black.

    A face much larger than the output is first averaged down by a whole factor: bilinear sampling alone would skip
    pixels, and the skipped ones come and go from frame to frame as false motion.
    """
    factor = int(1 / max(scale_of(transform), 1e-6))
    if factor < 2:
        return _warp(rgb_HWC, transform, face_size)
    corners = np.array([[0, 0], [face_size, 0], [face_size, face_size], [0, face_size]], np.float64)
    inverse = cv2.invertAffineTransform(transform)
    box = apply(np.asarray(inverse, np.float64), corners)
    height, width = rgb_HWC.shape[:2]
    x0, y0 = np.clip(np.floor(box.min(0)).astype(int) - 2 * factor, 0, [width, height])
    x1, y1 = np.clip(np.ceil(box.max(0)).astype(int) + 2 * factor, 0, [width, height])
    # whole blocks only, so that averaging has the same weight everywhere
    x1, y1 = x0 + (x1 - x0) // factor * factor, y0 + (y1 - y0) // factor * factor
    if x1 <= x0 or y1 <= y0:
        return _warp(rgb_HWC, transform, face_size)
    small = cv2.resize(rgb_HWC[y0:y1, x0:x1], ((x1 - x0) // factor, (y1 - y0) // factor), interpolation=cv2.INTER_AREA)
    # pixel centres: block k of the crop has its centre at x0 + factor * k + (factor - 1) / 2
    linear = transform[:, :2] * factor
    shift = transform[:, 2] + transform[:, :2] @ (np.array([x0, y0]) + (factor - 1) / 2)
    return _warp(np.asarray(small, np.uint8), np.column_stack([linear, shift]), face_size)


def _warp(rgb_HWC: NDArray[np.uint8], transform: Transform, face_size: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpAffine(rgb_HWC, transform, (face_size, face_size), flags=cv2.INTER_LINEAR), np.uint8)
