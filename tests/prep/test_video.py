"""Decoding real and broken files."""

import csv
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from fer_prep.align.mesh import MeshFinder
from fer_prep.errors import RecordingError
from fer_prep.video import ToRgb, open_video


def read(path: Path, start_frame: int = 0, end_frame: int | None = None) -> list[np.ndarray]:
    with open_video(path) as video:
        return list(video.frames(start_frame, end_frame))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("truncated_45pct.avi", "truncated: .* holds 33 of 75 frames"),
        ("audio_only.mp4", "no video stream: .* holds audio only"),
        ("empty.avi", "empty file: .* has 0 bytes"),
        ("zeros_300_bytes.avi", r"cannot be opened: .* \(300 bytes\) is no complete video file"),
        ("text_named_avi.avi", "cannot be opened: .* is no complete video file"),
        ("truncated_no_moov_60pct.mp4", "cannot be opened: .* is no complete video file"),
        ("not_there.mp4", "no such file: .* does not exist"),
        ("", "not a file: .* is a directory"),
    ],
)
def test_a_broken_file_is_one_sentence_with_its_path(shared_data: Path, name: str, sentence: str) -> None:
    path = shared_data / "edge" / name
    with pytest.raises(RecordingError, match=sentence) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "n_frames", "height", "width"),
    [
        ("edge/enterface_like_720x576_divx.avi", 75, 576, 720),
        ("edge/gray_mjpeg.avi", 75, 288, 360),
        ("edge/rotation_tag_90.mp4", 75, 360, 288),
        ("edge/vfr_dropped_frames.mp4", 47, 288, 360),
        ("edge/with space and ünïcode.mpg", 75, 288, 360),
        ("edge/one_frame.mp4", 1, 288, 360),
        ("real/intel/book.mkv", 109, 480, 640),
        ("real/intel/face-demographics-walking-and-pause.gif", 41, 270, 480),
        ("real/pyfeat/no_face.mp4", 95, 540, 960),
    ],
)
def test_every_frame_of_a_whole_file_comes_as_upright_rgb(
    shared_data: Path, name: str, n_frames: int, height: int, width: int
) -> None:
    frames = read(shared_data / name)
    assert len(frames) == n_frames
    assert {frame.shape for frame in frames} == {(height, width, 3)}
    assert frames[0].dtype == np.uint8


def test_frames_that_change_their_kind_are_converted_as_if_each_were_the_first() -> None:
    planes = np.random.default_rng(1).integers(0, 256, (48 * 3 // 2, 32), np.uint8)
    kinds = [("yuv420p", 1, 1), ("yuv420p", 2, 1), ("yuvj420p", 1, 2), ("yuv420p", 1, 2), ("yuv420p", 5, 1)]
    frames = []
    for name, colorspace, color_range in kinds * 2:
        frame = VideoFrame.from_ndarray(planes, format=name)
        frame.colorspace, frame.color_range = colorspace, color_range
        frames.append(frame)
    to_rgb = ToRgb()
    found = [to_rgb(frame) for frame in frames]
    assert len({picture.tobytes() for picture in found}) > 2
    for frame, picture in zip(frames, found, strict=True):
        assert np.array_equal(picture, frame.to_ndarray(format="rgb24"))


def test_the_rotation_tag_turns_the_picture_as_its_file_says(shared_data: Path) -> None:
    with (shared_data / "reference_faces.csv").open(newline="") as file:
        row = next(r for r in csv.DictReader(file) if r["file"] == "edge/rotation_tag_90.mp4" and r["n_faces"] != "0")
    face = MeshFinder().find(read(shared_data / "edge" / "rotation_tag_90.mp4")[int(row["frame"])])
    assert face is not None
    # the reference detector is coarse on a face that lies on its side; turned the other way, the nose is 60 px off
    assert face.points_68x2[30] == pytest.approx([float(row["nose_x"]), float(row["nose_y"])], abs=25)


def test_a_part_of_a_file_is_its_frames_and_nothing_else(shared_data: Path) -> None:
    path = shared_data / "real" / "grid" / "bbaf2n.mpg"
    whole = read(path)
    part = read(path, start_frame=10, end_frame=14)
    assert len(part) == 4
    assert all(np.array_equal(a, b) for a, b in zip(part, whole[10:14], strict=True))


def test_a_part_that_the_file_does_not_have_is_said(shared_data: Path) -> None:
    with pytest.raises(RecordingError, match="has 75 frames, but frames up to 90 were asked for"):
        read(shared_data / "real" / "grid" / "bbaf2n.mpg", end_frame=90)


def test_the_whole_part_of_a_truncated_file_can_be_used(shared_data: Path) -> None:
    assert len(read(shared_data / "edge" / "truncated_45pct.avi", end_frame=33)) == 33


def test_a_part_that_begins_behind_the_end_is_said(shared_data: Path) -> None:
    with pytest.raises(RecordingError, match="has 75 frames, but frames from 80 on were asked for"):
        read(shared_data / "real" / "grid" / "bbaf2n.mpg", start_frame=80)


def test_only_a_whole_video_has_a_remark_on_missing_frames(shared_data: Path, tmp_path: Path) -> None:
    with open_video(shared_data / "edge" / "enterface_like_720x576_divx.avi") as video:
        list(video.frames(0, 20))
        assert video.remark == ""


def test_a_matroska_file_cut_in_the_middle_is_truncated(shared_data: Path, tmp_path: Path) -> None:
    content = (shared_data / "real" / "intel" / "book.mkv").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordingError, match=r"truncated: .* of 110 frames"):
        read(cut)


@pytest.mark.parametrize("name", ["real/pyfeat/single_face.mp4", "real/pyfeat/face_noface.mov"])
def test_a_hole_in_the_middle_of_a_file_is_no_short_recording(shared_data: Path, tmp_path: Path, name: str) -> None:
    content = bytearray((shared_data / name).read_bytes())
    half, hole = len(content) // 2, len(content) // 20
    content[half : half + hole] = bytes(hole)
    damaged = tmp_path / Path(name).name
    damaged.write_bytes(content)
    with pytest.raises(RecordingError, match=r"damaged|truncated") as caught:
        read(damaged)
    assert 0 < caught.value.n_frames < 169


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mpg", "gif"])
def test_a_large_file_pointer_is_not_a_video_and_says_what_to_run(tmp_path: Path, suffix: str) -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0a' * 32}\nsize 1234567\n"
    path = tmp_path / f"s1_an_1.{suffix}"
    path.write_text(text)
    with pytest.raises(RecordingError, match="not the video; run `git lfs pull` in the corpus") as caught:
        read(path)
    assert caught.value.kind == "large-file pointer"
    assert f"{path} is a Git LFS pointer (a text of {len(text)} bytes)" in str(caught.value)
