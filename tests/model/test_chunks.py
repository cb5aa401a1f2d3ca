"""The checksum and the decoder of chunks, against HDF5 itself."""

import os
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shard_files import store_frames

from fer_model.chunks import ChunkError, chunk_table, fletcher32, read_rows


@given(n=st.integers(1, 5000), seed=st.integers(0, 2**32 - 1), low=st.booleans())
def test_the_checksum_is_that_of_hdf5(tmp_path_factory: pytest.TempPathFactory, n: int, seed: int, low: bool) -> None:
    """Also of an odd number of bytes, and of many zeros and 0xff, where the sums come near to the modulus."""
    random = np.random.default_rng(seed)
    data = random.choice(np.array([0, 255], np.uint8), n) if low else random.integers(0, 256, n, np.uint8)
    path = tmp_path_factory.mktemp("sum") / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=data, chunks=(n,), fletcher32=True)
    with h5py.File(path) as file:
        _, raw = file["x"].id.read_direct_chunk((0,))
    stored, computed = int.from_bytes(raw[-4:], "little"), fletcher32(raw[:-4])
    assert raw[:-4] == data.tobytes()
    assert ((stored >> 16) % 65535, (stored & 0xFFFF) % 65535) == (computed >> 16, computed & 0xFFFF)


def chunk_of_noise(path: Path) -> tuple[int, int]:
    """A compressed dataset of two chunks; where the second lies: (offset, size)."""
    frames = np.random.default_rng(0).integers(0, 9, (4, 32, 32, 3), np.uint8)
    with h5py.File(path, "w") as file:
        store_frames(file, "rgb", frames, chunk=2, filter_="bitshuffle-lz4")
        info = file["frames/rgb"].id.get_chunk_info(1)
        return info.byte_offset, info.size


def test_every_flipped_bit_of_a_compressed_chunk_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    offset, size = chunk_of_noise(path)
    content = path.read_bytes()
    for at in np.random.default_rng(1).integers(0, 8 * size, 400):
        damaged = bytearray(content)
        damaged[offset + at // 8] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        with h5py.File(path) as file:
            table = chunk_table(file["frames/rgb"])
        assert table is not None
        descriptor = os.open(path, os.O_RDONLY)
        try:
            with pytest.raises(ChunkError, match="chunk 1 fails its checksum"):
                read_rows(descriptor, table, 0, 4, out=np.empty((4, 32, 32, 3), np.uint8))
        finally:
            os.close(descriptor)


@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (0, b"\x7f", "compressed for another size"),
        (8, b"\0\0\0\0", "compressed for another size"),
        (8, b"\0\0\0\x11", "compressed for another size"),
        (12, b"\xff\xff\xff\xff", "blocks of other lengths"),
        (16, b"\xff" * 16, "cannot be decompressed"),
    ],
)
def test_a_chunk_that_lies_about_its_lengths_is_refused_though_its_checksum_fits(
    tmp_path: Path, at: int, value: bytes, sentence: str
) -> None:
    path = tmp_path / "a.h5"
    offset, size = chunk_of_noise(path)
    content = bytearray(path.read_bytes())
    chunk = content[offset : offset + size - 4]
    chunk[at : at + len(value)] = value
    content[offset : offset + size] = chunk + fletcher32(bytes(chunk)).to_bytes(4, "little")
    path.write_bytes(content)
    with h5py.File(path) as file:
        table = chunk_table(file["frames/rgb"])
    assert table is not None
    with path.open("rb") as opened, pytest.raises(ChunkError, match=f"chunk 1 .*{sentence}"):
        read_rows(opened.fileno(), table, 0, 4, out=np.empty((4, 32, 32, 3), np.uint8))


def test_a_chunk_that_was_never_written_is_no_zeros(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(8, 4), chunks=(2, 4), dtype="u1", fletcher32=True)[0:2] = 1
    with h5py.File(path) as file, pytest.raises(ChunkError, match="chunk 1 is not in the file"):
        chunk_table(file["x"])


def test_a_chunk_that_skips_a_filter_skips_its_checksum_and_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", shape=(2, 4), chunks=(2, 4), dtype="u1", fletcher32=True)
        dataset.id.write_direct_chunk((0, 0), bytes(8), filter_mask=1)
    with h5py.File(path) as file, pytest.raises(ChunkError, match="chunk 0 is not in the file, or not filtered"):
        chunk_table(file["x"])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (zlib.compress(bytes(64)), "compressed for another size"),
        (zlib.compress(bytes(10**7)), "compressed for another size"),
        (b"no deflated stream", "cannot be decompressed"),
    ],
)
def test_a_gzip_chunk_of_another_size_is_refused_though_its_checksum_fits(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    """HDF5 itself would show what lies in memory behind a chunk that is too short."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        store_frames(file, "flow", np.zeros((2, 8, 8, 2), np.int16), chunk=2, filter_="gzip")
        file["frames/flow"].id.write_direct_chunk((0,) * 4, data + fletcher32(data).to_bytes(4, "little"))
        table = chunk_table(file["frames/flow"])
    assert table is not None
    with path.open("rb") as opened, pytest.raises(ChunkError, match=f"chunk 0 .*{sentence}"):
        read_rows(opened.fileno(), table, 0, 2, out=np.empty((2, 8, 8, 2), np.int16))
