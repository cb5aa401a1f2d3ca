"""Files that people write by hand for clips, to compare shards with: the same clips, each window stored whole.

Axes: T time, H rows, W columns, C channels.
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

Window: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int16]]  # rgb_THWC, flow_THW2 in 1/256 px
FLOW_SCALE = np.float32(256)


class FloatWindows:
    """An HDF5 file of float32 windows, gzip level 4.

    Args:
        one_per_chunk: a chunk is a window; otherwise h5py chooses, as it does for those who do not ask.
    """

    def __init__(self, path: Path, windows: Sequence[Window], *, one_per_chunk: bool) -> None:
        rgb = np.stack([rgb for rgb, _ in windows]).astype(np.float32) / 255
        flow = np.stack([flow for _, flow in windows]) / FLOW_SCALE
        with h5py.File(path, "w") as file:
            for name, array in (("rgb", rgb), ("flow", flow)):
                chunks: Any = (1, *array.shape[1:]) if one_per_chunk else True
                file.create_dataset(name, data=array, chunks=chunks, compression="gzip", compression_opts=4)
        self.bytes_per_window = path.stat().st_size / len(windows)
        self._file = h5py.File(path)

    def read(self, i: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One window."""
        return self._file["rgb"][i], self._file["flow"][i]


class TarOfWindows:
    """A tar of .npz windows as for webdataset: uint8 colours, float16 flow in pixels; read from front to back."""

    def __init__(self, path: Path, windows: Sequence[Window]) -> None:
        self._path = path
        with tarfile.open(path, "w") as tar:
            for i, (rgb, flow) in enumerate(windows):
                content = io.BytesIO()
                np.savez(content, rgb=rgb, flow=(flow / FLOW_SCALE).astype(np.float16))
                member = tarfile.TarInfo(f"{i:06}.npz")
                member.size = content.tell()
                tar.addfile(member, io.BytesIO(content.getvalue()))
        self.bytes_per_window = path.stat().st_size / len(windows)

    def read_all(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float16]]]:
        """All windows, in order."""
        with tarfile.open(self._path, "r|") as tar:
            for member in tar:
                opened = tar.extractfile(member)
                assert opened is not None
                with np.load(io.BytesIO(opened.read())) as window:
                    yield window["rgb"], window["flow"]
