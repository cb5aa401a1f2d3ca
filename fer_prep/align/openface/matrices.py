"""From OpenFace's landmarks to the transform that it aligned each face by: it writes the images, but not the matrices.

Source: the alignment of OpenFace 2.x, in words: rotation and scale from 24 rigid points onto its reference shape, the
centroid of all 68 points to the middle of the image. The reference shape is read from the user's OpenFace, if it is
there; none of its numbers is here. Legend: N frames, 68 points, 24 rigid points.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import FerPrepError

RIGID = np.array([1, 2, 3, 4, 12, 13, 14, 15, 27, 28, 29, 31, 32, 33, 34, 35, 36, 39, 40, 41, 42, 45, 46, 47])
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
PIXELS_PER_MM = 0.7 / 112  # for each pixel of the image's side
# Without the reference: the root mean square distance of the aligned rigid points from their middle, measured on
# OpenFace's own images, for each pixel of the side.
RIGID_RADIUS = 35.642 / 112


def read_reference(path: Path) -> NDArray[np.float64]:
    """The reference shape (68,2), mm, of an OpenFace model file of point distributions: 68 x, 68 y, 68 z.

    Raises:
        FerPrepError: the file is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        words = " ".join(line for line in lines if not line.lstrip().startswith("#")).split()
        rows, columns = int(words[0]), int(words[1])
        values = np.array([float(word) for word in words[3 : 3 + rows * columns]])
    except (OSError, ValueError, IndexError) as error:
        raise FerPrepError(
            f"{path} is no shape model of OpenFace ({error}); install OpenFace's models again"
        ) from error
    if rows * columns != 3 * 68 or len(values) != 3 * 68:
        raise FerPrepError(
            f"{path} holds {rows}×{columns} numbers; 204×1 were expected: install OpenFace's models again"
        )
    return values.reshape(3, 68)[:2].T


def alignment_matrices(
    points_N68x2: NDArray[np.float64], face_size: int, reference_68x2: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Frame pixels -> aligned pixels, (N,2,3).

    Args:
        reference_68x2: mm. Without it the eyes are taken to lie level, and the scale is that of OpenFace's images:
            up to some pixels off at the rim of the face.
    """
    rigid_N24x2 = points_N68x2[:, RIGID] - points_N68x2[:, RIGID].mean(axis=1, keepdims=True)
    radius_N = np.sqrt((rigid_N24x2**2).sum(axis=2).mean(axis=1))
    if reference_68x2 is None:
        across_N2 = points_N68x2[:, RIGHT_EYE].mean(axis=1) - points_N68x2[:, LEFT_EYE].mean(axis=1)
        cos_N, sin_N = (across_N2 / np.linalg.norm(across_N2, axis=1, keepdims=True)).T
        turn_N22 = np.stack([np.stack([cos_N, sin_N], -1), np.stack([-sin_N, cos_N], -1)], axis=1)
        scale_N = RIGID_RADIUS * face_size / radius_N
    else:
        target_24x2 = reference_68x2[RIGID] - reference_68x2[RIGID].mean(axis=0)
        target_24x2 = target_24x2 * PIXELS_PER_MM * face_size
        u_N22, _, vt_N22 = np.linalg.svd(rigid_N24x2.transpose(0, 2, 1) @ target_24x2)
        # a face is never mirrored
        u_N22[:, :, 1] *= np.sign(np.linalg.det(u_N22 @ vt_N22))[:, None]
        turn_N22 = (u_N22 @ vt_N22).transpose(0, 2, 1)
        scale_N = np.sqrt((target_24x2**2).sum(axis=1).mean()) / radius_N
    turn_N22 = turn_N22 * scale_N[:, None, None]
    middle_N2 = points_N68x2.mean(axis=1)
    shift_N2 = face_size // 2 - np.einsum("nij,nj->ni", turn_N22, middle_N2)
    return np.concatenate([turn_N22, shift_N2[:, :, None]], axis=2)
