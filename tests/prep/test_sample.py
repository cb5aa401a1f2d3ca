"""The sample corpus: layout, bytes, pictures, and what happens to damaged files and missing libraries."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fer_prep.align.mesh import MeshFinder
from fer_prep.corpora import sample, sample_warp
from fer_prep.corpora.sample_face import film
from fer_prep.corpora.sample_warp import portrait
from fer_prep.errors import FerPrepError

TAKES = [(subject, emotion, k) for subject in sample.SUBJECTS for emotion in sample.CLASSES for k in sample.SENTENCES]
SURPRISE = (3, "surprise", 1)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one real video, subject 3's first surprise."""
    root = tmp_path_factory.mktemp("sample")
    sample.render_video(root, *SURPRISE)
    return root


@pytest.fixture(scope="module")
def frames(rendered: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(rendered / sample.video_path(*SURPRISE))) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def mouth_opening(rgb_HWC: NDArray[np.uint8]) -> float:
    """Gap between the lips as a share of the distance between the outer eye corners."""
    face = MeshFinder().find(rgb_HWC)
    assert face is not None
    points_468x2 = face.mesh_468x3[:, :2]
    gap, eyes = points_468x2[14] - points_468x2[13], points_468x2[263] - points_468x2[33]
    return float(np.linalg.norm(gap) / np.linalg.norm(eyes))


def whole_avi(path: Path, content: bytes = b"") -> None:
    """A fake: only the header that `is_whole` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"RIFF" + (4 + len(content)).to_bytes(4, "little") + b"AVI " + content)


def test_a_scan_finds_120_videos_in_the_layout_of_enterface(tmp_path: Path) -> None:
    for take in TAKES:
        whole_avi(tmp_path / sample.video_path(*take))
    (tmp_path / "enterface database" / "subject 3" / "Thumbs.db").touch()

    recordings = sample.scan_sample(tmp_path)

    assert len(recordings) == 120
    assert recordings[0].id == "enterface database/subject 1/anger/sentence 1/s1_an_1.avi"
    assert recordings[25].id == "enterface database/subject 3/anger/sentence 2/s3_an_2.avi"
    assert recordings[-1].id == "enterface database/subject 10/surprise/sentence 2/s10_su_2.avi"
    assert [recording.subject for recording in recordings[::12]] == [str(n) for n in range(1, 11)]
    assert {recording.label for recording in recordings} == set(sample.CLASSES)
    assert all(recording.path.is_file() and recording.group is None for recording in recordings)


def test_a_scan_of_an_empty_directory_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FerPrepError, match=r"s1_an_1\.avi"):
        sample.scan_sample(tmp_path)


def test_a_complete_sample_is_not_rendered_again_and_needs_no_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for take in TAKES:
        whole_avi(tmp_path / sample.video_path(*take))
    monkeypatch.setattr(sample_warp, "PHOTOGRAPH", tmp_path / "nowhere.png")
    portrait.cache_clear()
    calls: list[tuple[int, int]] = []
    assert sample.ensure_sample(tmp_path, progress=lambda *n: calls.append(n)) == tmp_path
    assert calls == []


def test_every_frame_decodes_at_720_by_576_and_25_fps(rendered: Path, frames: list[NDArray[np.uint8]]) -> None:
    with av.open(str(rendered / sample.video_path(*SURPRISE))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate or 0)) == ("mpeg4", 25.0)
        assert stream.frames == len(frames)
    assert 24 <= len(frames) <= 32
    assert {frame.shape for frame in frames} == {(576, 720, 3)}


def test_surprise_opens_the_mouth(frames: list[NDArray[np.uint8]]) -> None:
    assert mouth_opening(frames[0]) < 0.06
    assert mouth_opening(frames[-1]) > 0.15


def test_a_face_is_found_in_every_frame(frames: list[NDArray[np.uint8]]) -> None:
    finder = MeshFinder()
    assert all(finder.find(frame) is not None for frame in frames)


def test_a_damaged_file_is_rendered_again_to_the_same_bytes(rendered: Path, tmp_path: Path) -> None:
    expected = (rendered / sample.video_path(*SURPRISE)).read_bytes()
    path = tmp_path / sample.video_path(*SURPRISE)
    path.parent.mkdir(parents=True)
    path.touch()
    assert not sample.is_whole(path)
    sample.render_video(tmp_path, *SURPRISE)
    assert path.read_bytes() == expected
    assert [other.name for other in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("n_bytes", [0, 4, 12, 1000])
def test_a_cut_file_is_not_whole(rendered: Path, tmp_path: Path, n_bytes: int) -> None:
    content = (rendered / sample.video_path(*SURPRISE)).read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[:n_bytes])
    assert not sample.is_whole(tmp_path / "cut.avi")


def test_an_interrupted_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "encode", lambda _: b"half a video")
    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sample.render_video(tmp_path, *SURPRISE)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_whole_video_is_kept(tmp_path: Path) -> None:
    path = tmp_path / sample.video_path(*SURPRISE)
    whole_avi(path, b"mine")
    before = path.stat()
    sample.render_video(tmp_path, *SURPRISE)
    assert path.stat() == before


def test_a_photograph_that_is_missing_or_another_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "astronaut.png"
    monkeypatch.setattr(sample_warp, "PHOTOGRAPH", picture)
    portrait.cache_clear()
    with pytest.raises(FerPrepError, match=f"cannot be read: {picture}: .*; install fer-convlstm again"):
        sample.ensure_sample(tmp_path / "sample")
    cv2.imwrite(str(picture), np.full((512, 512, 3), 128, np.uint8))
    with pytest.raises(FerPrepError, match=f"no face was found in {picture}, .*; install fer-convlstm again"):
        sample.ensure_sample(tmp_path / "sample")
    assert not (tmp_path / "sample").exists()


def test_a_cache_that_cannot_be_written_is_said_with_its_path(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with pytest.raises(FerPrepError, match=f"cannot be written to {blocked}"):
        sample.ensure_sample(blocked, workers=1)


def test_two_subjects_look_different_and_two_sentences_move_differently() -> None:
    first = {take: cv2.resize(next(film(*take)), (90, 72)) for take in [(1, "fear", 1), (6, "fear", 1), (1, "fear", 2)]}
    base = first[1, "fear", 1].astype(int)
    assert np.abs(base - first[6, "fear", 1]).mean() > 15
    assert np.abs(base - first[1, "fear", 2]).mean() > 2
