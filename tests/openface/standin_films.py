"""Small synthetic inputs and a reader of what was written, for the tests around the stand-in."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def picture(width: int = 320, height: int = 240) -> Picture:
    """Something that is not flat: the stand-in takes any such picture for one with a face."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(40, 220, (height // 8, width // 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def flat(level: int = 0) -> Picture:
    return np.full((240, 320, 3), level, np.uint8)


def h264(path: Path, pictures: Sequence[Picture]) -> Path:
    """An H.264 mp4 of 25 frames per second."""
    return _film(path, pictures, "libx264", "yuv420p", path.suffix[1:])


def mjpeg(path: Path, pictures: Sequence[Picture], quantiser: int | None = None) -> Path:
    """An MJPEG AVI of 25 frames per second; with a fixed quantiser equal pictures have equal sizes."""
    return _film(path, pictures, "mjpeg", "yuvj420p", "avi", quantiser)


def _film(
    path: Path,
    pictures: Sequence[Picture],
    codec: str,
    pixels: str,
    container_format: str,
    quantiser: int | None = None,
) -> Path:
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if quantiser is not None:
            stream.codec_context.qmin = stream.codec_context.qmax = quantiser
        for image in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def audio(path: Path) -> Path:
    """An mp4 with an audio stream only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 16000
        for _ in range(20):
            container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return path


def sequence(directory: Path, pictures: Iterable[Picture], suffix: str) -> Path:
    """A folder of numbered images."""
    directory.mkdir(parents=True)
    for i, image in enumerate(pictures):
        content = cv2.imencode(suffix.lower(), image)[1].tobytes()
        (directory / f"image{i:03d}{suffix}").write_bytes(content)
    return directory


def files(out: Path) -> list[str]:
    """All files below, and the empty folders with a slash, as failures.json lists them."""
    if not out.is_dir():
        return []
    found = [path for path in out.rglob("*") if path.is_file() or not any(path.iterdir())]
    return sorted(f"{path.relative_to(out)}{'/' if path.is_dir() else ''}" for path in found)


def rows(csv_file: Path) -> list[list[str | int]]:
    """[frame, timestamp, confidence, success, "zero"|"values", "face"|"black"|"none"] per row, as in failures.json."""
    found: list[list[str | int]] = []
    aligned = csv_file.with_name(f"{csv_file.stem}_aligned")
    with csv_file.open(newline="") as file:
        for row in csv.DictReader(file, skipinitialspace=True):
            points = {value for name, value in row.items() if name[:2] in ("x_", "y_")}
            image = next(iter(aligned.glob(f"frame_det_00_{int(row['frame']):06d}.*")), None)
            look = "none" if image is None else "face" if read(image).any() else "black"
            kind = "zero" if points == {"0.0"} else "values"
            found.append([int(row["frame"]), row["timestamp"], row["confidence"], row["success"], kind, look])
    return found


def read(path: Path) -> Picture:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image.astype(np.uint8, copy=False)
