"""The embedded aligner's eyes: two MediaPipe face detectors and the 468-point face mesh, run by OpenCV.

A frame becomes the 468 points of one face: the face followed from the frame before, else the largest face found.
Models: MediaPipe (Apache-2.0), see models/NOTICE. Decoding of their outputs: MediaPipe's BlazeFace anchors.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Floats = NDArray[np.float64]

MODELS = Path(str(files("fer_prep"))) / "align" / "models"

# iBUG-68 points out of the 468 of the mesh: jaw, brows, nose, eyes, outer lips, inner lips.
MESH_TO_68 = np.array(
    [127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356]
    + [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
    + [168, 197, 5, 4, 75, 97, 2, 326, 305]
    + [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
    + [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87]
)
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
MESH_SIDE = 192
# two threads that read their first models at once find OpenCV's list of operators half filled
_one_reads = Lock()


@dataclass(frozen=True)
class Face:
    """One face in one frame.

    Attributes:
        mesh_468x3: x, y, z in pixels of the frame.
        confidence: the mesh model's belief that there is a face, 0…1.
    """

    mesh_468x3: Floats
    confidence: float

    @property
    def points_68x2(self) -> Floats:
        """iBUG-68 points, pixels of the frame."""
        return self.mesh_468x3[MESH_TO_68, :2]


@dataclass(frozen=True)
class _Region:
    """A turned square of the frame: centre and side in pixels, angle in radians."""

    centre: Floats
    side: float
    angle: float

    @classmethod
    def around(cls, points_N2: Floats, right_eye: Floats, left_eye: Floats) -> "_Region":
        low, high = points_N2.min(0), points_N2.max(0)
        dx, dy = left_eye - right_eye
        return cls((low + high) / 2, 1.5 * float((high - low).max()), float(np.arctan2(dy, dx)))

    @classmethod
    def of_face(cls, face: Face) -> "_Region":
        points = face.mesh_468x3[:, :2]
        return cls.around(points, points[RIGHT_EYE_OUTER], points[LEFT_EYE_OUTER])

    def to_frame(self) -> Floats:
        """Affine map (2,3) from the mesh model's crop to the frame."""
        k = self.side / MESH_SIDE
        turn = k * np.array([[np.cos(self.angle), -np.sin(self.angle)], [np.sin(self.angle), np.cos(self.angle)]])
        return np.column_stack([turn, self.centre - turn @ np.full(2, MESH_SIDE / 2)])


class MeshFinder:
    """Finds and follows one face. One object per recording, or `reset()` between recordings."""

    def __init__(self, *, min_presence: float = 0.5) -> None:
        # full range first: it sees small faces and misses close-ups; the short-range detector is the reverse
        self._detectors = (
            _Detector("face_detection_full_range.tflite", side=192, cells=((48, 1),), min_score=0.6,
                      outputs=("reshaped_regressor_face_4", "reshaped_classifier_face_4")),
            _Detector("face_detection_short_range.tflite", side=128, cells=((16, 2), (8, 6)), min_score=0.5,
                      outputs=("regressors", "classificators")),
        )  # fmt: skip
        self._mesh = _Mesh("face_landmark.tflite")
        self._min_presence = min_presence
        self._region: _Region | None = None
        self._n_in_vain = 0

    def reset(self) -> None:
        """Forget the face: the next frame belongs to another recording."""
        self._region, self._n_in_vain = None, 0

    def find(self, rgb_HWC: Frame) -> Face | None:
        """The face in this frame; None if there is none to be believed.

        The face of the frame before is followed as long as it is there; otherwise the largest face is taken.
        """
        face = self._look(rgb_HWC, self._region) if self._region else None
        face = face or self._search(rgb_HWC)
        self._region = _Region.of_face(face) if face else None
        self._n_in_vain = 0 if face else self._n_in_vain + 1
        return face

    def _search(self, rgb_HWC: Frame) -> Face | None:
        """Tight crops are found once there is room around them, so the detectors see the frame at half its size too.

        Where the frame before was searched in vain, the two sizes take turns: frames without a face cost several times
        what others do.
        """
        sizes = (1.0, 0.5) if self._n_in_vain == 0 else (1.0,) if self._n_in_vain % 2 else (0.5,)
        return next((face for share in sizes if (face := self._detect(rgb_HWC, share=share))), None)

    def _detect(self, rgb_HWC: Frame, *, share: float) -> Face | None:
        for detector in self._detectors:
            for points_8x2 in detector(rgb_HWC, share):
                corners, right_eye, left_eye = points_8x2[:2], points_8x2[2], points_8x2[3]
                face = self._look(rgb_HWC, _Region.around(corners, right_eye, left_eye))
                # a second look, from where the mesh itself lies: the result no longer hangs on the coarse box
                face = self._look(rgb_HWC, _Region.of_face(face)) if face else None
                if face:
                    return face
        return None

    def _look(self, rgb_HWC: Frame, region: _Region) -> Face | None:
        face = self._mesh(rgb_HWC, region)
        return face if face.confidence >= self._min_presence else None


class _Detector:
    """BlazeFace: frame -> (8,2) points (two box corners, two eyes, nose, mouth, two ears) per face, largest first.

    It sees the frame in a black square of `side` pixels, filling `share` of it.
    """

    def __init__(
        self, model: str, *, side: int, cells: tuple[tuple[int, int], ...], min_score: float, outputs: tuple[str, str]
    ) -> None:
        self._net = _read_net(model)
        self._side, self._min_score, self._outputs = side, min_score, outputs
        self._anchors_A2 = np.concatenate([_anchors(n_cells, per_cell) for n_cells, per_cell in cells])

    def __call__(self, rgb_HWC: Frame, share: float) -> list[Floats]:
        height, width = rgb_HWC.shape[:2]
        scale = share * self._side / max(height, width)
        inner_w, inner_h = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (self._side - inner_w) // 2, (self._side - inner_h) // 2
        canvas = np.zeros((self._side, self._side, 3), np.uint8)
        shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[top : top + inner_h, left : left + inner_w] = cv2.resize(
            rgb_HWC, (inner_w, inner_h), interpolation=shrink
        )
        self._net.setInput(cv2.dnn.blobFromImage(canvas, 1 / 127.5, (self._side, self._side), (127.5,) * 3))
        regressed, logits = self._net.forward(self._outputs)
        faces = self._decode(np.asarray(regressed, np.float64), np.asarray(logits, np.float64))
        to_frame = np.array([width / inner_w, height / inner_h])
        return [(points_8x2 - (left, top)) * to_frame for points_8x2 in faces]

    def _decode(self, regressed: Floats, logits: Floats) -> list[Floats]:
        scores_A = _sigmoid(logits.reshape(-1))
        believed = np.flatnonzero(scores_A >= self._min_score)
        boxes_K8x2 = regressed.reshape(-1, 8, 2)[believed]
        anchors_K2 = self._anchors_A2[believed] * self._side
        centre, half_size = boxes_K8x2[:, 0] + anchors_K2, boxes_K8x2[:, 1] / 2
        points_K8x2 = boxes_K8x2 + anchors_K2[:, None]
        points_K8x2[:, 0], points_K8x2[:, 1] = centre - half_size, centre + half_size
        merged = _merge_overlapping(points_K8x2, scores_A[believed])
        return sorted(merged, key=lambda p: -float(np.prod(p[1] - p[0])))


class _Mesh:
    """The face mesh: frame and region -> 468 points with a confidence."""

    def __init__(self, model: str) -> None:
        self._net = _read_net(model)
        self._outputs = self._net.getUnconnectedOutLayersNames()

    def __call__(self, rgb_HWC: Frame, region: _Region) -> Face:
        to_frame = region.to_frame()
        crop = cv2.warpAffine(
            rgb_HWC, to_frame, (MESH_SIDE, MESH_SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        self._net.setInput(cv2.dnn.blobFromImage(crop, 1 / 255.0))
        outputs = [np.asarray(output, np.float64).reshape(-1) for output in self._net.forward(self._outputs)]
        # told apart by size (1404 values and one), for their order differs between OpenCV versions
        landmarks, presence = sorted(outputs, key=len, reverse=True)
        mesh = landmarks.reshape(468, 3)
        xy = mesh[:, :2] @ to_frame[:, :2].T + to_frame[:, 2]
        z = mesh[:, 2:] * (region.side / MESH_SIDE)
        return Face(np.concatenate([xy, z], axis=1), float(_sigmoid(presence)[0]))


def _read_net(model: str) -> cv2.dnn.Net:
    # the new engine of OpenCV 5 returns only one output of a multi-output TFLite model; pyproject pins OpenCV below 5
    with _one_reads:
        return cv2.dnn.readNetFromTFLite(str(MODELS / model))


def _anchors(n_cells: int, per_cell: int) -> Floats:
    y, x = np.mgrid[0:n_cells, 0:n_cells]
    centres = np.stack([(x.ravel() + 0.5) / n_cells, (y.ravel() + 0.5) / n_cells], axis=1)
    return np.asarray(np.repeat(centres, per_cell, axis=0), np.float64)


def _merge_overlapping(points_K8x2: Floats, scores_K: Floats, min_iou: float = 0.3) -> list[Floats]:
    """Weighted non-maximum suppression, as MediaPipe does: boxes of one face are averaged by score."""
    order = np.argsort(-scores_K, kind="stable")
    points_K8x2, scores_K = points_K8x2[order], scores_K[order]
    merged: list[Floats] = []
    while len(points_K8x2):
        same = _iou(points_K8x2[0], points_K8x2) > min_iou
        same[0] = True
        merged.append(np.average(points_K8x2[same], axis=0, weights=scores_K[same]))
        points_K8x2, scores_K = points_K8x2[~same], scores_K[~same]
    return merged


def _iou(box_8x2: Floats, boxes_K8x2: Floats) -> Floats:
    overlap = np.minimum(box_8x2[1], boxes_K8x2[:, 1]) - np.maximum(box_8x2[0], boxes_K8x2[:, 0])
    intersection = np.clip(overlap, 0, None).prod(1)
    area = np.prod(box_8x2[1] - box_8x2[0])
    areas_K = np.prod(boxes_K8x2[:, 1] - boxes_K8x2[:, 0], axis=1)
    return np.asarray(intersection / (area + areas_K - intersection + 1e-9), np.float64)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -80, 80))), np.float64)
