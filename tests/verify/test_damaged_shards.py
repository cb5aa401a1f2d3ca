"""Shards that were damaged while their hash in the index fits: what is wrong is said, and nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import small

pytest_plugins = ["small_fixtures"]

FRAMES = ["rgb", "flow", "detected", "confidence", "landmarks", "transform"]


def replace(file: h5py.File, name: str, **changes: Any) -> None:
    """A dataset made anew, with other properties."""
    old = file[name]
    options: dict[str, Any] = {
        "data": old[:], "chunks": old.chunks, "maxshape": old.maxshape, "fletcher32": True,
    } | changes  # fmt: skip
    attributes = dict(old.attrs)
    del file[name]
    file.create_dataset(name, **options).attrs.update(attributes)


def put(name: str, index: Any, value: Any) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        file[name][index] = value

    return edit


def field(table: str, row: int, name: str, value: Any) -> Callable[[h5py.File], None]:
    def edit(file: h5py.File) -> None:
        content = file[table][:]
        content[name][row] = value
        file[table][:] = content

    return edit


def attribute(name: str, value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


def remove(name: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(name)


def made_anew(name: str, **changes: Any) -> Callable[[h5py.File], None]:
    return lambda file: replace(file, name, **changes)


def one_flow(file: h5py.File) -> None:
    file["frames/flow"][1:30] = 256


def fewer_clips(file: h5py.File) -> None:
    replace(file, "clips", data=np.delete(file["clips"][:], 1), chunks=(1,))


def elsewhere(file: h5py.File) -> None:
    del file["frames/rgb"]
    file["frames/rgb"] = h5py.ExternalLink("other.h5", "/frames/rgb")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=file["frames/detected"].shape, dtype=bool)
    layout[:] = h5py.VirtualSource(small.OTHER, "frames/detected", shape=file["frames/detected"].shape)
    del file["frames/detected"]
    file.create_virtual_dataset("frames/detected", layout)


def huge(file: h5py.File) -> None:
    file["frames/rgb"].resize(10**12, axis=0)


def a_third_truth(file: h5py.File) -> None:
    dataset = file["frames/detected"]
    raw = dataset[:].view(np.uint8)
    raw[0] = 7
    dataset.id.write(h5py.h5s.ALL, h5py.h5s.ALL, raw, dataset.id.get_type())


# damage -> all that is said of it; anna's rows: long 0 to 29, gaps 30 to 59, still 60 to 69
DAMAGES: dict[str, tuple[Callable[[h5py.File], object], list[str]]] = {
    "no key": (lambda f: f.attrs.__delitem__("key"), ["is not finished: it has no key, which is written last"]),
    "key": (attribute("key", "0" * 64), [f"key is '{'0' * 64}'; index.json says"]),
    "format": (attribute("format", "other"), ["format is 'other'; index.json says 'fer-shard'"]),
    "version": (attribute("version", 2), ["version is 2; index.json says 1"]),
    "subject": (attribute("subject", "\x1b[31mben"), ["subject is '\\x1b[31mben'; index.json says 'anna'"]),
    "group": (attribute("group", 2), ["group is 2; index.json says 1"]),
    "group of 8 bits": (attribute("group", np.int8(1)), ["group is of type int8; a whole number of 64 bits"]),
    "group of many": (attribute("group", [1, 1]), ["group is a large or composed value"]),
    "aligner": (attribute("aligner", "openface"), ["aligner is 'openface'; index.json says 'mesh'"]),
    "stride": (attribute("clip_stride", 9), ["clip_stride is 9; index.json says 4"]),
    "classes": (attribute("classes", '["joy", "anger"]'), ["classes is ['joy', 'anger']; index.json says"]),
    "classes no JSON": (attribute("classes", "[" * 10**5), ["classes cannot be read: nested too deep"]),
    "versions": (attribute("versions", '{"fer_prep": "9"}'), ["was made by other tools than index.json says: fer_pr"]),
    "recipe": (
        lambda f: f.attrs.__setitem__("recipe", f.attrs["recipe"].replace('"stride":4', '"stride":5')),
        ["was made by another recipe than index.json says: clips.stride: 4 -> 5"],
    ),
    "no recipe": (attribute("recipe", '{"x": 1}'), ["its recipe is none of this fer-prep's"]),
    "no frames": (remove("frames"), [f"has no dataset /frames/{name}" for name in FRAMES]),
    "no clips": (remove("clips"), ["has no dataset /clips"]),
    "external link": (elsewhere, ["/frames/rgb is a link to elsewhere"]),
    "virtual dataset": (virtual, ["/frames/detected lies in other files"]),
    "type": (made_anew("frames/confidence", dtype="f8"), ["confidence is of type float64; expected float32"]),
    "big-endian": (made_anew("frames/flow", dtype=">i2"), ["flow is of type >i2; expected int16"]),
    "shape": (
        lambda f: replace(f, "frames/landmarks", data=f["frames/landmarks"][:, :5], chunks=(64, 5, 2), maxshape=None),
        ["landmarks has the shape (70, 5, 2); expected (70, 68, 2)"],
    ),
    "chunks": (made_anew("frames/rgb", chunks=(2, 24, 12, 3)), ["rgb is stored in chunks of (2, 24, 12, 3); exp"]),
    "no chunks": (
        made_anew("frames/confidence", chunks=None, maxshape=None, fletcher32=False),
        ["confidence is stored in no chunks; expected chunks of some whole frames"],
    ),
    "no checksum": (made_anew("frames/rgb", fletcher32=False), ["rgb has other filters than its recipe says: none"]),
    "other filter": (made_anew("frames/flow", compression="gzip"), ["flow has other filters than its recipe says: de"]),
    "table without checksum": (
        made_anew("clips", fletcher32=False), ["/clips has other filters than its recipe says: none"],
    ),
    "table without a field": (
        lambda f: replace(f, "clips", data=f["clips"][:][["recording", "first_frame", "label"]]),
        ["/clips has no field n_valid of type int32"],
    ),
    "huge claim": (huge, ["rgb has the shape (1000000000000, 24, 24, 3); expected (70, 24, 24, 3)"]),
    "no such flow": (lambda f: f["frames/flow"].attrs.__delitem__("scale"), ["flow has no attribute scale"]),
    "scale": (
        lambda f: f["frames/flow"].attrs.__setitem__("scale", 1.0), ["the scale of the flow is 1.0; expected 256.0"],
    ),
    "saturated": (
        lambda f: f["frames/flow"].attrs.__setitem__("saturated", 3),
        ["says that 3 values of the flow were cut, but 0 are as large as that"],
    ),
    "beyond": (field("recordings", 1, "first_frame", 31), ["recording 'anna/gaps.avi' has 30 frames from row 31"]),
    "n_frames": (field("recordings", 2, "n_frames", 11), ["its recordings end at row 71; expected 70"]),
    "huge n_frames": (field("recordings", 0, "n_frames", 2**62), ["recording 'anna/gaps.avi' has 30 frames"]),
    "id twice": (
        field("recordings", 0, "id", b"anna/gaps.avi"),
        ["recordings are stored twice: 'anna/gaps.avi'"],
    ),
    "no UTF-8": (field("recordings", 0, "path", b"\xff\xfe"), ["/recordings has texts that are no UTF-8"]),
    "label": (
        field("recordings", 0, "label", 2),
        ["recording 'anna/long.avi': a label that is not between -1 and 1", "clips 0 to 5 have another label than"],
    ),
    "subject of a row": (field("recordings", 1, "subject", b"ben"), ["recording 'anna/gaps.avi': another subject"]),
    "group of a row": (field("recordings", 1, "group", 2), ["recording 'anna/gaps.avi': another group than 1"]),
    "fps": (field("recordings", 1, "fps", np.nan), ["recording 'anna/gaps.avi': a frame rate that is none"]),
    "input": (field("recordings", 1, "sha256", b"xyz"), ["recording 'anna/gaps.avi': a sha256 that is none"]),
    "extra": (field("recordings", 1, "extra", b'{"a": 1}'), ["recording 'anna/gaps.avi': extra facts that are no JSO"]),
    "clip of nobody": (field("clips", 2, "recording", 9), ["clips 2 are of recordings that are not there"]),
    "clip outside": (field("clips", 5, "first_frame", 25), ["clips 5 reach beyond their recording"]),
    "clip far outside": (field("clips", 5, "first_frame", 2**63 - 1), ["clips 5 reach beyond their recording"]),
    "short clip": (field("clips", 0, "n_valid", 7), ["other numbers of frames than clips of 8 have in their"]),
    "clip order": (field("clips", 1, "first_frame", 0), ["clips 1 are not in the order of recordings and time"]),
    "clip label": (field("clips", 1, "label", 0), ["clips 1 have another label than their recording"]),
    "clip moved": (
        field("clips", 1, "first_frame", 5),
        ["recording 'anna/long.avi': its clips begin at frames 0, 5, 8, 12, 16, 20 (6 clips); by the recipe and the "],
    ),
    "fewer clips": (fewer_clips, ["/clips has 9 rows; index.json says 10"]),
    "n_detected": (field("recordings", 0, "n_detected", 29), ["recording 'anna/long.avi': n_detected is 29, but 30"]),
    "neither true nor false": (
        a_third_truth,
        ["detected is neither true nor false: frame 0", "the confidence is not 0, though no face was found: frame 0",
         "no face was found, but there are landmarks: frame 0", "recording 'anna/long.avi': n_detected is 30, but 29"],
    ),
    "confidence": (put("frames/confidence", 3, 1.5), ["the confidence is not between 0 and 1: frame 3, "]),
    "no confidence": (put("frames/confidence", 3, np.nan), ["the confidence is not between 0 and 1: frame 3"]),
    "sure of nothing": (put("frames/confidence", 34, 0.5), ["the confidence is not 0, though no face was found: fra"]),
    "landmarks lost": (
        put("frames/landmarks", np.s_[4:6, 0, 0], np.nan),
        ["a face was found, but its landmarks are not all numbers: frames 4 to 5, recording 'anna/long.avi'"],
    ),
    "landmarks of nobody": (put("frames/landmarks", 30, 0), ["no face was found, but there are landmarks: frame 30"]),
    "transform": (
        put("frames/transform", np.s_[34, 0, 0], np.nan),
        ["the transform is neither a map nor NaN: frame 34", "the flow is not 0, though this image or the one before"],
    ),
    "no transform": (
        put("frames/transform", 0, np.nan),
        ["a face was found, but there is no transform: frame 0", "the image is not black, though there is no transfor",
         "the flow is not 0, though this image or the one before is missing: frame 1"],
    ),
    "not black": (put("frames/rgb", np.s_[30, 0, 0], 9), ["the image is not black, though there is no transform: fr"]),
    "flow of a first frame": (put("frames/flow", np.s_[60, 0, 0], 5), ["the flow is not 0 in the first frame of a re"]),
    "flow of nothing": (put("frames/flow", np.s_[47, 0, 0], 5), ["the flow is not 0, though this image or the one be"]),
    "plain": (put("frames/rgb", 10, 0), ["a face was found, but the image is one colour: frame 10, recording 'anna/l"]),
    "coloured": (put("frames/rgb", 10, [9, 8, 7]), ["a face was found, but the image is one colour: frame 10, recor"]),
    "no flow": (put("frames/flow", np.s_[:30], 0), ["recording 'anna/long.avi': its images change by"]),
    "flow the same": (one_flow, ["recording 'anna/long.avi': its images change by"]),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_inside_of_a_shard_is_found_and_named(shards: Path, damage: str) -> None:
    edit, expected = DAMAGES[damage]
    with small.changed(shards) as file:
        edit(file)
    result = small.verify_here(shards)
    found = [finding.sentence for finding in result.findings if finding.file == small.FILE]
    assert len(found) == len(expected), found
    for sentence, beginning in zip(found, expected, strict=True):
        assert sentence.startswith(beginning)
    assert result.delete_first == (small.FILE,)  # its hash fits: a build would keep it
    # no other file is blamed, but that the ledger may tell of other recordings
    assert {finding.file for finding in result.findings} <= {small.FILE, "ledger.csv"}


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 255
    path.write_bytes(content)


def test_frames_that_fail_their_checksum_are_named_with_their_recordings(shards: Path) -> None:
    with h5py.File(shards / small.FILE) as file:
        chunks = [file["frames/rgb"].id.get_chunk_info(k) for k in (14, 15)]  # of 2 frames each
        mark = file["frames/detected"].id.get_chunk_info(0)
    for chunk in chunks:
        flip(shards / small.FILE, chunk.byte_offset + chunk.size // 2)
    assert small.sentences(small.verify_here(shards)) == [
        f"{small.FILE}: is damaged, or another file: its sha256 is not the one in index.json",
        f"{small.FILE}: frames 28 to 31 of rgb fail their checksum: recordings 'anna/long.avi', 'anna/gaps.avi'",
    ]
    flip(shards / small.FILE, mark.byte_offset + 2)
    assert (
        f"{small.FILE}: frames 0 to 69 of detected fail their checksum: recordings 'anna/long.avi', 'anna/gaps.avi', "
        "'anna/still.avi'"
    ) in small.sentences(small.verify_here(shards))


def test_another_builds_shard_is_told_from_a_damaged_one(shards: Path) -> None:
    shutil.copy(shards / small.OTHER, shards / small.FILE)
    found = small.sentences(small.verify_here(shards))
    assert f"{small.FILE}: subject is 'ben'; index.json says 'anna'" in found
    assert not any("checksum" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be opened as HDF5 (its beginning is no HDF5 file's)"),
        (b"<html>", "cannot be opened as HDF5 (its beginning is no HDF5 file's)"),
        (None, "is not there, but index.json lists it"),
        (0.5, "cannot be opened as HDF5 (it is cut short: "),
    ],
)
def test_what_is_no_shard_is_said(shards: Path, content: bytes | float | None, sentence: str) -> None:
    path = shards / small.FILE
    if content is None:
        path.unlink()
    else:
        path.write_bytes(
            content if isinstance(content, bytes) else path.read_bytes()[: int(content * path.stat().st_size)]
        )
    found = [finding.sentence for finding in small.verify_here(shards).findings]
    assert found[-1].startswith(sentence)


def test_a_link_is_as_good_as_the_file_that_it_leads_to(shards: Path, tmp_path: Path) -> None:
    path = shards / small.FILE
    path.rename(tmp_path / "outside.h5")
    path.symlink_to(tmp_path / "outside.h5")
    assert not small.verify_here(shards).findings
    path.unlink()
    path.symlink_to(shards / small.OTHER)
    assert small.verify_here(shards).findings
    path.unlink()
    os.mkfifo(path)
    assert small.sentences(small.verify_here(shards)) == [f"{small.FILE}: is no file"]
    path.unlink()
    path.symlink_to(path.name)
    assert small.sentences(small.verify_here(shards)) == [
        f"{small.FILE}: cannot be read (Too many levels of symbolic links)"
    ]


def test_a_recording_in_two_shards_is_found(shards: Path) -> None:
    shutil.copy(shards / small.FILE, shards / "manifest-sanna~2.h5")
    small.edit_index(
        shards, lambda index: index["shards"].insert(1, index["shards"][0] | {"file": "manifest-sanna~2.h5"})
    )
    assert [s for s in small.sentences(small.verify_here(shards)) if "another shard" in s] == [
        f"{file}: recordings are stored in another shard, too: 'anna/gaps.avi', 'anna/long.avi', 'anna/still.avi'"
        for file in (small.FILE, "manifest-sanna~2.h5")
    ]


LIMITED = """
import resource, sys
from pathlib import Path
import small
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
print(*small.sentences(small.verify_here(Path(sys.argv[1]))), sep="\\n")
"""


@pytest.mark.parametrize("dataset", [*(f"frames/{name}" for name in FRAMES), "recordings", "clips"])
def test_a_dataset_that_claims_to_be_huge_is_not_believed(shards: Path, dataset: str) -> None:
    n = 10**12
    with small.changed(shards) as file:
        for name in FRAMES if dataset.startswith("frames") else [dataset]:
            file[f"frames/{name}" if name in FRAMES else name].resize(n, axis=0)
    key = {"recordings": "n_recordings", "clips": "n_clips"}.get(dataset, "n_frames")
    small.edit_index(shards, lambda index: index["shards"][0].update({key: n}))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(shards)], capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    name = dataset.removeprefix("frames/") if dataset.startswith("frames") else f"/{dataset}"
    assert f"{small.FILE}: {name} claims " in done.stdout, done.stderr


def test_frames_that_were_never_written_are_found(shards: Path) -> None:
    with small.changed(shards) as file:
        for name in FRAMES:
            file[f"frames/{name}"].resize(200, axis=0)
    small.edit_index(shards, lambda index: index["shards"][0].update({"n_frames": 200}))
    found = small.sentences(small.verify_here(shards))
    assert f"{small.FILE}: 65 chunks of rgb were never written, the first one at row 70" in found


@pytest.mark.parametrize("filter_", ["none", "gzip"])
def test_a_chunk_that_is_too_short_is_found_though_hdf5_reads_it(tmp_path: Path, filter_: str) -> None:
    """Behind it, HDF5 shows what lies in its memory."""
    shards = small.write(tmp_path / "shards", filter_)
    with small.changed(shards) as file:
        dataset = file["frames/landmarks"]
        plist = dataset.id.get_create_plist()
        plist.set_chunk((1, 68, 2))
        space = h5py.h5s.create_simple((1, 68, 2))
        short = h5py.Dataset(h5py.h5d.create(file.id, b"short", dataset.id.get_type(), space, plist))
        short[:] = dataset[:1]
        file.flush()
        raw = short.id.read_direct_chunk((0, 0, 0))[1]
        dataset.id.write_direct_chunk((0, 0, 0), raw)
        assert np.array_equal(dataset[:1], short[:], equal_nan=True)
    assert f"{small.FILE}: chunks of landmarks have another size than they must have: 1" in small.sentences(
        small.verify_here(shards)
    )


def test_a_bitshuffled_chunk_without_its_last_block_is_found(tmp_path: Path) -> None:
    shards = small.write(tmp_path / "shards", size=64)
    with small.changed(shards) as file:
        dataset = file["frames/rgb"]
        raw = bytearray(dataset.id.read_direct_chunk((0, 0, 0, 0))[1][:-4])
        position, blocks = 12, []
        while position < len(raw):
            blocks.append(position)
            position += 4 + int.from_bytes(raw[position : position + 4], "big")
        cut = raw[: blocks[-1]]
        block_bytes = int.from_bytes(cut[8:12], "big")
        cut[:8] = ((len(blocks) - 1) * block_bytes).to_bytes(8, "big")
        with h5py.File(tmp_path / "sum.h5", "w") as sums:  # for its checksum
            content = np.frombuffer(cut, np.uint8)
            summed = sums.create_dataset("x", data=content, chunks=content.shape, fletcher32=True)
            sums.flush()
            dataset.id.write_direct_chunk((0, 0, 0, 0), summed.id.read_direct_chunk((0,))[1])
    assert small.sentences(small.verify_here(shards)) == [
        f"{small.FILE}: chunks of rgb have another size than they must have: 1"
    ]
