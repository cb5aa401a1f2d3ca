"""Clips come out as they were stored: from memory and from disk, by threads and by processes, and never damaged."""

import json
import multiprocessing
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shard_files import LENGTH, edit_shard, store_frames, write_corpus
from torch.utils.data import DataLoader

from fer_model import frames as frames_module
from fer_model.data import Batch, ClipDataset, ClipStore, frames_bytes, pad_clip
from fer_model.device_store import DeviceStore
from fer_model.errors import ArgumentError, ShardError
from fer_model.folds import ClipRef, shards_of
from fer_model.frames import FrameReader
from fer_model.memory import frames_place
from fer_model.shards import read_corpus


def refs_of(shards: Path) -> list[ClipRef]:
    return [ClipRef(shard=shard, clip=clip) for shard in read_corpus(shards).shards for clip in shard.clips]


def new_store(*, size: int = 16) -> ClipStore:
    return ClipStore(clip_length=LENGTH, size=size, readers=2)


def batch_of(store: ClipStore, refs: list[ClipRef]) -> Batch:
    (batch,) = store.batches([refs])
    return batch


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a.rgb_BTHWC, b.rgb_BTHWC) and torch.equal(a.flow_BTHWC, b.flow_BTHWC)


def test_a_clip_holds_the_stored_frames_and_a_short_one_is_padded(shards: Path) -> None:
    refs = refs_of(shards)
    batch = batch_of(new_store(), refs[2:4])
    with h5py.File(refs[0].shard.path) as file:
        rgb, flow = (torch.from_numpy(file[f"frames/{name}"][:]) for name in ("rgb", "flow"))
    assert batch.rgb_BTHWC.dtype == torch.uint8
    assert batch.flow_BTHWC.dtype == torch.int16
    assert torch.equal(batch.rgb_BTHWC[0], rgb[6:10])
    assert torch.equal(batch.rgb_BTHWC[1], rgb[[10, 11, 12, 12]])
    assert torch.equal(batch.flow_BTHWC[1, :3], flow[10:13])
    assert not batch.flow_BTHWC[1, 3].any()
    assert batch.label_B.tolist() == [1, 2]


@pytest.mark.parametrize("size", [8, 16])
def test_clips_are_the_same_from_memory_and_from_disk(shards: Path, size: int) -> None:
    refs = refs_of(shards)
    loaded, partly, read = new_store(size=size), new_store(size=size), new_store(size=size)
    assert sum(loaded.load(refs)) == 78
    assert sum(partly.load(refs[:1])) == 26
    assert same(batch_of(loaded, refs), batch_of(read, refs))
    assert same(batch_of(partly, refs), batch_of(read, refs))


def test_what_was_loaded_is_not_read_again(shards: Path) -> None:
    refs = refs_of(shards)
    store = new_store()
    before = batch_of(store, refs)
    assert sum(store.load(refs)) == 78
    for shard in shards_of(refs):
        shard.path.unlink()
    assert same(batch_of(store, refs), before)


@pytest.mark.parametrize("size", [8, 16])
def test_clips_gathered_on_the_device_are_those_of_the_disk(shards: Path, size: int) -> None:
    refs = refs_of(shards)
    assert {ref.clip.n_valid for ref in refs} == {3, 4}
    store = DeviceStore(new_store(size=size), device=torch.device("cpu"))
    assert list(store.load(refs)) == [26, 26, 26]
    wanted = [refs, refs[::-3], refs[5:6]]
    for found, read in zip(store.batches(wanted), new_store(size=size).batches(wanted), strict=True):
        assert same(found, read)
        assert torch.equal(found.label_B, read.label_B)


@pytest.mark.parametrize("filter_", ["none", "gzip", "bitshuffle-lz4"])
@pytest.mark.parametrize("chunk", [1, 2, 8, 32])
def test_every_row_of_every_filter_and_chunk_is_read(shards: Path, filter_: str, chunk: int) -> None:
    def store_anew(file: h5py.File) -> None:
        for name in ("rgb", "flow"):
            values, attributes = file[f"frames/{name}"][:], dict(file[f"frames/{name}"].attrs)
            del file[f"frames/{name}"]
            store_frames(file, name, values, chunk=chunk, filter_=filter_)
            file[f"frames/{name}"].attrs.update(attributes)

    edit_shard(shards, store_anew)
    shard = read_corpus(shards).shards[0]
    with h5py.File(shard.path) as file:
        expected = file["frames/rgb"][:], file["frames/flow"][:]
    reader = FrameReader()
    for first in range(shard.n_frames):
        for last in range(first + 1, shard.n_frames + 1):
            found = tuple(np.empty_like(whole[first:last]) for whole in expected)
            reader.read(shard, first, last, out=(found[0], found[1]))
            for array, whole in zip(found, expected, strict=True):
                assert np.array_equal(array, whole[first:last])


def test_without_the_decoder_of_hdf5plugin_hdf5_itself_reads_the_same(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = refs_of(shards)
    by_chunks = batch_of(new_store(), refs)
    monkeypatch.setattr(frames_module, "chunk_table", lambda dataset: None)
    assert same(batch_of(new_store(), refs), by_chunks)


def test_batches_come_in_the_order_asked_for(shards: Path) -> None:
    refs = refs_of(shards)
    wanted = [[refs[i], refs[-i - 1]] for i in range(len(refs))]
    store = new_store()
    for pair, batch in zip(wanted, store.batches(wanted), strict=True):
        assert same(batch, batch_of(store, pair))
        assert batch.label_B.tolist() == [ref.label for ref in pair]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_data_loader_read_the_same_clips(shards: Path, method: str) -> None:
    """The parent has files open, and threads running, when the workers start."""
    refs = refs_of(shards)
    store = new_store()
    expected = batch_of(store, refs)
    batches = store.batches([ref] for ref in refs)
    next(batches)
    loader = DataLoader(
        ClipDataset(refs, store), batch_size=len(refs), num_workers=2,
        multiprocessing_context=multiprocessing.get_context(method), timeout=60,
    )  # fmt: skip
    ((rgb, flow, labels),) = loader
    assert same(Batch(rgb_BTHWC=rgb, flow_BTHWC=flow, label_B=labels), expected)
    assert labels.tolist() == [ref.label for ref in refs]
    assert len(list(batches)) == len(refs) - 1


def n_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_many_threads_read_many_files_with_few_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = write_corpus(tmp_path / "shards", n_groups=12, labels=(0, 1), size=8)
    monkeypatch.setattr(frames_module, "OPEN_FILES", 3)
    refs = refs_of(shards) * 5
    expected = [batch_of(new_store(size=8), [ref]) for ref in refs]
    n_open = n_descriptors()
    store = ClipStore(clip_length=LENGTH, size=8, readers=8)
    for batch, alone in zip(store.batches([ref] for ref in refs), expected, strict=True):
        assert same(batch, alone)
        assert n_descriptors() < n_open + 3 + 8 + 4
    assert threading.active_count() < 8


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def later(shards: Path, change: Callable[[Path], object], *, keep_time: bool) -> ShardError:
    """What is said when a file changes after it was checked."""
    refs = refs_of(shards)
    path = refs[0].shard.path
    before = path.stat()
    change(path)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ShardError, match=re.escape(str(path))) as error:
        batch_of(new_store(), refs)
    assert "\n" not in str(error.value)
    return error.value


@pytest.mark.parametrize("name", ["rgb", "flow"])
def test_frames_that_fail_their_checksum_name_the_file(shards: Path, name: str) -> None:
    with h5py.File(read_corpus(shards).shards[0].path) as file:
        at = file[f"frames/{name}"].id.get_chunk_info(0).byte_offset
    error = later(shards, lambda path: flip(path, at + 100), keep_time=True)
    assert "chunk 0 fails its checksum" in str(error)


def test_a_file_that_is_written_to_while_it_is_in_use_is_noticed(shards: Path) -> None:
    assert "changed while it was in use" in str(later(shards, lambda path: flip(path, 10_000), keep_time=False))


@pytest.mark.parametrize("at", [14, 15, 16, 40, 41])
def test_a_chunk_that_changes_after_its_checksum_was_computed_crashes_nothing(shards: Path, at: int) -> None:
    """No write that the file system would tell of: a disk or a memory at fault. The decoder must not run away."""

    def compress(file: h5py.File) -> None:
        rgb = file["frames/rgb"][:] // 64
        del file["frames/rgb"]
        store_frames(file, "rgb", rgb, chunk=2, filter_="bitshuffle-lz4")

    path = edit_shard(shards, compress)
    refs = refs_of(shards)[:2]
    store = new_store()
    batch_of(store, refs)
    before = path.stat()
    with h5py.File(path) as file:
        offset = file["frames/rgb"].id.get_chunk_info(0).byte_offset
    for value in (0x00, 0x7F, 0xFF):
        content = bytearray(path.read_bytes())
        content[offset + at] = value
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        try:
            batch_of(store, refs)
        except ShardError as error:
            assert str(path) in str(error)  # noqa: PT017


def test_a_file_that_is_cut_while_it_is_in_use_is_noticed(shards: Path) -> None:
    refs = refs_of(shards)
    store = new_store()
    batch_of(store, refs)
    path = refs[0].shard.path
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ShardError, match="changed while it was in use"):
        batch_of(store, refs)


def test_a_file_that_is_gone_is_said(shards: Path) -> None:
    assert "cannot be read" in str(later(shards, lambda path: path.unlink(), keep_time=False))


def test_an_error_of_a_thread_ends_loading_at_once(shards: Path) -> None:
    refs = refs_of(shards)
    refs[-1].shard.path.unlink()
    store = new_store()
    with pytest.raises(ShardError, match="cannot be read"):
        list(store.load(refs))
    assert same(batch_of(store, refs[:4]), batch_of(new_store(), refs[:4]))


def test_reading_threads_leave_the_number_of_computing_threads_alone(shards: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        batch_of(new_store(), refs_of(shards))
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)


def test_memory_is_checked_before_frames_are_read(shards: Path) -> None:
    needed = frames_bytes(read_corpus(shards).shards, size=16)
    assert needed == 78 * 16 * 16 * 7
    loaded = new_store()
    sum(loaded.load(refs_of(shards)))
    held = sum(t.numel() * t.element_size() for pair in loaded._loaded.values() for t in pair)
    assert held == needed
    for data in ("ram", "device"):
        assert frames_place(data, needed_bytes=9, free_bytes=9, device_bytes=None) == data
        with pytest.raises(ArgumentError, match=rf"{data}: .* need 5,000 MB and 4,999 MB are free: take --data disk"):
            frames_place(data, needed_bytes=5_000_000_000, free_bytes=4_999_000_000, device_bytes=None)


@pytest.mark.parametrize(
    ("free_bytes", "device_bytes", "place"),
    [(20, None, "ram"), (19, None, "disk"), (0, 20, "device"), (20, 19, "ram"), (19, 19, "disk")],
)
def test_frames_go_to_the_first_memory_of_which_they_take_half(
    free_bytes: int, device_bytes: int | None, place: str
) -> None:
    assert frames_place("auto", needed_bytes=10, free_bytes=free_bytes, device_bytes=device_bytes) == place
    assert frames_place("disk", needed_bytes=1, free_bytes=free_bytes, device_bytes=device_bytes) == "disk"


@given(n=st.integers(1, 9), extra=st.integers(0, 9))
def test_padding_repeats_the_last_image_and_stops_the_flow(n: int, extra: int) -> None:
    rgb = torch.arange(n + extra, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 2, 2, 3)
    flow = torch.full((n + extra, 2, 2, 2), 7, dtype=torch.int16)
    pad_clip(rgb, flow, n_valid=n)
    assert rgb[:, 0, 0, 0].tolist() == [*range(n), *[n - 1] * extra]
    assert flow[:, 1, 1, 0].tolist() == [7] * n + [0] * extra


def test_the_example_in_the_format_document_reads_the_same_clips(shards: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "shard-format.md"
    namespace: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[0], namespace)
    index = json.loads((shards / "index.json").read_text())
    assert index["clip"]["length"] == LENGTH
    expected = list(namespace["clips"](shards, 1))
    refs = [ref for ref in refs_of(shards) if ref.shard.group == 1]
    batch = batch_of(new_store(), refs)
    assert len(expected) == len(refs)
    for i, (rgb, flow, label) in enumerate(expected):
        np.testing.assert_array_equal(batch.rgb_BTHWC[i].numpy(), rgb)
        np.testing.assert_array_equal(batch.flow_BTHWC[i].numpy() / np.float32(256), flow)
        assert batch.label_B[i] == label
