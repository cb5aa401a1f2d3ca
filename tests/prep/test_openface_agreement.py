"""The embedded aligner beside recorded output of OpenFace 2.0.6. All clips: benchmarks/openface_agreement.py."""

import csv
from pathlib import Path

import numpy as np
import pytest

from fer_prep.align.mesh import MeshFinder
from fer_prep.align.track import make_track
from fer_prep.recipe import AlignRecipe
from fer_prep.video import open_video

INNER = slice(17, 68)  # without the jaw line, by which the two mean different things


@pytest.fixture
def golden(shared_data: Path) -> Path:
    """Recorded output of OpenFace, a directory per clip."""
    golden = shared_data.parent / "openface" / "golden"
    if not golden.is_dir():
        pytest.skip(f"recorded output of OpenFace is not at {golden}")
    return golden


def openface_points(csv_file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Success (N,) and points (N,68,2) in pixels of the frame."""
    with csv_file.open(newline="") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    points = [[(float(row[f"x_{k}"]), float(row[f"y_{k}"])) for k in range(68)] for row in rows]
    return np.array([row["success"] == "1" for row in rows]), np.array(points)


@pytest.mark.parametrize("name", ["grid/bbaf2n.mpg", "pyfeat/single_face.mp4"])
def test_every_face_of_openface_is_found_and_its_inner_points_lie_within_a_twentieth_of_the_eye_distance(
    shared_data: Path, golden: Path, name: str
) -> None:
    clip = Path(name).stem
    success_N, theirs_N68x2 = openface_points(golden / clip / f"{clip}.csv")
    with open_video(shared_data / "real" / name) as video:
        track = make_track(video.frames(), AlignRecipe(backend="mesh"), MeshFinder())
    assert success_N.all()
    assert track.detected_N.tolist() == success_N.tolist()
    to_frame_N2x2 = np.linalg.inv(track.transform_N2x3[:, :, :2].astype(float))
    aligned_N68x2 = track.landmarks_N68x2 - track.transform_N2x3[:, None, :, 2]
    ours_N68x2 = np.einsum("nij,npj->npi", to_frame_N2x2, aligned_N68x2)
    eyes_N = np.linalg.norm(theirs_N68x2[:, 36:42].mean(1) - theirs_N68x2[:, 42:48].mean(1), axis=1)
    distance_N51 = np.linalg.norm(ours_N68x2 - theirs_N68x2, axis=2)[:, INNER] / eyes_N[:, None]
    # measured: 0.034 and 0.038; the worst frame 0.047 and 0.051
    assert distance_N51.mean() < 0.05
    assert distance_N51.mean(1).max() < 0.07
