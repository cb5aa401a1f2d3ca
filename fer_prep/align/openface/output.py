"""What a run has left of one input, read with suspicion: a file that is there proves nothing.

OpenFace ends with exit code 0 and "Closed successfully" on truncated videos, full disks and missing inputs. An output
counts only if its table is complete and every frame that it calls found has an image.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_prep.errors import RecordingError

N_POINTS = 68
COLUMNS = (
    "frame", "face_id", "timestamp", "confidence", "success",
    *(f"x_{k}" for k in range(N_POINTS)), *(f"y_{k}" for k in range(N_POINTS)),
)  # fmt: skip
Dialect = Literal["2.0", "2.2"]


@dataclass(frozen=True)
class Output:
    """OpenFace's rows and images of one recording; N frames.

    Attributes:
        dialect: of the table, which tells 2.0 from 2.2.
        success_N: OpenFace says that it found a face.
        confidence_N: 0…1.
        points_N68x2: pixels of the frame; they mean nothing where success is false.
        rgb_NHWC: uint8; black where there is no image.
        has_image_N: an image that is not black.
    """

    dialect: Dialect
    success_N: NDArray[np.bool_]
    confidence_N: NDArray[np.float32]
    points_N68x2: NDArray[np.float64]
    rgb_NHWC: NDArray[np.uint8]
    has_image_N: NDArray[np.bool_]


def read_output(out: Path, stem: str, source: Path, *, n_frames: int, face_size: int) -> Output:
    """The output of one input whose decoding gave `n_frames` frames.

    Raises:
        RecordingError: it is missing or incomplete; kinds begin with "OpenFace".
    """
    dialect, table = _read_table(out / f"{stem}.csv", source)
    if len(table) != n_frames:
        raise RecordingError(
            "OpenFace stopped early" if len(table) < n_frames else "OpenFace has other frames",
            f"{source} has {n_frames} frames, but OpenFace wrote {len(table)} rows; try again, or use --aligner mesh",
            n_frames=len(table),
        )
    success_N = table[:, 4] == 1
    rgb_NHWC, has_image_N = _read_images(out / f"{stem}_aligned", source, success_N, face_size)
    return Output(
        dialect,
        success_N,
        table[:, 3].astype(np.float32),
        np.stack([table[:, 5 : 5 + N_POINTS], table[:, 5 + N_POINTS :]], axis=-1),
        rgb_NHWC,
        has_image_N,
    )


def _read_table(path: Path, source: Path) -> tuple[Dialect, NDArray[np.float64]]:
    """Dialect, and (N,141) numbers in the order of COLUMNS."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header = file.readline()
            names = [name.strip() for name in header.split(",")]
            rows = list(csv.reader(file, skipinitialspace=True))
    except FileNotFoundError as error:
        raise RecordingError("OpenFace wrote nothing", f"{source}: there is no table of it") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _no_table(source, str(error)) from error
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise _no_table(source, f"it has no column {missing[0]}")
    if any(len(row) != len(names) for row in rows):
        raise _no_table(source, "a row is cut")
    places = [names.index(name) for name in COLUMNS]
    try:
        table = np.array([[float(row[place]) for place in places] for row in rows], np.float64).reshape(
            -1, len(COLUMNS)
        )
    except ValueError as error:
        raise _no_table(source, str(error)) from error
    if not np.array_equal(table[:, 0], np.arange(1, len(table) + 1)):
        raise _no_table(source, "its frames are not numbered 1, 2, 3, …")
    return "2.0" if header.startswith("frame, ") else "2.2", table


def _content(path: Path | None) -> bytes:
    """Empty where there is no such file, or it cannot be read."""
    try:
        return path.read_bytes() if path else b""
    except OSError:
        return b""


def _no_table(source: Path, why: str) -> RecordingError:
    return RecordingError("OpenFace wrote a broken table", f"{source}: {why}; is the disk full?")


def _read_images(
    folder: Path, source: Path, success_N: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(N,H,W,3) RGB, and which of them are there and not black. A missing image of a found face is an error."""
    rgb_NHWC = np.zeros((len(success_N), size, size, 3), np.uint8)
    has_image_N = np.zeros(len(success_N), np.bool_)
    by_frame = {path.stem: path for path in folder.glob("frame_det_00_*.*")}
    for k in np.flatnonzero(success_N):
        path = by_frame.get(f"frame_det_00_{k + 1:06}")
        content = np.frombuffer(_content(path), np.uint8)
        image_HWC = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
        if image_HWC is None:
            found = "no image" if path is None else "an empty or broken image"
            raise RecordingError(
                "OpenFace wrote no image", f"{source}: there is {found} of frame {k + 1}; is the disk full?"
            )
        if image_HWC.shape[:2] != (size, size):
            height, width = image_HWC.shape[:2]
            raise RecordingError(
                "OpenFace wrote other images", f"{source}: frame {k + 1} is {width}×{height} and not {size}×{size}"
            )
        rgb_NHWC[k] = image_HWC[:, :, ::-1]
        has_image_N[k] = bool(image_HWC.any())
    return rgb_NHWC, has_image_N
