"""Clips read for people are those of the format page, and what cannot be read is a sentence."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import golden
import h5py
import numpy as np
import pytest

from fer_prep.clip_reader import open_shard
from fer_prep.errors import FerPrepError, UsageError

SHARD = golden.GOLDEN / "manifest-s7.h5"


def test_every_golden_clip_is_read_by_the_rule_of_the_format_page() -> None:
    n_read = 0
    for name in ("manifest-s7.h5", "manifest-sa_b.h5"):
        with open_shard(golden.GOLDEN / name) as shard:
            wanted = [r for r in golden.RECORDINGS if r.subject == shard.facts.subject]
            places = [(recording, start) for recording in wanted for start in recording.clip_starts]
            assert len(places) == len(shard.clips)
            for number, (recording, start) in enumerate(places):
                clip = shard.clip(number)
                rows = np.arange(start, start + golden.LENGTH)
                exists, last = rows < recording.n_frames, np.minimum(rows, recording.n_frames - 1)
                flow = golden.flow_NHW2(recording)[last] * exists[:, None, None, None] / 256
                assert (clip.recording.id, clip.first_frame, clip.n_valid) == (recording.id, start, exists.sum())
                assert np.array_equal(clip.rgb_THWC, golden.rgb_NHWC(recording)[last])
                assert np.array_equal(clip.flow_THW2, flow.astype(np.float32))
                assert clip.detected_T.tolist() == (exists & ~np.isin(rows, recording.faceless)).tolist()
                n_read += 1
    assert n_read == 7


def test_the_tables_are_read() -> None:
    with open_shard(golden.GOLDEN / "manifest-sa_b.h5") as shard:
        assert [row.id for row in shard.recordings] == ["a b/unlabelled.avi", "a b/faceless.avi", "a b/last.avi#10-18"]
        assert [(row.n_frames, row.n_detected, row.n_clips) for row in shard.recordings] == [
            (9, 9, 1), (8, 0, 0), (8, 8, 1),
        ]  # fmt: skip
        assert [shard.class_name(row.label) for row in shard.recordings] == ["(unlabelled)", "surprise", "surprise"]
        assert shard.flow_px(10) is None
        assert shard.flow_px(1) is not None


def edit(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return apply


def other_frames(name: str, frames: np.ndarray) -> Callable[[Path], None]:
    def change(file: h5py.File) -> None:
        attributes = dict(file["frames"][name].attrs)
        del file["frames"][name]
        file["frames"].create_dataset(name, data=frames).attrs.update(attributes)

    return edit(change)


def clips_beyond(file: h5py.File) -> None:
    table = file["clips"][:]
    table["first_frame"] += 20
    file["clips"][:] = table


def flip_a_byte_of_rgb(path: Path) -> None:
    with h5py.File(path) as file:
        place = file["frames/rgb"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 20] ^= 255
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], type[FerPrepError], str]] = {
    "no HDF5": (lambda p: p.write_bytes(b"x" * 999), UsageError, "is no HDF5 file; name a .h5 file"),
    "empty": (lambda p: p.write_bytes(b""), UsageError, "is no HDF5 file"),
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:-500]), FerPrepError, "is damaged .*truncated"),
    "missing": (lambda p: p.unlink(), UsageError, "is not there; name a .h5 file"),
    "foreign": (edit(lambda f: f.attrs.pop("format")), UsageError, "an HDF5 file, but no shard of fer-prep"),
    "newer": (edit(lambda f: f.attrs.modify("version", 2)), FerPrepError, "of shard format 2, .* reads format 1; use"),
    "unfinished": (edit(lambda f: f.attrs.pop("key")), FerPrepError, r"is unfinished \(it has no key\)"),
    "without clips": (edit(lambda f: f.pop("clips")), FerPrepError, "is damaged"),
    "images": (other_frames("rgb", np.zeros((23, 4, 5))), FerPrepError, "is damaged"),
    "flow of another size": (other_frames("flow", np.zeros((23, 8, 8, 2), "<i2")), FerPrepError, "the form of the"),
    "flow as numbers": (other_frames("flow", np.zeros((23, 16, 16, 2))), FerPrepError, "the form of the format"),
    "a clip without end": (edit(lambda f: f.attrs.modify("clip_length", 10**10)), FerPrepError, "the form of the"),
    "classes": (edit(lambda f: f.attrs.modify("classes", "[")), FerPrepError, "is damaged"),
    "label": (edit(lambda f: f.attrs.modify("classes", '["a"]')), FerPrepError, "tables do not fit"),
    "clips beyond": (edit(clips_beyond), FerPrepError, "tables do not fit its frames"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_whole_shard_is_one_sentence(tmp_path: Path, damage: str) -> None:
    harm, kind, sentence = DAMAGES[damage]
    path = Path(shutil.copy(SHARD, tmp_path / "a.h5"))
    harm(path)
    with pytest.raises(FerPrepError, match=sentence) as caught, open_shard(path):
        pass
    assert type(caught.value) is kind
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_damaged_frame_is_said_when_it_is_read(tmp_path: Path) -> None:
    path = Path(shutil.copy(SHARD, tmp_path / "a.h5"))
    flip_a_byte_of_rgb(path)
    with open_shard(path) as shard, pytest.raises(FerPrepError, match=r"a\.h5 is damaged"):
        shard.clip(0)


def test_a_shard_whose_writer_was_killed_is_unfinished(tmp_path: Path) -> None:
    path = Path(shutil.copy(SHARD, tmp_path / "a.h5"))
    killed = (
        "import h5py, os, sys; file = h5py.File(sys.argv[1], 'r+', libver=('v110', 'v110')); "
        "file.attrs['more'] = 1; file.flush(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", killed, path], check=False).returncode == 9
    with pytest.raises(FerPrepError, match=r"is unfinished \(its writer was killed"), open_shard(path):
        pass


def test_a_directory_is_answered_with_the_names_of_its_files(tmp_path: Path) -> None:
    sentence = r"is a directory; name one file in it, as .*/manifest-s7\.h5 \(there are manifest-s7\.h5"
    with pytest.raises(UsageError, match=sentence), open_shard(golden.GOLDEN):
        pass
    with pytest.raises(UsageError, match="is a directory without shards"), open_shard(tmp_path):
        pass
