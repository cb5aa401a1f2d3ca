"""Tracks out of what a real OpenFace wrote: its pixels and detections, less what is no face."""

import csv
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from standin_install import install

from fer_prep.align.mesh import MeshFinder
from fer_prep.align.openface.batch import Made, Wanted, align_batch
from fer_prep.align.openface.matrices import PIXELS_PER_MM, RIGID, alignment_matrices, read_reference
from fer_prep.align.openface.output import read_output
from fer_prep.align.openface.program import with_model
from fer_prep.align.openface.track import openface_track
from fer_prep.align.track import FaceTrack
from fer_prep.decode import open_recording
from fer_prep.errors import FerPrepError, RecordingError
from fer_prep.recipe import AlignRecipe

RECIPE = AlignRecipe(backend="openface")
CLIPS = (
    "bbaf2n", "lbax4n", "single_face", "face_noface", "no_face", "enterface_like_720x576_divx", "truncated_45pct",
    "two_faces", "very_dark", "really_sideways_no_tag", "one_frame", "vfr_dropped_frames", "space_unicode",
    "ck_sequence",
)  # fmt: skip
# found by OpenFace, and no faces or wrong fits: frames from 1
NO_FACES = {
    "face_noface": (6, "158-159, 162-165"),
    "really_sideways_no_tag": (56, "13-14, 21, 23-75"),
}


@pytest.fixture(scope="module")
def finder() -> MeshFinder:
    return MeshFinder()


def clip_of(golden: Path, name: str) -> dict[str, Any]:
    clips: list[dict[str, Any]] = json.loads((golden / "clips.json").read_text())
    return next(clip for clip in clips if clip["clip"] == name)


def frames_of(path: Path) -> Iterator[NDArray[np.uint8]]:
    with open_recording(path) as video, suppress(RecordingError):  # the truncated one
        yield from video.frames()


def track_of(golden: Path, name: str, finder: MeshFinder) -> tuple[FaceTrack, str, list[dict[str, str]]]:
    """The track of a golden clip, its remark, and OpenFace's rows."""
    clip = clip_of(golden, name)
    source = (golden / clip["input"]).resolve()
    output = read_output(golden / name, clip["stem"], source, n_frames=clip["csv_rows"], face_size=112)
    track, remark = openface_track(output, frames_of(source), RECIPE, finder, None)
    with (golden / name / f"{clip['stem']}.csv").open(newline="") as file:
        return track, remark, list(csv.DictReader(file, skipinitialspace=True))


@pytest.mark.parametrize("name", CLIPS)
def test_detections_and_pixels_are_openfaces_own_less_what_is_no_face(
    golden: Path, shared_data: Path, finder: MeshFinder, name: str
) -> None:
    track, remark, rows = track_of(golden, name, finder)
    n_wrong, where = NO_FACES.get(name, (0, ""))
    found = np.array([row["success"] == "1" for row in rows])
    assert track.n_frames == len(rows)
    assert track.n_detected == found.sum() - n_wrong
    assert not (track.detected_N & ~found).any()
    assert remark == (f"implausible faces of OpenFace not used: {n_wrong} frames ({where})" if n_wrong else "")
    stem = clip_of(golden, name)["stem"]
    for k in np.flatnonzero(track.detected_N):
        image = cv2.imread(str(golden / name / f"{stem}_aligned" / f"frame_det_00_{k + 1:06}.png"))
        if image is not None:  # the last ones of a long clip are not kept
            assert np.array_equal(track.rgb_NHWC[k], image[:, :, ::-1])
    confidence_N = np.array([row["confidence"] for row in rows], np.float32)
    assert np.array_equal(track.confidence_N[track.detected_N], confidence_N[track.detected_N])
    assert not track.confidence_N[~track.detected_N].any()
    assert np.isnan(track.landmarks_N68x2[~track.detected_N]).all()
    assert np.isfinite(track.landmarks_N68x2[track.detected_N]).all()


@pytest.mark.parametrize("name", ["bbaf2n", "single_face", "ck_sequence"])
def test_both_dialects_give_the_same_output(golden: Path, tmp_path: Path, name: str) -> None:
    clip = clip_of(golden, name)
    stem = clip["stem"]
    (tmp_path / f"{stem}.csv").symlink_to(golden / name / f"{stem}.fmt22.csv")
    (tmp_path / f"{stem}_aligned").symlink_to(golden / name / f"{stem}_aligned")
    old = read_output(golden / name, stem, tmp_path, n_frames=clip["csv_rows"], face_size=112)
    new = read_output(tmp_path, stem, tmp_path, n_frames=clip["csv_rows"], face_size=112)
    assert (old.dialect, new.dialect) == ("2.0", "2.2")
    assert np.array_equal(old.points_N68x2, new.points_N68x2)
    assert np.array_equal(old.rgb_NHWC, new.rgb_NHWC)


# ---------------------------------------------------------------------------------------------------------- transforms


def matrices_of(golden: Path, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Landmarks (N,68,2) of found frames, and the matrices (N,2,3) that OpenFace aligned them by."""
    with (golden / "landmark_alignment.csv").open(newline="") as file:
        listed = {row["frame"]: row for row in csv.DictReader(file) if row["clip"] == name and row["success"] == "1"}
    clip = clip_of(golden, name)
    with (golden / name / f"{clip['stem']}.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file, skipinitialspace=True) if row["frame"] in listed]
    points = [[[float(row[f"{axis}_{k}"]) for axis in "xy"] for k in range(68)] for row in rows]
    names = (("a00", "a01", "t0"), ("a10", "a11", "t1"))
    true = [[[float(listed[row["frame"]][column]) for column in line] for line in names] for row in rows]
    return np.array(points), np.array(true)


def apart(points_N68x2: NDArray[np.float64], a_N23: NDArray[np.float64], b_N23: NDArray[np.float64]) -> float:
    """Mean distance of the points under two sets of matrices, pixels of the aligned face."""
    placed = [np.einsum("nij,nkj->nki", m[:, :, :2], points_N68x2) + m[:, None, :, 2] for m in (a_N23, b_N23)]
    return float(np.linalg.norm(placed[0] - placed[1], axis=-1).mean())


def test_without_the_reference_shape_the_transform_is_right_to_about_a_pixel(golden: Path) -> None:
    for name in ("bbaf2n", "lbax4n", "single_face", "enterface_like_720x576_divx", "ck_sequence"):
        points, true = matrices_of(golden, name)
        assert apart(points, alignment_matrices(points, 112, None), true) < 1.2, name


def test_with_the_reference_shape_the_transform_is_openfaces_own(golden: Path, tmp_path: Path) -> None:
    """The shape is worked out here from the matrices of one clip, and tried on the others; none is kept."""
    points, true = matrices_of(golden, "bbaf2n")
    aligned = np.einsum("nij,nkj->nki", true[:, :, :2], points - points.mean(axis=1, keepdims=True)).mean(axis=0)
    shape = np.zeros((68, 2))
    shape[:] = aligned / (PIXELS_PER_MM * 112)
    radius = np.sqrt(((shape[RIGID] - shape[RIGID].mean(axis=0)) ** 2).sum(axis=1).mean())
    shape *= 35.642 / (PIXELS_PER_MM * 112) / radius
    text = "# The mean values\n204\n1\n6\n" + "\n".join(f"{v:.6f}" for v in (*shape[:, 0], *shape[:, 1], *[0.0] * 68))
    (tmp_path / "pdm.txt").write_text(text + "\n# more\n34\n1\n6\n1.0\n")
    reference = read_reference(tmp_path / "pdm.txt")
    assert np.allclose(reference, shape, atol=1e-5)
    for name in ("lbax4n", "single_face", "enterface_like_720x576_divx"):
        points, true = matrices_of(golden, name)
        with_shape = apart(points, alignment_matrices(points, 112, reference), true)
        assert with_shape < 0.5 * max(apart(points, alignment_matrices(points, 112, None), true), 0.5), name
        assert apart(points, alignment_matrices(points, 224, reference), 2 * true) < 2 * with_shape + 1e-6


@pytest.mark.parametrize("text", ["", "204 1", "68 1 6\n" + "1 " * 68, "204 1 6\n1 2 x", "204 1 6\n1 2 3"])
def test_a_shape_model_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pdm.txt").write_text(text)
    with pytest.raises(FerPrepError, match=r"pdm\.txt"):
        read_reference(tmp_path / "pdm.txt")


# ---------------------------------------------------------------------------------------------------------------- gaps


def test_short_gaps_show_the_nearer_face_and_long_ones_are_black(golden: Path, shared_data: Path) -> None:
    clip = clip_of(golden, "bbaf2n")
    source = (golden / clip["input"]).resolve()
    output = read_output(golden / "bbaf2n", "bbaf2n", source, n_frames=75, face_size=112)
    output.success_N[[0, 10, 11, 12, 74]] = False
    output.success_N[30:36] = False
    track, _ = openface_track(output, frames_of(source), RECIPE, MeshFinder(), None)
    assert track.n_detected == 75 - 5 - 6
    for k, shown in ((10, 9), (11, 9), (12, 13)):
        assert np.array_equal(track.rgb_NHWC[k], track.rgb_NHWC[shown])
        assert np.array_equal(track.transform_N2x3[k], track.transform_N2x3[shown])
    for k in (0, *range(30, 36), 74):
        assert not track.rgb_NHWC[k].any()
        assert np.isnan(track.transform_N2x3[k]).all()


# ----------------------------------------------------------------------------------------------- through the stand-in


@pytest.mark.parametrize("dialect", ["2.0", "2.2"])
def test_every_clip_comes_through_the_stand_in_as_it_was_recorded(
    golden: Path, shared_data: Path, tmp_path: Path, finder: MeshFinder, dialect: Literal["2.0", "2.2"]
) -> None:
    program = install(tmp_path / "of", golden=golden, dialect=dialect, one_cpu_hang=False)
    wanted = [Wanted((golden / clip_of(golden, name)["input"]).resolve()) for name in CLIPS]
    results = dict(zip(CLIPS, align_batch(wanted, with_model(program.resolve(), "clnf"), RECIPE, finder), strict=True))
    truncated = results.pop("truncated_45pct")
    assert isinstance(truncated, RecordingError)
    assert truncated.kind == "truncated"
    for name, made in results.items():
        assert isinstance(made, Made), (name, made)
        track, remark, _ = track_of(golden, name, finder)
        kept = track.detected_N.copy()
        kept[75:] = False  # of the long clip, OpenFace's own images are kept for 75 frames
        assert np.array_equal(made.track.detected_N, track.detected_N), name
        assert np.array_equal(made.track.rgb_NHWC[kept], track.rgb_NHWC[kept]), name
        assert made.remark.endswith(remark), name
