"""LBP-TOP: how often each local pattern occurs in a clip, in space and along time.

G. Zhao, M. Pietikäinen, *Dynamic texture recognition using local binary patterns with an application to facial
expressions*, IEEE TPAMI 29, 2007. Axes: B clips, T time, C channels, H rows, W columns, F features.
"""

import math

import torch
from torch import Tensor

from fer_model.inputs import RGB_MEAN, RGB_STD

N_NEIGHBOURS, N_LABELS, N_PLANES = 8, 59, 3
GREY_WEIGHTS = (299, 587, 114)
"""ITU-R BT.601, in thousandths."""


def n_features(blocks: int) -> int:
    """Length of the feature vector of a clip."""
    return N_PLANES * blocks**2 * N_LABELS


def lbp_top(rgb_BTCHW: Tensor, *, radius_px: int, radius_frames: int, blocks: int) -> Tensor:
    """Histograms (B, F) of uniform patterns, float32; each of a plane and block adds up to 1.

    A pixel is compared with eight others around it, on a circle (ellipse) in each of the planes XY, XT and YT; their
    places are rounded to whole pixels and frames. F runs over planes, block rows, block columns and 59 labels.

    Args:
        rgb_BTCHW: faces as `fer_model.inputs.network_inputs` makes them.
        radius_px: in X and Y.
        radius_frames: in T. Pixels nearer than a radius to an edge of the clip are not counted.
        blocks: the face is cut into blocks×blocks parts.

    Raises:
        ValueError: the clip is too short, or the face too small.
    """
    grey_BTHW = grey_levels(rgb_BTCHW)
    n_clips, length, height, width = grey_BTHW.shape
    if length <= 2 * radius_frames or min(height, width) < 2 * radius_px + blocks:
        raise ValueError(
            f"clips of {length} frames of {height}x{width} pixels are too small for these radii and blocks"
        )
    rows = torch.arange(height - 2 * radius_px, device=grey_BTHW.device) * blocks // (height - 2 * radius_px)
    columns = torch.arange(width - 2 * radius_px, device=grey_BTHW.device) * blocks // (width - 2 * radius_px)
    block_HW = rows[:, None] * blocks + columns
    clip_B111 = torch.arange(n_clips, device=grey_BTHW.device).view(-1, 1, 1, 1)
    labels = torch.tensor(uniform_labels(), device=grey_BTHW.device)
    histograms = []
    for plane in ("xy", "xt", "yt"):
        codes_BTHW = codes(grey_BTHW, plane=plane, radius_px=radius_px, radius_frames=radius_frames)
        places = (clip_B111 * blocks**2 + block_HW) * N_LABELS + labels[codes_BTHW]
        counts = torch.bincount(places.flatten(), minlength=n_clips * blocks**2 * N_LABELS)
        counts = counts.view(n_clips, blocks**2, N_LABELS).float()
        histograms.append(counts / counts.sum(2, keepdim=True))
    return torch.stack(histograms, 1).flatten(1)


def grey_levels(rgb_BTCHW: Tensor) -> Tensor:
    """Grey levels (B, T, H, W) in whole numbers, so that equal pixels are equal on every device."""
    stored = (rgb_BTCHW * RGB_STD + RGB_MEAN).mul(255).round().to(torch.int32)
    red, green, blue = stored.unbind(2)
    return red * GREY_WEIGHTS[0] + green * GREY_WEIGHTS[1] + blue * GREY_WEIGHTS[2]


def codes(grey_BTHW: Tensor, *, plane: str, radius_px: int, radius_frames: int) -> Tensor:
    """Patterns 0 to 255 of all pixels that are far enough from the edges: bit p is set if neighbour p is not darker."""
    _, length, height, width = grey_BTHW.shape
    inner = (length - 2 * radius_frames, height - 2 * radius_px, width - 2 * radius_px)

    def shifted(dt: int, dy: int, dx: int) -> Tensor:
        t, y, x = radius_frames + dt, radius_px + dy, radius_px + dx
        return grey_BTHW[:, t : t + inner[0], y : y + inner[1], x : x + inner[2]]

    centre = shifted(0, 0, 0)
    code = torch.zeros_like(centre, dtype=torch.int64)
    for p, place in enumerate(neighbours(plane, radius_px=radius_px, radius_frames=radius_frames)):
        code |= (shifted(*place) >= centre).long() << p
    return code


def neighbours(plane: str, *, radius_px: int, radius_frames: int) -> list[tuple[int, int, int]]:
    """Places (dt, dy, dx) of the eight neighbours in the plane xy, xt or yt, counter-clockwise from the first axis."""
    places = []
    for p in range(N_NEIGHBOURS):
        angle = 2 * math.pi * p / N_NEIGHBOURS
        first = round(radius_px * math.cos(angle))
        second = math.sin(angle)
        if plane == "xy":
            places.append((0, -round(radius_px * second), first))
        elif plane == "xt":
            places.append((round(radius_frames * second), 0, first))
        else:
            places.append((round(radius_frames * second), first, 0))
    return places


def uniform_labels() -> list[int]:
    """A label for each of the 256 patterns: 0 to 57 if its circle of bits changes at most twice, else 58."""
    labels, n_uniform = [], 0
    for code in range(2**N_NEIGHBOURS):
        bits = [code >> p & 1 for p in range(N_NEIGHBOURS)]
        if sum(bits[p] != bits[p - 1] for p in range(N_NEIGHBOURS)) <= 2:
            labels.append(n_uniform)
            n_uniform += 1
        else:
            labels.append(N_LABELS - 1)
    return labels
