"""Reads frames of shards: by their chunks where that is possible, else through HDF5.

Axes: N frames, H rows, W columns, C channels.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from fer_model.chunks import ChunkError, ChunkTable, chunk_table, read_rows
from fer_model.errors import ShardError
from fer_model.layout import REBUILD
from fer_model.shards import Shard

Array = npt.NDArray[Any]
DATASETS = ("frames/rgb", "frames/flow")
OPEN_FILES = 64  # at a time; a process may have about a thousand


class FrameReader:
    """Reads frames of any shard, opening files when they are needed.

    One reader may be used by several threads at a time. It may be pickled to, or forked into, other processes, such as
    the workers of a DataLoader: no HDF5 object outlives a call, and files are read without a common position.
    """

    def __init__(self) -> None:
        self._files: dict[Path, _ShardFile] = {}

    def __getstate__(self) -> dict[str, object]:
        return {"_files": {}}

    def read(self, shard: Shard, first: int, last: int, *, out: tuple[Array, Array]) -> None:
        """Rows `first` to `last - 1` of a shard into two contiguous arrays: rgb_NHWC uint8, flow_NHWC int16.

        Raises:
            ShardError: frames do not pass their checksum, or the file is gone or not the one that was checked.
        """
        try:
            file = self._open(shard)
            file.check(shard)
            for name, table, array in zip(DATASETS, file.tables, out, strict=True):
                if table is None:
                    _read_by_hdf5(shard.path, name, first, last, out=array)
                else:
                    read_rows(file.descriptor, table, first, last, out=array)
        except (OSError, KeyError, RuntimeError, ChunkError) as error:
            raise ShardError(
                f"{shard.path}: frames {first} to {last - 1} cannot be read ({error}); {REBUILD}."
            ) from error

    def _open(self, shard: Shard) -> "_ShardFile":
        # Two threads may open a file at the same time; then one of the two is closed again. No lock, so none is held
        # while another thread forks.
        file = self._files.get(shard.path)
        if file is None:
            file = _open_shard(shard.path)
            for oldest in list(self._files)[: max(0, len(self._files) - OPEN_FILES + 1)]:
                self._files.pop(oldest, None)
            self._files[shard.path] = file
        return file


@dataclass(frozen=True, eq=False)
class _ShardFile:
    """An open file, and where its chunks lie: of the images and of the flow, None if HDF5 must read them."""

    descriptor: int
    tables: tuple[ChunkTable | None, ...]

    def check(self, shard: Shard) -> None:
        """Is it still the file whose sha256 was found right?

        Raises:
            ShardError: it was written to since.
        """
        found = os.fstat(self.descriptor)
        if (found.st_size, found.st_mtime_ns) != (shard.n_bytes, shard.mtime_ns):
            raise ShardError(
                f"{shard.path}: changed while it was in use; wait for fer-prep to finish, and start again."
            )

    def __del__(self) -> None:
        os.close(self.descriptor)


def _open_shard(path: Path) -> _ShardFile:
    with h5py.File(path, "r") as file:
        tables = tuple(chunk_table(file[name]) for name in DATASETS)
    return _ShardFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC), tables)


def _read_by_hdf5(path: Path, name: str, first: int, last: int, *, out: Array) -> None:
    with h5py.File(path, "r") as file:
        file[name].read_direct(out, np.s_[first:last])
