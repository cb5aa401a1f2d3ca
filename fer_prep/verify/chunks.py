"""Whether chunks hold as many bytes as they must.

HDF5 does not ask: behind a short one it reads on in its own memory.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

HEADER_BYTES, CHECKSUM_BYTES = 12, 4  # bitshuffle's header before, fletcher32 behind the data of a chunk


def wrong_sizes(dataset: h5py.Dataset, name: str, filter_: str) -> Iterator[str]:
    """Says how many chunks decode to another size than a chunk has. Their checksums were found right before.

    Args:
        filter_: as the recipe's storage.filter has it, and the dataset too.
    """
    chunk_bytes = int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
    places: list[tuple[int, int]] = []

    def visit(chunk: Any) -> None:
        places.append((chunk.byte_offset, chunk.size - CHECKSUM_BYTES))

    dataset.id.chunk_iter(visit)
    n_wrong = 0
    with Path(dataset.file.filename).open("rb") as file:
        for offset, size in places:
            file.seek(offset)
            data = file.read(max(size, 0))
            if filter_ == "none":
                n_wrong += len(data) != chunk_bytes
            elif filter_ == "gzip":
                n_wrong += not _inflates_to(data, chunk_bytes)
            else:
                n_wrong += not _blocks_add_up(data, chunk_bytes, dataset.dtype.itemsize)
    if n_wrong:
        yield f"chunks of {name} have another size than they must have: {n_wrong}"


def _inflates_to(data: bytes, n_bytes: int) -> bool:
    try:
        return len(zlib.decompressobj().decompress(data, n_bytes + 1)) == n_bytes
    except zlib.error:
        return False


def _blocks_add_up(data: bytes, n_bytes: int, element_bytes: int) -> bool:
    """Bitshuffle's header: decoded bytes (8) and bytes of a block (4), big-endian; then blocks, each after its length
    (4); then what is left of the last eight elements, as it is."""
    claimed, block_bytes = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:HEADER_BYTES], "big")
    if claimed != n_bytes or block_bytes == 0 or block_bytes % (8 * element_bytes):
        return False
    n_blocks, rest = divmod(n_bytes, block_bytes)
    n_blocks += rest // element_bytes >= 8
    position = HEADER_BYTES
    for _ in range(n_blocks):
        position += 4 + int.from_bytes(data[position : position + 4], "big")
        if position > len(data):
            return False
    return position + n_bytes // element_bytes % 8 * element_bytes == len(data)
