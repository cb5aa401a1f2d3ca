"""Where the points of the photographed face go (neutral, expression), and what that does to every pixel.

Points are in head units: origin between the pupils, x right, y down, 1 = distance between the pupils. The first 468 are
the face mesh, the rest are support points around it. An expression is a sum of Gaussian pushes at mesh points.
Legend: M points, T triangles, L points along a lip, H W pixels, K colour channels; digits are sizes.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FerPrepError, RecordingError
from fer_prep.sequence import read_picture
from fer_prep.video import ToRgb

Floats: TypeAlias = NDArray[np.floating[Any]]
Image: TypeAlias = NDArray[np.uint8]

PHOTOGRAPH = Path(__file__).parent / "astronaut.png"
FRAME_HW = (576, 720)
MARGIN = 48  # what head drift may bring into the picture
PORTRAIT_HW = (FRAME_HW[0] + 2 * MARGIN, FRAME_HW[1] + 2 * MARGIN)
FACE_HEIGHT = 262  # forehead to chin, pixels of the frame
MAP_STEP = 2  # the displacement map has one value per 2×2 pixels

UPPER_INNER_LIP = np.array([191, 80, 81, 82, 13, 312, 311, 310, 415])
LOWER_INNER_LIP = np.array([95, 88, 178, 87, 14, 317, 402, 318, 324])
UPPER_LIP = np.array([0, 37, 39, 40, 267, 269, 270, 11, 72, 73, 74, 302, 303, 304, 12, 38, 41, 42, 268, 271, 272])
LOWER_LIP = np.array([
    17, 84, 181, 91, 146, 314, 405, 321, 375, 16, 85, 180, 90, 77, 315, 404, 320, 307, 15, 86, 179, 89, 96,
    316, 403, 319, 325,
])  # fmt: skip
CHIN = 152


@dataclass(frozen=True)
class Side:
    """Mesh points of one half of the face; `sign` is -1 on the left of the picture."""

    sign: int
    brow_inner: tuple[int, int]
    brow_middle: tuple[int, int]
    brow_outer: tuple[int, int]
    eye: tuple[int, int]
    upper_lid: int
    lower_lid: int
    corner: int
    wing: int
    cheek: int


SIDES = (
    Side(-1, (55, 107), (52, 105), (46, 70), (33, 133), 159, 145, 61, 98, 205),
    Side(+1, (285, 336), (282, 334), (276, 300), (263, 362), 386, 374, 291, 327, 425),
)


class Shift:
    """Sum of local displacements of a set of points."""

    def __init__(self, points_M2: Floats) -> None:
        self.points_M2 = points_M2
        self.shift_M2 = np.zeros_like(points_M2)

    def at(self, *indices: int) -> Floats:
        """Mean of some points, (2,)."""
        return np.asarray(self.points_M2[list(indices)].mean(axis=0))

    def push(self, centre_2: Floats, width: tuple[float, float], *, x: float = 0.0, y: float = 0.0) -> None:
        """Move what lies around a centre."""
        self.shift_M2 += bump(self.points_M2, centre_2, width)[:, None] * (x, y)

    def stretch(self, centre_2: Floats, width: tuple[float, float], *, x: float = 0.0, y: float = 0.0) -> None:
        """Move what lies around a centre away from it, by a share of the distance."""
        self.shift_M2 += bump(self.points_M2, centre_2, width)[:, None] * (self.points_M2 - centre_2) * (x, y)

    def brows(self, *, inner: float = 0.0, outer: float = 0.0, together: float = 0.0) -> None:
        for side in SIDES:
            self.push(self.at(*side.brow_inner), (0.13, 0.13), x=-side.sign * together, y=-inner)
            self.push(self.at(*side.brow_middle), (0.13, 0.12), y=-(inner + outer) / 2)
            self.push(self.at(*side.brow_outer), (0.16, 0.13), y=-outer)

    def lids(self, *, upper: float = 0.0, lower: float = 0.0) -> None:
        """Raise the upper lids, raise the lower lids."""
        for side in SIDES:
            self.push(self.at(side.upper_lid), (0.16, 0.05), y=-upper)
            self.push(self.at(side.lower_lid), (0.16, 0.05), y=-lower)

    def corners(self, *, down: float = 0.0, out: float = 0.0) -> None:
        for side in SIDES:
            self.push(self.at(side.corner), (0.17, 0.13), x=side.sign * out, y=down)

    def jaw(self, drop: float) -> None:
        """Lower the chin and the lower lip; what lies under the chin gives way gradually."""
        mouth_2, chin_2 = self.at(13, 14), self.at(CHIN)
        x_M, y_M = self.points_M2.T
        weight_M = np.exp(-(((x_M - mouth_2[0]) / 0.5) ** 2) / 2) * smoothstep((chin_2[1] + 0.9 - y_M) / 0.9)
        weight_M *= smoothstep((y_M - mouth_2[1]) / 0.16)
        from_corner = np.clip(1 - (np.abs(x_M - mouth_2[0]) / (0.5 * self._mouth_width())) ** 2, 0, 1) ** 0.6
        lower = np.concatenate([LOWER_INNER_LIP, LOWER_LIP])
        weight_M[lower] = np.maximum(weight_M[lower], from_corner[lower])
        upper = np.concatenate([UPPER_INNER_LIP, UPPER_LIP])
        weight_M[upper] = -0.1 * from_corner[upper]
        self.shift_M2[:, 1] += drop * weight_M

    def _mouth_width(self) -> float:
        return float(np.linalg.norm(self.points_M2[61] - self.points_M2[291]))


def bump(points_M2: Floats, centre_2: Floats, width: tuple[float, float]) -> Floats:
    """Gaussian weight of every point around a centre, (M,)."""
    return np.asarray(np.exp(-(((points_M2 - centre_2) / width) ** 2).sum(axis=1) / 2))


def smoothstep(x: Floats) -> Floats:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def neutral_shift(points_M2: Floats) -> Floats:
    """Displacement that ends the smile of the photograph, (M,2): the mouth closes and narrows, the cheeks fall."""
    move = Shift(points_M2)
    gap_L = points_M2[LOWER_INNER_LIP, 1] - points_M2[UPPER_INNER_LIP, 1]
    move.jaw(-0.8 * float(gap_L.max()))
    move.shift_M2[UPPER_INNER_LIP, 1] = 0.16 * gap_L
    move.shift_M2[LOWER_INNER_LIP, 1] = -0.82 * gap_L
    move.push(move.at(*UPPER_LIP), (0.22, 0.06), y=0.01)
    move.corners(down=0.10, out=-0.10)
    for side in SIDES:
        move.push(move.at(side.cheek), (0.18, 0.15), y=0.04)
        move.push(move.at(side.lower_lid), (0.16, 0.06), y=0.012)
    return move.shift_M2


def expression_shift(points_M2: Floats, emotion: str, smile_M2: Floats) -> Floats:
    """Displacement from the neutral face to the apex of an emotion, (M,2).

    Args:
        points_M2: the neutral face.
        smile_M2: displacement back to the smile of the photograph, which is the base of happiness.

    Raises:
        KeyError: no such emotion.
    """
    move = Shift(points_M2)
    APEX[emotion](move)
    return move.shift_M2 + (smile_M2 if emotion == "happiness" else 0)


def _anger(move: Shift) -> None:
    move.brows(inner=-0.12, outer=0.01, together=0.08)
    move.lids(upper=-0.03, lower=0.03)
    move.corners(down=0.03, out=-0.05)
    move.push(move.at(0), (0.2, 0.05), y=0.035)
    move.push(move.at(17), (0.2, 0.06), y=-0.045)
    move.push(move.at(CHIN), (0.3, 0.2), y=-0.02)


def _disgust(move: Shift) -> None:
    move.brows(inner=-0.07, outer=-0.05, together=0.04)
    move.lids(upper=-0.045, lower=0.035)
    move.push(move.at(0), (0.18, 0.09), y=-0.10)
    move.push(move.at(1), (0.16, 0.14), y=-0.05)
    move.corners(down=0.06, out=0.02)
    move.push(move.at(17), (0.16, 0.08), y=-0.03)
    for side in SIDES:
        move.push(move.at(side.wing), (0.10, 0.10), x=0.02 * side.sign, y=-0.07)
        move.push(move.at(side.cheek), (0.14, 0.12), y=-0.06)


def _fear(move: Shift) -> None:
    move.brows(inner=0.16, outer=0.02, together=0.05)
    move.lids(upper=0.055, lower=-0.01)
    move.jaw(0.15)
    move.corners(down=0.10, out=0.12)


def _happiness(move: Shift) -> None:
    move.corners(down=-0.04, out=0.04)
    move.lids(upper=-0.015, lower=0.03)
    move.brows(inner=0.01, outer=0.02)
    for side in SIDES:
        move.push(move.at(side.cheek), (0.16, 0.14), x=0.02 * side.sign, y=-0.05)


def _sadness(move: Shift) -> None:
    move.brows(inner=0.13, outer=-0.05, together=0.05)
    move.lids(upper=-0.035, lower=0.005)
    move.corners(down=0.11, out=-0.01)
    move.push(move.at(17), (0.12, 0.07), y=-0.05)
    move.push(move.at(CHIN), (0.25, 0.15), y=-0.03)


def _surprise(move: Shift) -> None:
    move.brows(inner=0.16, outer=0.15)
    move.lids(upper=0.055, lower=-0.02)
    move.jaw(0.38)
    move.corners(down=0.13, out=-0.13)
    for side in SIDES:
        move.push(move.at(side.cheek), (0.2, 0.2), x=-0.03 * side.sign, y=0.06)


APEX = {
    "anger": _anger,
    "disgust": _disgust,
    "fear": _fear,
    "happiness": _happiness,
    "sadness": _sadness,
    "surprise": _surprise,
}


def displacement_map(to_M2: Floats, from_M2: Floats, triangles_T3: NDArray[np.int32], size: tuple[int, int]) -> Floats:
    """Piecewise linear displacement that a pixel adds to its position to find its colour.

    Args:
        to_M2: where the points are in the picture to be made, in pixels.
        from_M2: where they are in the picture that is warped, in pixels.
        triangles_T3: indices of points; a triangle that has no area in `to_M2` is not drawn.
        size: height and width of the picture.

    Returns:
        (H,W,2) x, y displacement at every `MAP_STEP`-th pixel.
    """
    corners_T32 = to_M2[triangles_T3]
    edges_T22 = corners_T32[:, 1:] - corners_T32[:, :1]
    drawn_T = np.abs(np.linalg.det(edges_T22)) > 1e-3
    corners_T32, edges_T22 = corners_T32[drawn_T], edges_T22[drawn_T]
    shift_T32 = (from_M2 - to_M2)[triangles_T3[drawn_T]]
    slope_T22 = np.linalg.solve(edges_T22, shift_T32[:, 1:] - shift_T32[:, :1])
    start_T2 = shift_T32[:, 0] - np.einsum("ti,tij->tj", corners_T32[:, 0], slope_T22)

    height, width = -(-size[0] // MAP_STEP), -(-size[1] // MAP_STEP)
    triangle_HW = np.zeros((height, width), np.int32)
    fixed_T32 = np.round(corners_T32 / MAP_STEP * 16).astype(np.int32)  # 4 fractional bits, what OpenCV's polygons take
    for number, polygon_32 in enumerate(fixed_T32, start=1):
        cv2.fillConvexPoly(triangle_HW, polygon_32, number, shift=4)

    plane_T23 = np.concatenate([slope_T22.transpose(0, 2, 1), start_T2[:, :, None]], axis=2).astype(np.float32)
    plane_T23 = np.concatenate([np.zeros((1, 2, 3), np.float32), plane_T23])  # 0: no triangle, stays where it is
    plane_HW23 = plane_T23[triangle_HW]
    x_W, y_H1 = np.arange(width, dtype=np.float32) * MAP_STEP, np.arange(height, dtype=np.float32)[:, None] * MAP_STEP
    map_HW2 = plane_HW23[..., 0] * x_W[:, None] + plane_HW23[..., 1] * y_H1[..., None] + plane_HW23[..., 2]
    return np.asarray(cv2.GaussianBlur(map_HW2, (0, 0), 0.9), np.float32)


@dataclass(frozen=True)
class Portrait:
    """The photograph, upright and enlarged, and the points on it.

    Attributes:
        points_M2: head units; the face mesh, then support points.
        origin_2: pixel between the pupils.
        unit: pixels of one head unit.
    """

    rgb_HWK: Image
    points_M2: Floats
    triangles_T3: NDArray[np.int32]
    origin_2: Floats
    unit: float

    def pixels(self, points_M2: Floats) -> Floats:
        return points_M2 * self.unit + self.origin_2

    def grid(self) -> tuple[Floats, Floats]:
        """Head units of every pixel: x (1,W), y (H,1)."""
        height, width = PORTRAIT_HW
        x_W = (np.arange(width, dtype=np.float32) - self.origin_2[0]) / self.unit
        y_H = (np.arange(height, dtype=np.float32) - self.origin_2[1]) / self.unit
        return x_W[None, :].astype(np.float32), y_H[:, None].astype(np.float32)

    def mask(self, polygons: tuple[tuple[int, ...], ...], *, blur: float) -> Floats:
        """Soft mask of polygons of mesh points, (H,W) in 0 … 1."""
        mask_HW = np.zeros(PORTRAIT_HW, np.float32)
        for polygon in polygons:
            place_M2 = np.round(self.pixels(self.points_M2[list(polygon)]) * 16).astype(np.int32)
            cv2.fillPoly(mask_HW, [place_M2], 1.0, lineType=cv2.LINE_8, shift=4)
        return np.asarray(cv2.GaussianBlur(mask_HW, (0, 0), blur), np.float32)


@lru_cache(maxsize=1)
def portrait() -> Portrait:
    """Find the face in the photograph and put it upright into a picture a little larger than a frame.

    Raises:
        FerPrepError: the photograph cannot be read, or no face is found in it.
    """
    photo_HWK, mesh_M2 = photograph()
    middle_2, across_2 = (
        mesh_M2[[33, 133, 263, 362]].mean(axis=0),
        mesh_M2[[263, 362]].mean(axis=0) - mesh_M2[[33, 133]].mean(axis=0),
    )
    scale = FACE_HEIGHT / float(np.linalg.norm(mesh_M2[152] - mesh_M2[10]))
    turn_22 = scale * np.array([across_2, (-across_2[1], across_2[0])]) / np.linalg.norm(across_2)
    origin_2 = np.array([0.5, 0.45]) * PORTRAIT_HW[::-1]
    to_portrait_23 = np.column_stack([turn_22, origin_2 - turn_22 @ middle_2])
    rgb_HWK = cv2.warpAffine(
        photo_HWK, to_portrait_23, PORTRAIT_HW[::-1], flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
    )
    crisp_HWK = np.asarray(cv2.addWeighted(rgb_HWK, 1.5, cv2.GaussianBlur(rgb_HWK, (0, 0), 2.5), -0.5, 0), np.uint8)
    unit = scale * float(np.linalg.norm(across_2))
    face_M2 = mesh_M2 @ to_portrait_23[:, :2].T + to_portrait_23[:, 2]
    points_M2 = np.vstack([face_M2, _support_points(face_M2)])
    return Portrait(crisp_HWK, (points_M2 - origin_2) / unit, _triangles(points_M2), origin_2, unit)


def photograph() -> tuple[Image, Floats]:
    """The photograph and the 468 mesh points of its face, in pixels."""
    from fer_prep.align.mesh import MeshFinder

    try:
        photo_HWK = read_picture(PHOTOGRAPH, ToRgb())
    except RecordingError as error:
        raise FerPrepError(f"the photograph of the sample corpus {error}; install fer-convlstm again") from error
    face = MeshFinder().find(photo_HWK)
    if face is None or face.mesh_468x3 is None:
        raise FerPrepError(f"no face was found in {PHOTOGRAPH}, which is not as shipped; install fer-convlstm again")
    return photo_HWK, np.asarray(face.mesh_468x3[:, :2], np.float64)


def _support_points(face_M2: Floats) -> Floats:
    """A coarse grid around the face that carries hair, neck and background along, up to the border, which stays."""
    height, width = PORTRAIT_HW
    grid_M2 = np.array([(x, y) for y in np.linspace(0, height - 1, 15) for x in np.linspace(0, width - 1, 18)])
    middle_2 = face_M2.mean(axis=0)
    hull_M2 = cv2.convexHull((middle_2 + 1.06 * (face_M2 - middle_2)).astype(np.float32))
    outside = [cv2.pointPolygonTest(hull_M2, (float(x), float(y)), measureDist=False) < 0 for x, y in grid_M2]
    return grid_M2[outside]


def _triangles(points_M2: Floats) -> NDArray[np.int32]:
    from matplotlib.tri import Triangulation

    return np.asarray(Triangulation(points_M2[:, 0], points_M2[:, 1]).triangles, np.int32)
