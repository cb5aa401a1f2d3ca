"""The reader believes nothing of a shard directory before it was checked."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shard_files import LENGTH, edit_index, edit_shard, file_facts, set_field, write_corpus

from fer_model.data import ClipRef, ClipStore, pad_clip
from fer_model.errors import FerModelError, ShardError
from fer_model.shards import read_corpus, read_frames


def test_a_finished_directory_is_read_whole(shards: Path) -> None:
    corpus = read_corpus(shards)
    assert corpus.index.classes == ("left", "right", "still")
    assert [(s.subject, s.group, s.n_frames) for s in corpus.shards] == [("s00", 1, 26), ("s01", 2, 26), ("s02", 3, 26)]
    assert [c.n_valid for c in corpus.shards[0].clips] == [4, 4, 4, 3, 4, 4, 4, 3]
    assert corpus.shards[0].recordings[3].id == "s00-3"


def test_a_directory_without_an_index_is_called_not_finished(shards: Path) -> None:
    (shards / "index.json").unlink()
    with pytest.raises(ShardError, match=r"index\.json.*not finished.*fer-prep"):
        read_corpus(shards)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda i: i.update(format="zip"), "format is 'zip', expected 'fer-shards'"),
        (lambda i: i.update(version=2), "version 2, expected 1"),
        (lambda i: i.pop("classes"), "classes is None, expected a list"),
        (lambda i: i.update(classes=["a", "a"]), "two or more different names"),
        (lambda i: i.update(classes=["a", "b\x1b[2J"]), "two or more different names"),
        (lambda i: i.update(corpus="a\nb"), "corpus is .*printable"),
        (lambda i: i.update(n_groups=True), "n_groups is True, expected a int"),
        (lambda i: i["clip"].update(length=0), "length is 0, expected 1 or more"),
        (lambda i: i.update(shards=["x"]), "an entry of shards is 'x'"),
        (lambda i: i["shards"][0].update(file="../x.h5"), "'../x.h5', expected a plain file name"),
        (lambda i: i["shards"][0].update(file="/etc/x.h5"), "expected a plain file name"),
        (lambda i: i["shards"][0].update(file="a\\x.h5"), "expected a plain file name"),
        (lambda i: i["shards"][0].update(file=".."), "expected a plain file name"),
        (lambda i: i["shards"][0].update(file="gone.h5"), r"gone\.h5: missing"),
        (lambda i: i["shards"][0].update(bytes=7), "bytes, expected 7"),
        (lambda i: i["shards"][0].update(group=4), "group 4 of 3"),
        (lambda i: i["shards"].append(i["shards"][0]), "listed twice"),
        (lambda i: i["shards"][0].update(subject="s01"), "subject 's01' is in group 1 and in group 2"),
        (lambda i: i["shards"][0].update(subject="other"), "subject is 's00', expected 'other'"),
        (lambda i: i["shards"][0].update(key="cd"), "key is 'abab"),
        (lambda i: i["shards"][0].update(n_clips=9), "8 clips, expected 9"),
        (lambda i: i["shards"][0].update(n_recordings=5), "6 recordings, expected 5"),
        (lambda i: i["shards"][0].update(n_frames=27), r"rgb is uint8\(26, 16, 16, 3\), expected uint8\(27"),
        (lambda i: i.update(shards=[]), "no shard is listed"),
    ],
)
def test_an_index_that_does_not_fit_is_refused_in_one_sentence(
    shards: Path, change: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    edit_index(shards, change)
    with pytest.raises(ShardError, match=sentence) as error:
        read_corpus(shards)
    assert str(shards) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_an_index_that_is_no_json_object_is_refused(shards: Path, text: str) -> None:
    (shards / "index.json").write_text(text)
    with pytest.raises(ShardError, match=r"index\.json"):
        read_corpus(shards)


def delete(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def replace(name: str, data: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = data

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.attrs.update(format="other"), "format is 'other'"),
        (lambda f: f.attrs.update(version=3), "version 3, expected 1"),
        (lambda f: f.attrs.pop("key"), "not finished"),
        (lambda f: f.attrs.update(subject="s01"), "subject is 's01', expected 's00'"),
        (lambda f: f.attrs.update(group=2), "group is 2, expected 1"),
        (lambda f: f.attrs.update(classes='["x", "y"]'), r"classes is \['x', 'y'\]"),
        (lambda f: f.attrs.update(classes="{"), "not readable as a shard"),
        (lambda f: f.attrs.update(clip_length=8), "clip_length is 8, expected 4"),
        (lambda f: f["frames/flow"].attrs.update(scale=0.0), "scale is 0.0, expected a positive number"),
        (lambda f: f["frames/flow"].attrs.update(scale=128.0), "expected one kind"),
        (delete("clips"), "not readable as a shard"),
        (delete("frames/rgb"), "not readable as a shard"),
        (replace("frames/rgb", np.zeros((26, 16, 16, 3), np.float32)), "rgb is float32"),
        (replace("frames/rgb", np.zeros((26, 8, 8, 3), np.uint8)), r"flow is int16\(26, 16, 16, 2\)"),
        (replace("recordings", np.zeros(6)), "not readable as a shard"),
        (set_field("recordings", 1, subject=b"s02"), "'s02' of group 1, expected 's00' of group 1.*share a person"),
        (set_field("recordings", 1, group=3), "of group 3, expected"),
        (set_field("recordings", 1, label=3), "label 3, expected -1 to 2"),
        (set_field("recordings", 1, label=-2), "label -2, expected -1 to 2"),
        (set_field("recordings", 1, first_frame=5), "from row 5, expected at least one from row 4"),
        (set_field("recordings", 1, n_frames=0), "has 0 frames"),
        (set_field("recordings", 5, n_frames=9), "end at frame 32, expected 26"),
        (set_field("recordings", 1, id=b"s00-0"), "'s00-0' is stored twice"),
        (set_field("recordings", 1, id=b"a\x1bb"), "printable"),
        (set_field("recordings", 1, id=b"a\xff"), "not readable as a shard"),
        (set_field("clips", 0, recording=6), "clip 0 is of recording 6"),
        (set_field("clips", 0, recording=-1), "clip 0 is of recording -1"),
        (set_field("clips", 0, first_frame=1), "clip 0 has 4 frames from row 1, expected .*within rows 0 to 3"),
        (set_field("clips", 2, first_frame=3), "clip 2 has 4 frames from row 3"),
        (set_field("clips", 0, n_valid=5), "clip 0 has 5 frames"),
        (set_field("clips", 0, n_valid=0), "clip 0 has 0 frames"),
        (set_field("clips", 0, label=1), "clip 0 has label 1, expected 0"),
    ],
)
def test_a_shard_that_does_not_fit_is_refused_in_one_sentence(
    shards: Path, change: Callable[[h5py.File], object], sentence: str
) -> None:
    edit_shard(shards, change)
    with pytest.raises(ShardError, match=sentence) as error:
        read_corpus(shards)
    assert str(shards) in str(error.value)


def test_a_file_that_is_no_hdf5_is_refused(shards: Path) -> None:
    path = shards / "tiny-ss00.h5"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(ShardError, match=r"tiny-ss00\.h5: damaged \(sha256 "):
        read_corpus(shards)
    edit_index(shards, lambda index: index["shards"][0].update(file_facts(path)))
    with pytest.raises(ShardError, match=r"tiny-ss00\.h5: not readable as a shard"):
        read_corpus(shards)


def test_frames_that_fail_their_checksum_name_the_file(shards: Path) -> None:
    def with_checksum(file: h5py.File) -> None:
        frames = file["frames/rgb"][:]
        del file["frames/rgb"]
        file.create_dataset("frames/rgb", data=frames, chunks=(8, 16, 16, 3), fletcher32=True)

    path = edit_shard(shards, with_checksum)
    frames = read_frames(path, first=0, last=8)[0].tobytes()
    content = path.read_bytes()
    at = content.index(frames)
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(ShardError, match=re.escape(str(path)) + ".*cannot be read"):
        read_frames(path, first=0, last=8)


def refs_of(shards: Path) -> list[ClipRef]:
    return [ClipRef(shard=shard, clip=clip) for shard in read_corpus(shards).shards for clip in shard.clips]


def test_a_clip_holds_the_stored_frames_and_a_short_one_is_padded(shards: Path) -> None:
    refs = refs_of(shards)
    batch = ClipStore(clip_length=LENGTH, size=16, keep_bytes=0).batch(refs[2:4])
    rgb, flow = (torch.from_numpy(a) for a in read_frames(refs[0].shard.path, first=0, last=26))
    assert batch.rgb_BTHWC.dtype == torch.uint8
    assert batch.flow_BTHWC.dtype == torch.int16
    assert torch.equal(batch.rgb_BTHWC[0], rgb[6:10])
    assert torch.equal(batch.rgb_BTHWC[1], rgb[[10, 11, 12, 12]])
    assert torch.equal(batch.flow_BTHWC[1, :3], flow[10:13])
    assert not batch.flow_BTHWC[1, 3].any()
    assert batch.label_B.tolist() == [1, 2]


@pytest.mark.parametrize("size", [8, 16])
def test_clips_are_the_same_whether_frames_are_kept_or_read_again(shards: Path, size: int) -> None:
    refs = refs_of(shards)
    kept, partly, read = (
        ClipStore(clip_length=LENGTH, size=size, keep_bytes=n) for n in (10**9, 26 * size * size * 7, 0)
    )
    assert sum(kept.load(refs)) == sum(partly.load(refs)) == 78
    assert [len(store.kept) for store in (kept, partly, read)] == [3, 1, 0]
    for other in (partly, read):
        assert torch.equal(kept.batch(refs).rgb_BTHWC, other.batch(refs).rgb_BTHWC)
        assert torch.equal(kept.batch(refs).flow_BTHWC, other.batch(refs).flow_BTHWC)


@given(n=st.integers(1, 9), extra=st.integers(0, 9))
def test_padding_repeats_the_last_image_and_stops_the_flow(n: int, extra: int) -> None:
    rgb = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 2, 2, 3)
    flow = torch.full((n, 2, 2, 2), 7, dtype=torch.int16)
    padded_rgb, padded_flow = pad_clip(rgb, flow, clip_length=n + extra)
    assert padded_rgb[:, 0, 0, 0].tolist() == [*range(n), *[n - 1] * extra]
    assert padded_flow[:, 1, 1, 0].tolist() == [7] * n + [0] * extra


@given(data=st.data())
def test_every_change_of_a_clip_row_is_refused_or_stays_inside_the_recording(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = write_corpus(tmp_path_factory.mktemp("shards"), n_groups=2, labels=(0, 1), size=4)
    first, n_valid = data.draw(st.integers(-9, 20)), data.draw(st.integers(-2, 9))
    edit_shard(directory, set_field("clips", 1, first_frame=first, n_valid=n_valid))
    try:
        clip = read_corpus(directory).shards[0].clips[1]
    except FerModelError:
        return
    inside = range(clip.recording.first_frame, clip.recording.first_frame + clip.recording.n_frames)
    assert {clip.first_frame, clip.first_frame + clip.n_valid - 1} <= set(inside)
    assert 1 <= clip.n_valid <= LENGTH


def test_the_example_in_the_format_document_reads_the_same_clips(shards: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "shard-format.md"
    namespace: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[0], namespace)
    index = json.loads((shards / "index.json").read_text())
    assert index["clip"]["length"] == LENGTH
    expected = list(namespace["clips"](shards, 1))
    refs = [ref for ref in refs_of(shards) if ref.shard.group == 1]
    batch = ClipStore(clip_length=LENGTH, size=16, keep_bytes=0).batch(refs)
    assert len(expected) == len(refs)
    for i, (rgb, flow, label) in enumerate(expected):
        np.testing.assert_array_equal(batch.rgb_BTHWC[i].numpy(), rgb)
        np.testing.assert_array_equal(batch.flow_BTHWC[i].numpy() / np.float32(256), flow)
        assert batch.label_B[i] == label
