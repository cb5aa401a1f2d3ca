"""Makes fer_prep/align/template.py: the mean 68-point shape of frontal, neutral faces.

Generalised Procrustes analysis (Gower 1975) of the mesh points of every photograph and of its mirror image, so the
shape is symmetric; then upright, outer eye corners 64 px apart in a face of 112 px, centroid in the middle.

    python tools/make_template.py PHOTOGRAPHS_DIR > fer_prep/align/template.py
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.align.mesh import MeshFinder

FACE_SIZE, EYE_CORNERS_PX = 112, 64.0
# point i of the mirrored face is point MIRROR[i] of the face
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)
Shape = NDArray[np.float64]


def shapes_of(folder: Path) -> list[Shape]:
    """68 points of the face in each photograph whose name says neutral."""
    finder, shapes = MeshFinder(), []
    for path in sorted(folder.glob("*neutral*.jpg")):
        finder.reset()
        bgr = cv2.imread(str(path))
        assert bgr is not None
        face = finder.find(np.ascontiguousarray(bgr[:, :, ::-1]).astype(np.uint8))
        if face:
            shapes.append(face.points_68x2)
    return shapes


def fitted(shape: Shape, target: Shape) -> Shape:
    """The shape, moved onto the (centred) target by the best similarity."""
    centred = shape - shape.mean(0)
    u, singular, vt = np.linalg.svd(target.T @ centred)
    return np.asarray(centred @ (u @ vt).T * singular.sum() / (centred**2).sum(), np.float64)


def mean_shape(shapes: list[Shape]) -> Shape:
    """Symmetric Procrustes mean, upright, scaled to the template's size."""
    width = max(float(shape[:, 0].max()) for shape in shapes)
    everyone = shapes + [np.column_stack([width - shape[MIRROR, 0], shape[MIRROR, 1]]) for shape in shapes]
    mean = everyone[0] - everyone[0].mean(0)
    for _ in range(20):
        mean = np.mean([fitted(shape, mean) for shape in everyone], axis=0)
    # the first photograph's tilt is still in it: the average with its own mirror image stands upright
    mean = (mean + np.column_stack([-mean[MIRROR, 0], mean[MIRROR, 1]])) / 2
    return np.asarray(mean * EYE_CORNERS_PX / np.linalg.norm(mean[45] - mean[36]) + FACE_SIZE / 2, np.float64)


def main() -> None:
    shapes = shapes_of(Path(sys.argv[1]))
    template = mean_shape(shapes)
    print('"""The 68-point template that faces are aligned to; made by tools/make_template.py, not by hand.')
    print()
    print(f"Mean shape of {len(shapes)} frontal, neutral photographs")
    print("(Face Research Lab London Set, CC BY 4.0, see NOTICE),")
    print('outer eye corners 64 px apart in a face of 112 px.\n"""\n')
    print("import numpy as np\n")
    print("TEMPLATE_68x2 = np.array(\n    [")
    for x, y in template.round(2):
        print(f"        [{x:.2f}, {y:.2f}],")
    print("    ]\n)")


if __name__ == "__main__":
    main()
