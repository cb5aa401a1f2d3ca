"""The shard writer: what goes in comes out, the same bytes every time, and never half a file."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the bitshuffle filter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_prep.align.track import FaceTrack
from fer_prep.clips import Clip
from fer_prep.errors import FerPrepError
from fer_prep.recipe import AlignRecipe, ClipRecipe, Recipe, StorageRecipe
from fer_prep.shards import ShardHead, StoredRecording, write_shard
from fer_prep.stored import check_readable, describe_shard

RECIPE = Recipe(corpus="manifest", align=AlignRecipe(face_size=16), clips=ClipRecipe(length=4, stride=2))
HEAD = ShardHead("manifest", "ä 7", 2, ("joy", "fear"), RECIPE, {"fer_prep": "0"}, key="k" * 64)


def recording(name: str, n_frames: int, label: int = 1, seed: int = 0) -> StoredRecording:
    rng = np.random.default_rng([seed, n_frames])
    detected = rng.random(n_frames) > 0.2
    landmarks = rng.random((n_frames, 68, 2), np.float32)
    landmarks[~detected] = np.nan
    return StoredRecording(
        id=name, path=name, sha256="0" * 64, label=label, fps=25.0,
        track=FaceTrack(
            rng.integers(0, 256, (n_frames, 16, 16, 3), np.uint8), detected,
            detected.astype(np.float32), landmarks, rng.random((n_frames, 2, 3), np.float32),
        ),
        flow_NHW2=rng.integers(-500, 500, (n_frames, 16, 16, 2), np.int16), saturated=1,
        clips=tuple(Clip(k, min(4, n_frames - k)) for k in range(0, max(n_frames - 3, 1), 2)),
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.sampled_from(["bitshuffle-lz4", "gzip", "none"]))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], filter_: str
) -> None:
    path = tmp_path_factory.mktemp("shard") / "a.h5"
    recipe = RECIPE.model_copy(update={"storage": StorageRecipe(filter=filter_)})  # type: ignore[arg-type]
    recordings = [recording(f"{k}.avi", n, seed=k) for k, n in enumerate(lengths)]
    entry = write_shard(path, replace(HEAD, recipe=recipe), iter(recordings))
    assert entry == describe_shard(path)
    assert entry is not None
    assert (entry.n_recordings, entry.n_frames) == (len(lengths), sum(lengths))
    assert entry.n_clips == sum(len(r.clips) for r in recordings)
    with h5py.File(path) as file:
        first = 0
        for row, source in zip(file["recordings"][:], recordings, strict=True):
            rows = slice(first, first + source.track.n_frames)
            assert (row["id"].decode(), row["first_frame"], row["n_detected"]) == (
                source.id, first, source.track.n_detected,
            )  # fmt: skip
            assert np.array_equal(file["frames/rgb"][rows], source.track.rgb_NHWC)
            assert np.array_equal(file["frames/flow"][rows], source.flow_NHW2)
            assert np.array_equal(file["frames/landmarks"][rows], source.track.landmarks_N68x2, equal_nan=True)
            assert np.array_equal(file["frames/transform"][rows], source.track.transform_N2x3)
            assert np.array_equal(file["frames/detected"][rows], source.track.detected_N)
            first += source.track.n_frames
        assert file["frames/flow"].attrs["saturated"] == len(lengths)
        assert file.attrs["subject"] == "ä 7"


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    entries = [write_shard(tmp_path / f"{k}.h5", HEAD, [recording("a", 9), recording("b", 3)]) for k in range(2)]
    assert entries[0] is not None
    assert entries[1] is not None
    assert entries[0].sha256 == entries[1].sha256


def test_a_writer_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    def stopping() -> Iterator[StoredRecording]:
        yield recording("a", 9)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "a.h5", HEAD, stopping())
    assert list(tmp_path.iterdir()) == []


def test_no_recording_is_no_file(tmp_path: Path) -> None:
    assert write_shard(tmp_path / "a.h5", HEAD, []) is None
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FerPrepError, match=r"gone/a.h5: shard cannot be written \("):
        write_shard(tmp_path / "gone" / "a.h5", HEAD, [recording("a", 9)])


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_flipped_byte_in_the_pixels_is_found(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, HEAD, [recording("a", 40)])
    with h5py.File(path) as file:
        chunk = file["frames/rgb"].id.get_chunk_info(int(share * file["frames/rgb"].id.get_num_chunks()))
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(FerPrepError, match="is damaged"):
        check_readable(path)


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_cut_file_is_no_shard(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.h5"
    write_shard(path, HEAD, [recording("a", 40)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FerPrepError, match=r"a\.h5 is (damaged|no finished shard)"):
        describe_shard(path)
