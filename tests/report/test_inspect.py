"""One shard, one clip: what is told of them, and the pictures and videos of a clip."""

from dataclasses import replace
from pathlib import Path

import av
import cv2
import golden
import h5py
import numpy as np
import pytest
from shard_trees import Take, write_directory

from fer_prep.clip_picture import BAND, SMALLEST, clip_picture
from fer_prep.clip_reader import open_shard
from fer_prep.clip_video import ENCODERS, frame_rate, write_video
from fer_prep.colour_wheel import flow_colours
from fer_prep.errors import FerPrepError, UsageError
from fer_prep.inspect import ClipSummary, ShardSummary, inspect
from fer_prep.strips import GAP

SHARD = golden.GOLDEN / "manifest-s7.h5"


def clip_of(shard: Path, number: int, out: Path | None = None) -> ClipSummary:
    summary = inspect(shard, clip=number, out=out)
    assert isinstance(summary, ClipSummary)
    return summary


def test_the_datasets_are_described_as_hdf5_has_them() -> None:
    summary = inspect(SHARD)
    assert isinstance(summary, ShardSummary)
    with h5py.File(SHARD) as file:
        assert {dataset.name for dataset in summary.datasets} == {
            "clips", "recordings", *(f"frames/{name}" for name in file["frames"]),
        }  # fmt: skip
        for dataset in summary.datasets:
            there = file[dataset.name]
            assert (dataset.shape, dataset.chunk, dataset.checked) == (there.shape, there.chunks[0], there.fletcher32)
            assert dataset.raw_bytes == there.nbytes
            assert dataset.stored_bytes == there.id.get_storage_size()
    filters = {dataset.name: dataset.filter for dataset in summary.datasets}
    assert (filters["frames/rgb"], filters["clips"]) == ("bitshuffle-lz4", "none")
    assert summary.n_clips == 5


def test_a_filter_is_named_whoever_wrote_the_file(tmp_path: Path) -> None:
    shards = write_directory(tmp_path / "shards", [Take("a", 1, "a", 0)], classes=("joy",), n_groups=1)
    with h5py.File(shards / "s0.h5", "r+") as file:
        file.create_dataset("more/gzip", data=np.zeros(9), compression="gzip", shuffle=True)
        file.create_dataset("more/plain", data=np.zeros(9))
        file.create_dataset("more/scaled", data=np.zeros(9, int), scaleoffset=0)
    summary = inspect(shards / "s0.h5")
    assert isinstance(summary, ShardSummary)
    found = {d.name: (d.filter, d.chunk, d.checked) for d in summary.datasets if d.name.startswith("more/")}
    assert found == {
        "more/gzip": ("shuffle+gzip", 9, False), "more/plain": ("none", None, False),
        "more/scaled": ("filter 6", 9, False),
    }  # fmt: skip


def test_the_facts_of_a_clip_are_those_of_its_frames() -> None:
    summary = clip_of(SHARD, 1)
    flow = golden.flow_NHW2(golden.RECORDINGS[0])[4:12] / 256
    assert (summary.clip.recording.id, summary.class_name) == ("7/long.avi", "joy")
    assert (summary.clip.first_frame, summary.clip.n_valid, summary.n_detected) == (4, 8, 6)
    assert summary.mean_flow_px == pytest.approx(np.hypot(flow[..., 0], flow[..., 1]).mean(), rel=1e-5)
    assert summary.out is None


def test_the_flow_of_repeated_frames_does_not_count() -> None:
    flow = golden.flow_NHW2(golden.RECORDINGS[1]) / 256
    assert clip_of(SHARD, 4).mean_flow_px == pytest.approx(np.hypot(flow[..., 0], flow[..., 1]).mean(), rel=1e-5)


def test_a_clip_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    for number in (-1, 5):
        with pytest.raises(UsageError, match=rf"has no clip {number}; its clips are 0 to 4"):
            inspect(SHARD, clip=number)
    shards = write_directory(tmp_path / "shards", [Take("a", 1, "a", 0, n_clips=0)], classes=("joy",), n_groups=1)
    with pytest.raises(UsageError, match="has no clip 0; it has no clips"):
        inspect(shards / "s0.h5", clip=0)


@pytest.mark.parametrize("size", [100, 16, 300])
def test_the_picture_shows_every_frame_above_its_flow(tmp_path: Path, size: int) -> None:
    take = Take("a", 1, "a", 0, n_frames=20, n_clips=1)
    shards = write_directory(tmp_path / "shards", [take], classes=("joy",), n_groups=1, size=size, length=18)
    out = tmp_path / "clip.PNG"
    summary = clip_of(shards / "s0.h5", 0, out)
    stored = cv2.imread(str(out))
    assert stored is not None
    picture = cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)
    tile = {100: 100, 16: SMALLEST, 300: 256}[size]
    height = BAND + 2 * tile + 2 * GAP
    assert picture.shape == (2 * height, 16 * (tile + GAP) - GAP, 3)
    for t in range(18):
        line, column = divmod(t, 16)
        top, left = line * height + BAND, column * (tile + GAP)
        face = picture[top : top + tile, left : left + tile]
        flow = picture[top + tile + GAP : top + 2 * tile + GAP, left : left + tile]
        assert (face == 40 + 9 * t).all()
        expected = flow_colours(summary.clip.flow_THW2[t, 0, 0], full_px=summary.full_px)
        assert (flow == expected).all()
        assert (picture[top - BAND : top, left : left + tile] < 128).any()
    assert (picture[height + BAND :, 2 * (tile + GAP) :] == 255).all()


def test_a_picture_of_faces_of_the_usual_size_has_their_very_pixels() -> None:
    with open_shard(SHARD) as shard:
        clip = shard.clip(0)
    rgb_THWC = np.random.default_rng(0).integers(0, 256, (8, 112, 112, 3), np.uint8)
    flow_THW2 = np.zeros((8, 112, 112, 2), np.float32)
    picture = clip_picture(replace(clip, rgb_THWC=rgb_THWC, flow_THW2=flow_THW2), full_px=1.0)
    assert np.array_equal(picture[BAND : BAND + 112, 114 : 114 + 112], rgb_THWC[1])


def test_numbers_are_red_without_a_face_and_grey_where_frames_are_repeated(tmp_path: Path) -> None:
    take = Take("a", 1, "a", 0, n_frames=3, faceless=(1,), n_clips=1)
    shards = write_directory(tmp_path / "shards", [take], classes=("joy",), n_groups=1)
    with open_shard(shards / "s0.h5") as shard:
        band = clip_picture(shard.clip(0), full_px=1.0)[:BAND].astype(int)
    step = SMALLEST + GAP
    black, red, _, grey = (band[:, k * step : k * step + 40].reshape(-1, 3) for k in range(4))
    assert black.min() < 40
    assert (red.min(axis=0) < (230, 60, 60)).all()
    assert red[:, 0].min() > 200
    assert 140 <= grey.min() <= 160


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("size", [17, 112])
def test_the_video_plays_back_as_the_clip(tmp_path: Path, encoder: str, size: int) -> None:
    take = Take("a", 1, "a", 0, n_frames=3, n_clips=1, fps=30000 / 1001)
    shards = write_directory(tmp_path / "shards", [take], classes=("joy",), n_groups=1, size=size, length=5)
    with open_shard(shards / "s0.h5") as shard:
        clip = shard.clip(0)
    write_video(tmp_path / "clip.mp4", clip, full_px=2.0, encoder=encoder)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(stream.average_rate or 0) == pytest.approx(30000 / 1001, rel=1e-3)
    assert len(frames) == 5
    assert frames[0].shape == (320, 640, 3)
    for t, frame in enumerate(frames):
        face, flow = frame[20:300, 20:300].astype(int), frame[20:300, 340:620].astype(int)
        assert np.abs(face.mean(axis=(0, 1)) - clip.rgb_THWC[t].mean(axis=(0, 1))).max() < 8
        expected = flow_colours(clip.flow_THW2[t], full_px=2.0).mean(axis=(0, 1))
        assert np.abs(flow.mean(axis=(0, 1)) - expected).max() < 12
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["clip.mp4"]


@pytest.mark.parametrize(("fps", "rate"), [(25.0, 25.0), (0.0, 25.0), (float("nan"), 25.0), (1e9, 25.0), (-3, 25.0),
                                           (59.94, 59.94)])  # fmt: skip
def test_a_recording_without_a_frame_rate_plays_at_25(fps: float, rate: float) -> None:
    assert float(frame_rate(fps)) == pytest.approx(rate, rel=1e-5)


def test_the_video_of_a_real_clip_is_written_by_the_command_s_function(tmp_path: Path) -> None:
    summary = clip_of(SHARD, 0, tmp_path / "clip.mp4")
    assert summary.out == tmp_path / "clip.mp4"
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert len(list(container.decode(video=0))) == golden.LENGTH


def test_what_cannot_be_written_is_said_before_anything_is_read(tmp_path: Path) -> None:
    nowhere = tmp_path / "missing.h5"
    for out, clip, sentence in (
        (tmp_path / "a.gif", 0, r"a\.gif: a clip is written as a picture \(\.png\) or as a video \(\.mp4\)"),
        (tmp_path / "a", 0, "a clip is written as a picture"),
        (tmp_path / "a.png", None, "--out needs --clip N"),
        (tmp_path / "no" / "a.png", 0, "there is no directory"),
    ):
        with pytest.raises(UsageError, match=sentence):
            inspect(nowhere, clip=clip, out=out)
    (tmp_path / "d.mp4").mkdir()
    with pytest.raises(UsageError, match=r"d\.mp4 is a directory; --out names a file"):
        inspect(nowhere, clip=0, out=tmp_path / "d.mp4")


def test_a_video_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with open_shard(SHARD) as shard:
        clip = shard.clip(0)
    with pytest.raises(FerPrepError, match=r"a\.mp4 cannot be written"):
        write_video(tmp_path / "gone" / "a.mp4", clip, full_px=1.0)
