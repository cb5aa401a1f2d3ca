"""Chunks of images and flow, straight from the bytes of a shard: where each lies, whether it is whole, what it holds.

HDF5 reads for one thread at a time. Here a chunk's bytes are read by `pread` and decoded with no lock held, so that
threads work side by side, and forked workers share nothing but an open file.

Axes: N frames, K chunks.
"""

import ctypes
import math
import os
import zlib
from array import array
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, TypeAlias

import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
GZIP, SHUFFLE, FLETCHER32, BITSHUFFLE = 1, 2, 3, 32008  # HDF5's numbers of filters
LZ4 = 2  # bitshuffle's number of a codec
HEADER_BYTES, CHECKSUM_BYTES = 12, 4  # bitshuffle's header before, fletcher32 behind the data of a chunk
COLUMNS = 256  # of the matrix that a checksum is summed over


class Filter(Enum):
    """How the chunks of a dataset are compressed; the values are those of the recipe's storage.filter."""

    NONE = "none"
    GZIP = "gzip"
    BITSHUFFLE_LZ4 = "bitshuffle-lz4"


class ChunkError(Exception):
    """A chunk is not what was written; the message says in which way."""


@dataclass(frozen=True, kw_only=True)
class ChunkTable:
    """Where the chunks of one dataset lie, and how they are decoded.

    Attributes:
        n_rows: frames of a chunk; the last chunk is whole too, and only its first rows count.
        row_shape: of a frame.
        chunk_bytes: of a decoded chunk.
        offset_K, size_K: bytes in the file.
        filter: how chunks are compressed.
        verified_K: whose checksum was found right by this process.
    """

    n_rows: int
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk_bytes: int
    offset_K: "array[int]"
    size_K: "array[int]"
    filter: Filter
    verified_K: bytearray = field(repr=False)


def chunk_table(dataset: h5py.Dataset) -> ChunkTable | None:
    """The table of a dataset chunked along its first axis; None if only HDF5 itself can decode it here.

    Raises:
        ChunkError: its filters are not the format's; a chunk is missing, outside of the file, or skips its checksum.
    """
    n_rows, n_chunks = dataset.chunks[0], -(-len(dataset) // dataset.chunks[0])
    offset_K, size_K = array("q", bytes(8 * n_chunks)), array("q", bytes(8 * n_chunks))

    def note(chunk: Any) -> None:
        k = chunk.chunk_offset[0] // n_rows
        if k < n_chunks and chunk.filter_mask == 0:
            offset_K[k], size_K[k] = chunk.byte_offset, chunk.size

    dataset.id.chunk_iter(note)
    file_bytes = dataset.file.id.get_filesize()
    for k, (offset, size) in enumerate(zip(offset_K, size_K, strict=True)):
        if size == 0 or offset < 0 or offset + size > file_bytes:
            raise ChunkError(f"chunk {k} is not in the file, or not filtered as the others are")
    filter_ = filter_of(dataset)
    if filter_ is None:
        raise ChunkError("it is filtered in a way that the format does not have")
    if filter_ is Filter.BITSHUFFLE_LZ4 and _bitshuffle() is None:
        return None
    return ChunkTable(
        n_rows=n_rows, row_shape=dataset.shape[1:], dtype=dataset.dtype,
        chunk_bytes=math.prod(dataset.chunks) * dataset.dtype.itemsize,
        offset_K=offset_K, size_K=size_K, filter=filter_, verified_K=bytearray(n_chunks),
    )  # fmt: skip


def read_rows(descriptor: int, table: ChunkTable, first: int, last: int, *, out: Array) -> None:
    """Rows `first` to `last - 1` of a dataset, from an open file into a contiguous array of their shape and type.

    A chunk's checksum is computed the first time that this process reads it; its lengths are looked at each time, for
    the decoder believes them.

    Raises:
        ChunkError: a chunk is damaged.
        OSError: the file cannot be read.
    """
    assert (out.shape, out.dtype) == ((last - first, *table.row_shape), table.dtype)
    assert out.flags.c_contiguous
    n = table.n_rows
    row_bytes = table.chunk_bytes // n
    out_address = out.ctypes.data
    for k in range(first // n, -(-last // n)):
        raw = os.pread(descriptor, table.size_K[k], table.offset_K[k])
        if not table.verified_K[k]:
            _verify(raw, table, k)
            table.verified_K[k] = 1
        low, high = max(k * n, first), min((k + 1) * n, last)
        if high - low == n:
            decode(raw, table, k, out_address + (low - first) * row_bytes)
        else:
            whole = np.empty((n, *table.row_shape), table.dtype)
            decode(raw, table, k, whole.ctypes.data)
            out[low - first : high - first] = whole[low - k * n : high - k * n]


def fletcher32(data: bytes | memoryview) -> int:
    """HDF5's checksum of some bytes: two sums over big-endian words of 16 bits, modulo 65535.

    Of a zero modulo 65535, HDF5 stores either form; compare modulo 65535.
    """
    # Sums of byte-swapped words are byte-swapped sums: the factor 256 in the end. The second sum counts the word at
    # row r and column c as often as there are words from it to the end, so sums over rows and over columns suffice.
    n_words = len(data) // 2
    words = np.frombuffer(data, "<u2", n_words)
    n_rows = n_words // COLUMNS
    matrix = words[: n_rows * COLUMNS].reshape(n_rows, COLUMNS)
    of_column = matrix.sum(0, dtype=np.uint32).astype(np.int64)
    of_row = matrix.sum(1, dtype=np.uint32).astype(np.int64)
    rest = words[n_rows * COLUMNS :].astype(np.int64)
    first = int(of_row.sum() + rest.sum())
    second = int(
        of_row @ (n_words - COLUMNS * np.arange(n_rows))
        - of_column @ np.arange(COLUMNS)
        + rest @ np.arange(len(rest), 0, -1)
    )
    if len(data) % 2:
        first += data[-1]
        second += first
    return (second * 256 % 65535) << 16 | first * 256 % 65535


def _verify(raw: bytes, table: ChunkTable, k: int) -> None:
    """Raises ChunkError unless the chunk is as long as it should be, and fits its checksum."""
    if len(raw) != table.size_K[k]:
        raise ChunkError(f"chunk {k} ends after {len(raw)} of {table.size_K[k]} bytes")
    data = memoryview(raw)[:-CHECKSUM_BYTES]
    stored = int.from_bytes(raw[-CHECKSUM_BYTES:], "little")
    computed = fletcher32(data)
    if (stored >> 16) % 65535 != computed >> 16 or (stored & 0xFFFF) % 65535 != computed & 0xFFFF:
        raise ChunkError(f"chunk {k} fails its checksum")
    if table.filter is Filter.NONE and len(data) != table.chunk_bytes:
        raise ChunkError(f"chunk {k} holds {len(data)} bytes, expected {table.chunk_bytes}")


def _check_blocks(raw: bytes, table: ChunkTable, k: int) -> None:
    """Raises ChunkError unless the lengths in a bitshuffled chunk add up."""
    block_bytes = int.from_bytes(raw[8:12], "big")
    element_bytes = table.dtype.itemsize
    if (
        int.from_bytes(raw[:8], "big") != table.chunk_bytes
        or block_bytes < 8 * element_bytes
        or block_bytes % (8 * element_bytes)
    ):
        raise ChunkError(f"chunk {k} is compressed for another size")
    n_blocks, rest = divmod(table.chunk_bytes, block_bytes)
    n_blocks += rest // element_bytes >= 8
    position = HEADER_BYTES
    end = len(raw) - CHECKSUM_BYTES
    for _ in range(n_blocks):
        position += 4 + int.from_bytes(raw[position : position + 4], "big")
        if position > end:
            break
    if position + table.chunk_bytes // element_bytes % 8 * element_bytes != end:
        raise ChunkError(f"chunk {k} is compressed into blocks of other lengths")


def decode(raw: bytes, table: ChunkTable, k: int, address: int) -> None:
    """Decode a chunk to where `table.chunk_bytes` bytes are free."""
    if len(raw) != table.size_K[k]:
        raise ChunkError(f"chunk {k} ends after {len(raw)} of {table.size_K[k]} bytes")
    if table.filter is Filter.NONE:
        ctypes.memmove(address, raw, table.chunk_bytes)
        return
    if table.filter is Filter.GZIP:
        ctypes.memmove(address, _inflated(raw, table, k), table.chunk_bytes)
        return
    _check_blocks(raw, table, k)
    decompress = _bitshuffle()
    assert decompress is not None
    element_bytes = table.dtype.itemsize
    block_elements = int.from_bytes(raw[8:12], "big") // element_bytes
    source = np.frombuffer(raw, np.uint8).ctypes.data
    n_elements = table.chunk_bytes // element_bytes
    used = decompress(source + HEADER_BYTES, address, n_elements, element_bytes, block_elements)
    if used != len(raw) - HEADER_BYTES - CHECKSUM_BYTES:
        raise ChunkError(f"chunk {k} cannot be decompressed")


def _inflated(raw: bytes, table: ChunkTable, k: int) -> bytes:
    """A gzip chunk, its bytes in their places again."""
    try:
        data = zlib.decompressobj().decompress(memoryview(raw)[:-CHECKSUM_BYTES], table.chunk_bytes + 1)
    except zlib.error as error:
        raise ChunkError(f"chunk {k} cannot be decompressed ({error})") from error
    if len(data) != table.chunk_bytes:
        raise ChunkError(f"chunk {k} is compressed for another size")
    return np.frombuffer(data, np.uint8).reshape(table.dtype.itemsize, -1).T.tobytes()


def filter_of(dataset: h5py.Dataset) -> Filter | None:
    """How chunks are stored, with a checksum; None: in a way that the format does not have."""
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    match [code for code, *_ in filters]:
        case [code] if code == FLETCHER32:
            return Filter.NONE
        case [*codes] if codes == [SHUFFLE, GZIP, FLETCHER32]:
            return Filter.GZIP
        case [*codes] if codes == [BITSHUFFLE, FLETCHER32] and filters[0][2][4:] == (LZ4,):
            return Filter.BITSHUFFLE_LZ4
        case _:
            return None


@cache
def _bitshuffle() -> Any:
    """The decoder in hdf5plugin's own library, called without HDF5; None where the library does not show it.

    Source: bitshuffle.h, `bshuf_decompress_lz4(in, out, size, elem_size, block_size)`.
    """
    try:
        library = ctypes.CDLL(hdf5plugin.get_config().registered_filters["bshuf"])
        decompress = library.bshuf_decompress_lz4
    except (OSError, AttributeError, KeyError):
        return None
    decompress.restype = ctypes.c_int64
    decompress.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t)
    return decompress
