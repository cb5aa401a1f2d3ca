"""What the datasets of a shard must look like before a row of them is read, and how much they claim.

Nothing is allocated on the word of a file: a dataset's size is believed when all its chunks are there.
"""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from fer_prep.recipe import Recipe
from fer_prep.shards import CLIP_DTYPE, chunk_frames
from fer_prep.stored import own_dataset
from fer_prep.verify.chunks import wrong_sizes
from fer_prep.verify.index import Entry, Index

LARGEST_CHUNK = 16 << 20  # bytes; one frame of images or flow may be larger
BEST_COMPRESSION = 1100  # gzip reaches 1032
TEXT_FIELDS = ("id", "path", "sha256", "subject", "extra")
NUMBER_FIELDS = {
    "label": "<i4", "group": "<i4", "first_frame": "<i8", "n_frames": "<i8", "fps": "<f8", "n_detected": "<i8",
}  # fmt: skip
CLIP_FIELDS = {field: CLIP_DTYPE[field].str for field in CLIP_DTYPE.names or ()}
BITSHUFFLE, DEFLATE, SHUFFLE, FLETCHER32 = 32008, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, 3
FILTERS = {"bitshuffle-lz4": [BITSHUFFLE], "gzip": [DEFLATE, SHUFFLE], "none": []}
BITSHUFFLE_LZ4 = 2


def check_layout(file: h5py.File, entry: Entry, index: Index, file_bytes: int) -> Iterator[str]:
    """Datasets against the format page: kind, type, shape, chunks, filters, and that all chunks are there."""
    for name, (dtype, shape, chunk) in _frame_layout(index.recipe).items():
        dataset = own_dataset(file, f"frames/{name}")
        if isinstance(dataset, str):
            yield dataset
        else:
            expected = (entry.n_frames, *shape)
            yield from _check_frames(dataset, name, dtype, expected, chunk, index.recipe.storage.filter, file_bytes)
    for name, n_rows in (("recordings", entry.n_recordings), ("clips", entry.n_clips)):
        dataset = own_dataset(file, name)
        yield from [dataset] if isinstance(dataset, str) else _check_table(dataset, name, n_rows, file_bytes)


def _frame_layout(recipe: Recipe) -> dict[str, tuple[str, tuple[int, ...], int | None]]:
    """Type, shape of a frame, frames of a chunk (None: as many as the writer likes)."""
    size, kib = recipe.align.face_size, recipe.storage.chunk_kib
    return {
        "rgb": ("|u1", (size, size, 3), chunk_frames(size * size * 3, chunk_kib=kib)),
        "flow": ("<i2", (size, size, 2), chunk_frames(size * size * 4, chunk_kib=kib)),
        "detected": ("|b1", (), None),
        "confidence": ("<f4", (), None),
        "landmarks": ("<f4", (68, 2), None),
        "transform": ("<f4", (2, 3), None),
    }


def _check_frames(
    dataset: h5py.Dataset, name: str, dtype: str, shape: tuple[int, ...], chunk: int | None, filter_: str,
    file_bytes: int,
) -> Iterator[str]:  # fmt: skip
    if dataset.dtype != np.dtype(dtype):
        yield f"{name} is of type {dataset.dtype}; expected {np.dtype(dtype)}"
        return
    if dataset.shape != shape:
        yield f"{name} has the shape {_shape(dataset.shape)}; expected {_shape(shape)}"
        return
    if (
        dataset.chunks is None
        or dataset.chunks[1:] != shape[1:]
        or (chunk or dataset.chunks[0]) != dataset.chunks[0]
        or (chunk is None and np.prod(dataset.chunks) * dataset.dtype.itemsize > LARGEST_CHUNK)
    ):
        found = "in no chunks" if dataset.chunks is None else f"in chunks of {_shape(dataset.chunks)}"
        yield f"{name} is stored {found}; expected chunks of {chunk or 'some'} whole frames"
        return
    yield from _check_storage(dataset, name, filter_, BEST_COMPRESSION * file_bytes)


def _check_table(dataset: h5py.Dataset, name: str, n_rows: int, file_bytes: int) -> Iterator[str]:
    if dataset.dtype.names is None or dataset.ndim != 1:
        yield f"/{name} is no table"
        return
    if len(dataset) != n_rows:
        yield f"/{name} has {len(dataset)} rows; index.json says {n_rows}"
        return
    numbers = NUMBER_FIELDS if name == "recordings" else CLIP_FIELDS
    for field, dtype in numbers.items():
        if field not in dataset.dtype.names or dataset.dtype[field] != np.dtype(dtype):
            yield f"/{name} has no field {field} of type {np.dtype(dtype)}"
    for field in TEXT_FIELDS if name == "recordings" else ():
        text = h5py.check_string_dtype(dataset.dtype[field]) if field in dataset.dtype.names else None
        if text is None or text.length is None or text.encoding != "utf-8":
            yield f"/{name} has no field {field} of UTF-8 text of fixed length"
    if dataset.chunks is None:
        yield f"/{name} has no checksum"
        return
    yield from _check_storage(dataset, f"/{name}", "none", file_bytes)


def _check_storage(dataset: h5py.Dataset, name: str, filter_: str, largest: int) -> Iterator[str]:
    """Filters, and chunks that are all there; what is not compressed has the right size."""
    wrong = [*_check_filters(dataset, name, [*FILTERS[filter_], FLETCHER32]), *_check_claim(dataset, name, largest)]
    yield from wrong
    if not wrong and filter_ == "none":
        yield from wrong_sizes(dataset, name, filter_)


def _check_filters(dataset: h5py.Dataset, name: str, expected: list[int]) -> Iterator[str]:
    creation = dataset.id.get_create_plist()
    found = [creation.get_filter(k) for k in range(creation.get_nfilters())]
    other_codec = any(item[0] == BITSHUFFLE and item[2][4:5] != (BITSHUFFLE_LZ4,) for item in found)
    if sorted(item[0] for item in found) != sorted(expected) or other_codec:
        has = ", ".join(item[3].decode("ascii", "replace").split(";")[0] for item in found) or "none"
        yield f"{name} has other filters than its recipe says: {has}"


def _check_claim(dataset: h5py.Dataset, name: str, largest: int) -> Iterator[str]:
    """Every chunk there, none without its filters, and no more bytes than such a file can hold."""
    n_bytes = int(np.prod([int(n) for n in dataset.shape], dtype=object)) * dataset.dtype.itemsize
    if n_bytes > largest:
        yield f"{name} claims {n_bytes:,} bytes, more than such a file can hold"
        return
    step, n_rows = dataset.chunks[0], len(dataset)
    there: set[int] = set()
    unfiltered = 0

    def visit(chunk: Any) -> None:
        nonlocal unfiltered
        there.add(chunk.chunk_offset[0])
        unfiltered += chunk.filter_mask != 0

    dataset.id.chunk_iter(visit)
    if unfiltered:
        yield f"{name} has {unfiltered} chunks without a checksum or compression"
    missing = -(-n_rows // step) - len(there)
    if missing > 0:
        first = next(row for row in range(0, n_rows, step) if row not in there)
        yield f"{missing} chunks of {name} were never written, the first one at row {first}"


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
