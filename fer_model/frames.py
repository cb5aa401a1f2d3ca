"""Reads frames of shards: by their chunks where that is possible, else through HDF5.

Axes: N frames, H rows, W columns, C channels.
"""

import os
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from fer_model.chunks import ChunkError, ChunkTable, chunk_table, read_rows
from fer_model.errors import ShardError
from fer_model.layout import REBUILD
from fer_model.shards import Shard

Array: TypeAlias = npt.NDArray[Any]
Tables: TypeAlias = tuple[ChunkTable | None, ...]  # of the images and of the flow; None: HDF5 must read them
DATASETS = ("frames/rgb", "frames/flow")
OPEN_FILES = 64  # at a time; a process may have about a thousand


class FrameReader:
    """Reads frames of any shard, opening files when they are needed.

    One reader may be used by several threads at a time. It may be pickled to, or forked into, other processes, such as
    the workers of a DataLoader: no HDF5 object outlives a call, and files are read without a common position.
    """

    def __init__(self) -> None:
        self._tables: dict[Path, Tables] = {}
        self._descriptors: dict[Path, _Descriptor] = {}  # the one that was used last is the last one

    def __getstate__(self) -> dict[str, object]:
        return {"_tables": {}, "_descriptors": {}}

    def read(self, shard: Shard, first: int, last: int, *, out: tuple[Array, Array]) -> None:
        """Rows `first` to `last - 1` of a shard into two contiguous arrays: rgb_NHWC uint8, flow_NHWC int16.

        Raises:
            ShardError: frames do not pass their checksum, or the file is gone or not the one that was checked.
        """
        try:
            file = self._open(shard)
            _refuse_changed(os.fstat(file.number), shard)
            tables = self._tables.get(shard.path)
            if tables is None:
                tables = self._tables[shard.path] = _chunk_tables(shard.path)
            for name, table, array in zip(DATASETS, tables, out, strict=True):
                if table is None:
                    _refuse_changed(shard.path.stat(), shard)  # by name, and so perhaps another file by now
                    _read_by_hdf5(shard.path, name, first, last, out=array)
                else:
                    read_rows(file.number, table, first, last, out=array)
        except (OSError, KeyError, RuntimeError, ChunkError) as error:
            raise ShardError(
                f"{shard.path}: frames {first} to {last - 1} cannot be read ({error}); {REBUILD}."
            ) from error

    def _open(self, shard: Shard) -> "_Descriptor":
        # Two threads may open a file at the same time; then one of the two is closed again. No lock, so none is held
        # while another thread forks. A file that others still read is closed by the last of them.
        file = self._descriptors.pop(shard.path, None) or _Descriptor(shard.path)
        for oldest in list(self._descriptors)[: max(0, len(self._descriptors) - OPEN_FILES + 1)]:
            self._descriptors.pop(oldest, None)
        self._descriptors[shard.path] = file
        return file


class _Descriptor:
    """An open file, closed when nobody holds it any more."""

    def __init__(self, path: Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


def _refuse_changed(found: os.stat_result, shard: Shard) -> None:
    """Is it still the file whose sha256 was found right?

    Raises:
        ShardError: it was written to, or replaced, since.
    """
    if (found.st_size, found.st_mtime_ns) != (shard.n_bytes, shard.mtime_ns):
        raise ShardError(f"{shard.path}: changed while it was in use; wait for fer-prep to finish, and start again.")


def _chunk_tables(path: Path) -> Tables:
    with h5py.File(path, "r") as file:
        return tuple(chunk_table(file[name]) for name in DATASETS)


def _read_by_hdf5(path: Path, name: str, first: int, last: int, *, out: Array) -> None:
    with h5py.File(path, "r") as file:
        file[name].read_direct(out, np.s_[first:last])
