"""The reader believes nothing of a shard directory before it was checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shard_files import CLIP, LENGTH, edit_index, edit_shard, file_facts, set_field, write_corpus

from fer_model.errors import FerModelError, ShardError
from fer_model.shards import read_corpus


def test_a_finished_directory_is_read_whole(shards: Path) -> None:
    corpus = read_corpus(shards)
    assert corpus.index.classes == ("left", "right", "still")
    assert [(s.subject, s.group, s.n_frames) for s in corpus.shards] == [("s00", 1, 26), ("s01", 2, 26), ("s02", 3, 26)]
    assert [c.n_valid for c in corpus.shards[0].clips] == [4, 4, 4, 3, 4, 4, 4, 3]
    assert corpus.shards[0].recordings[3].id == "s00-3"


def test_checking_says_how_far_it_is(shards: Path) -> None:
    told: list[tuple[int, int]] = []
    read_corpus(shards, checked=lambda n_bytes, total: told.append((n_bytes, total)))
    total = sum(path.stat().st_size for path in shards.glob("*.h5"))
    assert [total for _, total in told] == [total] * 3
    assert told[-1] == (total, total)


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
        (lambda i: i["clip"].update(length=10**10), "clips of 10000000000 frames, expected at most 4096"),
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


def replace(name: str, data: object, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        dataset = file.create_dataset(name, data=data, **options)
        dataset.attrs.update(attributes)

    return change


def claim(name: str, n_frames: int, **options: Any) -> Callable[[h5py.File], None]:
    """Make a dataset say that it has so many frames, of which none is stored."""

    def change(file: h5py.File) -> None:
        dtype, shape = file[name].dtype, file[name].shape[1:]
        del file[name]
        chunks = options.pop("chunks", (8, *shape))
        file.create_dataset(name, (n_frames, *shape), dtype, chunks=chunks, fletcher32=True, **options)

    return change


def link(name: str, to: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.move(name, "elsewhere")
        file[name] = to

    return change


def make_virtual(file: h5py.File) -> None:
    shape = file["frames/rgb"].shape
    layout = h5py.VirtualLayout(shape, "u1")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape)
    del file["frames/rgb"]
    file.create_virtual_dataset("frames/rgb", layout)


def keep_outside(file: h5py.File) -> None:
    del file["frames/rgb"]
    file.create_dataset("frames/rgb", (26, 16, 16, 3), "u1", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


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
        (delete("clips"), "clips is no dataset of this file"),
        (delete("frames/rgb"), "frames/rgb is no dataset of this file"),
        (delete("frames"), "frames/rgb is no dataset of this file"),
        (replace("frames/rgb", np.zeros((26, 16, 16, 3), np.float32)), "rgb is float32"),
        (replace("frames/rgb", np.zeros((26, 16, 16), np.uint8)), r"rgb has the shape \(26, 16, 16\)"),
        (
            replace("frames/rgb", np.zeros((26, 8, 8, 3), np.uint8), chunks=(8, 8, 8, 3), fletcher32=True),
            r"flow is int16\(26, 16, 16, 2\)",
        ),
        (replace("frames/rgb", np.zeros((26, 16, 16, 3), np.uint8)), "in chunks of None without checksums"),
        (replace("frames/rgb", np.zeros((26, 16, 16, 3), np.uint8), chunks=(8, 16, 16, 3)), "without checksums"),
        (replace("frames/rgb", np.zeros((26, 16, 16, 3), np.uint8), chunks=(8, 8, 8, 3)), "expected chunks of whole"),
        (claim("frames/rgb", 26, compression=32099, allow_unknown_filter=True), "by HDF5's filter 32099"),
        (claim("frames/rgb", 26), r"rgb claims 26 frames in 4 chunks, found 0 in a file"),
        (claim("frames/rgb", 10**12), r"rgb is uint8\(1000000000000, 16, 16, 3\), expected uint8\(26"),
        (claim("frames/rgb", 26, chunks=(2**21, 16, 16, 3), maxshape=(None, 16, 16, 3)), "chunks of 1610612736 bytes"),
        (make_virtual, "frames/rgb is no dataset of this file"),
        (keep_outside, "frames/rgb is no dataset of this file"),
        (link("frames/flow", h5py.ExternalLink("other.h5", "/x")), "frames/flow is no dataset of this file"),
        (link("clips", h5py.SoftLink("/elsewhere")), "clips is no dataset of this file"),
        (link("frames", h5py.ExternalLink("other.h5", "/frames")), "frames/rgb is no dataset of this file"),
        (replace("recordings", np.zeros(6)), "field id of recordings is 'missing'"),
        (replace("recordings", np.zeros((6, 2))), r"recordings of shape \(6, 2\), expected 6"),
        (replace("clips", np.zeros(10**7, CLIP)), "10000000 clips, expected 8"),
        (replace("clips", np.zeros(8, [(n, "f8") for n in CLIP.names or ()])), "field recording of clips is 'f'"),
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
