"""Whether the datasets of a shard have the types and shapes of the format, before anything of them is read.

What a file claims is held against what it can hold, so that no claim makes us take memory for it.
"""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the bitshuffle filter
import numpy as np
import numpy.typing as npt

from fer_model.chunks import CHECKSUM_BYTES, FLETCHER32, Filter, filter_of
from fer_model.errors import ShardError

REBUILD = "build this shard again with fer-prep"
DENSEST = 1100  # no filter of the format makes data more than about 1,030 times smaller
LARGEST_CHUNK_BYTES = 16 * 1024**2
FIELDS = {
    "recordings": {
        "id": "S", "subject": "S", "label": "i", "group": "i", "first_frame": "i", "n_frames": "i", "fps": "f",
    },
    "clips": {"recording": "i", "first_frame": "i", "n_valid": "i", "label": "i"},
}  # fmt: skip


class Layout:
    """Checks the datasets of one open shard.

    Args:
        n_bytes: of the file.
    """

    def __init__(self, path: Path, file: h5py.File, *, n_bytes: int) -> None:
        self._path, self._file, self._n_bytes = path, file, n_bytes

    def frame_size(self) -> tuple[int, int]:
        """Height and width of the images, pixels.

        Raises:
            ShardError: they are no images.
        """
        shape = self._dataset("frames/rgb").shape
        if len(shape) != 4 or 0 in shape:
            raise ShardError(f"{self._path}: /frames/rgb has the shape {shape}, expected images (N,H,W,3); {REBUILD}.")
        return shape[1], shape[2]

    def frames(self, name: str, shape: tuple[int, ...], dtype: str) -> None:
        """Refuse a dataset of images or flow that is not as the format says, or cannot be decoded.

        Raises:
            ShardError: it is not.
        """
        dataset = self._dataset(name)
        if dataset.shape != shape or dataset.dtype != dtype:
            found = f"{dataset.dtype}{dataset.shape}"
            raise ShardError(f"{self._path}: {dataset.name} is {found}, expected {dtype}{shape}; {REBUILD}.")
        if dataset.chunks is None or dataset.chunks[1:] != shape[1:] or not dataset.fletcher32:
            raise ShardError(
                f"{self._path}: {name} is stored in chunks of {dataset.chunks} "
                f"{'with' if dataset.fletcher32 else 'without'} checksums, "
                f"expected chunks of whole frames with checksums; {REBUILD}."
            )
        self._check_filters(dataset)
        if filter_of(dataset) is None:
            raise ShardError(f"{self._path}: {name} has filters that the format does not have; {REBUILD}.")
        chunk_bytes = int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
        if chunk_bytes > LARGEST_CHUNK_BYTES:
            raise ShardError(
                f"{self._path}: {name} has chunks of {chunk_bytes} bytes, "
                f"expected at most {LARGEST_CHUNK_BYTES}; {REBUILD}."
            )
        n_chunks = -(-len(dataset) // dataset.chunks[0])
        if dataset.id.get_num_chunks() != n_chunks or n_chunks * chunk_bytes > DENSEST * self._n_bytes:
            raise ShardError(
                f"{self._path}: {name} claims {len(dataset)} frames in {n_chunks} chunks, "
                f"found {dataset.id.get_num_chunks()} in a file of {self._n_bytes} bytes; {REBUILD}."
            )

    def table(self, name: str, *, n_rows: int) -> npt.NDArray[Any]:
        """A table of as many rows as the index says, with the fields that are needed.

        Raises:
            ShardError: it is something else.
        """
        dataset = self._dataset(name)
        if dataset.shape != (n_rows,):
            found = f"{dataset.shape[0]} {name}" if len(dataset.shape) == 1 else f"{name} of shape {dataset.shape}"
            raise ShardError(f"{self._path}: {found}, expected {n_rows} by the index; {REBUILD}.")
        if n_rows * dataset.dtype.itemsize > self._n_bytes:
            raise ShardError(f"{self._path}: {name} claims more bytes than the file has; {REBUILD}.")
        kinds = {field: dataset.dtype[field].kind for field in dataset.dtype.names or ()}
        for field, kind in FIELDS[name].items():
            if kinds.get(field) != kind:
                raise ShardError(
                    f"{self._path}: the field {field} of {name} is {kinds.get(field, 'missing')!r}, "
                    f"expected {kind!r} (numpy's kinds); {REBUILD}."
                )
        self._check_filters(dataset)
        if dataset.chunks is not None:
            self._check_table_chunks(dataset, name)
        rows: npt.NDArray[Any] = dataset.fields(list(FIELDS[name]))[:]
        return rows

    def _check_table_chunks(self, dataset: h5py.Dataset, name: str) -> None:
        """HDF5 reads on in its own memory behind a chunk that is too short."""
        chunk_bytes = dataset.chunks[0] * dataset.dtype.itemsize + CHECKSUM_BYTES
        sizes: list[int] = []
        dataset.id.chunk_iter(lambda chunk: sizes.append(chunk.size if chunk.filter_mask == 0 else 0))
        if filter_of(dataset) is not Filter.NONE or sizes != [chunk_bytes] * -(-len(dataset) // dataset.chunks[0]):
            raise ShardError(f"{self._path}: {name} is not stored whole and with a checksum; {REBUILD}.")

    def _dataset(self, name: str) -> h5py.Dataset:
        """A dataset that lies in this very file."""
        item: Any = self._file
        for part in name.split("/"):
            # the link is looked at before it is followed
            link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
            item = item[part] if isinstance(link, h5py.HardLink) else None
        if not isinstance(item, h5py.Dataset) or item.is_virtual or item.external:
            raise ShardError(f"{self._path}: {name} is no dataset of this file; {REBUILD}.")
        return item

    def _check_filters(self, dataset: h5py.Dataset) -> None:
        plist = dataset.id.get_create_plist()
        for code, _, _, filter_ in (plist.get_filter(i) for i in range(plist.get_nfilters())):
            if code != FLETCHER32 and not h5py.h5z.filter_avail(code):
                raise ShardError(
                    f"{self._path}: {dataset.name} is compressed by HDF5's filter {code} "
                    f"({filter_.decode(errors='replace')}), which is not installed here; "
                    "install a hdf5plugin that has it, or build the shards with another storage.filter."
                )
