"""What the stand-in sees in an input: a recorded OpenFace run replayed, or, for any other input, a synthetic face.

Recorded: the rows of `golden/<clip>/<stem>.fmt22.csv` and the kept aligned images, as they are. Of the -nomask images
only every tenth was kept; the others are made by warping the decoded frame with the recorded matrix (0.0-0.13 grey
levels from OpenFace's own image, 2.4 for face_noface, whose colours this OpenCV decodes differently).

Synthetic: a made-up face in the middle of the picture. It is no measurement of anything. It follows the recorded rules
of detection: tried on frames 1, 13, 25, ...; a flat picture has no face; lost and found again at once; a picture below
60 px is never detected, below 76 px only as the empty first detection (`small64`).
"""

import csv
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from standin_play import Act

Picture = NDArray[np.uint8]
IMAGE_TYPES = (".jpg", ".jpeg", ".png", ".bmp")  # lower case only, as OpenFace
ZERO = ["0.0"] * 136


@dataclass(frozen=True)
class Seen:
    """One frame. `points` are the 136 numbers x_0..x_67 y_0..y_67 as text; `image` is 112x112, None: black."""

    frame: int
    timestamp: str
    confidence: str
    success: str
    points: list[str]
    image: Picture | None


class Source(Protocol):
    """An opened input. `promised`: the number of frames the container (or the folder) claims."""

    width: int
    height: int
    promised: int

    def seen(self, mask: bool) -> Iterator[Seen]:
        """The frames in order."""

    def pictures(self) -> Iterator[Picture]:
        """The decoded frames."""


def image_files(directory: str) -> list[Path]:
    """The images of a sequence, in OpenFace's order: sorted as strings."""
    return sorted((path for path in Path(directory).iterdir() if path.suffix in IMAGE_TYPES), key=str)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Decoded:
    """A video or an image sequence that OpenCV decodes, as OpenFace does."""

    def __init__(self, path: str, images: list[Path] | None, capture: "cv2.VideoCapture | None") -> None:
        self._path, self._images = path, images
        self.fps = 0.0
        self.width = self.height = 0
        if images is not None:
            first = cv2.imread(str(images[0]), cv2.IMREAD_COLOR)
            if first is not None:
                self.height, self.width = first.shape[:2]
            self.promised = len(images)
        elif capture is not None:
            self.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
            self.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
            self.promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            fps = capture.get(cv2.CAP_PROP_FPS)
            self.fps = fps if math.isfinite(fps) and fps > 0 else 30.0

    def pictures(self) -> Iterator[Picture]:
        if self._images is not None:
            for path in self._images:
                picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if picture is None:
                    return
                yield picture.astype(np.uint8, copy=False)
            return
        capture = cv2.VideoCapture(self._path)
        while True:
            read, picture = capture.read()
            if not read or picture is None:
                return
            yield picture.astype(np.uint8, copy=False)

    def seen(self, mask: bool) -> Iterator[Seen]:
        detected, lost, tiny = False, 0, min(self.width, self.height) < 76
        for frame, picture in enumerate(self.pictures(), start=1):
            timestamp = f"{(frame - 1) / self.fps:.3f}" if self.fps else "0.000"
            face = float(picture.std()) >= 2 and min(self.width, self.height) >= 60
            first = not detected and face and frame % 12 == 1
            if first or (detected and face and not tiny):
                detected, lost = True, 0
                points = [f"{value:.1f}" for value in face_points(picture).T.ravel()]
                image = None if tiny else face_image(picture, mask)
                yield Seen(frame, timestamp, "0.00" if tiny else "0.98", "1", points, image)
            elif detected:
                lost += 1
                points = [f"{value + 1.7 * lost:.1f}" for value in face_points(picture).T.ravel()]
                yield Seen(frame, timestamp, "0.00" if tiny else "0.02", "0", points, None)
            else:
                yield Seen(frame, timestamp, "0.00", "0", ZERO, None)


class Recorded:
    """A clip that the real OpenFace was run on. `n_frames` below the clip's: the first images of that sequence."""

    def __init__(self, golden: Path, clip: dict[str, Any], decoded: Decoded, n_frames: int | None) -> None:
        self._home, self._clip, self._decoded, self._n_frames = golden / clip["clip"], clip, decoded, n_frames
        self.width, self.height = int(clip["width"]), int(clip["height"])
        self.promised = n_frames or int(clip["frames_promised"] or clip["csv_rows"])

    def pictures(self) -> Iterator[Picture]:
        return self._decoded.pictures()

    def seen(self, mask: bool) -> Iterator[Seen]:
        stem = self._clip["stem"]
        kept = self._home / f"{stem}_aligned{'' if mask else '_nomask'}"
        pictures: Iterator[Picture] | None = None if mask else self.pictures()
        matrices = {} if mask else self._matrices()
        with (self._home / f"{stem}.fmt22.csv").open(newline="") as file:
            for row in list(csv.reader(file))[1:][: self._n_frames]:
                frame, picture = int(row[0]), next(pictures, None) if pictures else None
                image = None
                if row[4] == "1":
                    name = kept / f"frame_det_00_{frame:06d}.png"
                    image = _read(name) if name.exists() else None
                    if image is None and picture is not None:  # not kept: the recorded matrix on the decoded frame
                        image = cv2.warpAffine(picture, matrices[frame], (112, 112)).astype(np.uint8, copy=False)
                yield Seen(frame, row[2], row[3], row[4], row[5:], image)

    def _matrices(self) -> dict[int, NDArray[np.float64]]:
        with (self._home.parent / "landmark_alignment.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["clip"] == self._clip["clip"] and row["a00"]]
        names = ("a00", "a01", "t0", "a10", "a11", "t1")
        return {int(row["frame"]): np.array([float(row[name]) for name in names]).reshape(2, 3) for row in rows}


def open_video(path: str, config: dict[str, Any]) -> Source | None:
    """None: OpenFace could not open it either."""
    if "://" not in path and "%" not in path and (not Path(path).is_file() or not Path(path).stat().st_size):
        return None
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        return None
    decoded = Decoded(path, None, capture)
    clip = config["files"].get(digest(Path(path))) if Path(path).is_file() else None
    return Recorded(Path(config["golden"]), clip, decoded, None) if clip else decoded


def open_sequence(images: list[Path], config: dict[str, Any]) -> Source:
    decoded = Decoded("", images, None)
    for sequence in config["sequences"]:
        known = sequence["images"]
        if len(images) <= len(known) and [digest(path) for path in images] == known[: len(images)]:
            return Recorded(Path(config["golden"]), sequence["clip"], decoded, len(images))
    return decoded


def played(source: Source, act: Act, mask: bool) -> Iterator[Seen]:
    """The frames of a source, changed by what is to be played about what is seen."""
    pictures: Iterator[Picture] | None = source.pictures() if "false_face" in act else None
    first_false, last_false = act.get("false_face", [0, -1])
    for seen in source.seen(mask):
        now, picture = seen, next(pictures, None) if pictures else None
        if act.get("no_face"):
            now = replace(now, confidence="0.00", success="0", points=ZERO, image=None)
        lost = seen.frame - act.get("lost_from", 10**9)
        if lost >= 0:
            points = [f"{float(value) + 1.7 * (lost + 1):.1f}" for value in seen.points]
            now = replace(now, confidence="0.02", success="0", points=points, image=None)
        if act.get("first_black") and seen.frame == 1:
            first = act["first_black"]
            now = replace(now, confidence=first if isinstance(first, str) else "0.00", success="1", image=None)
        if first_false <= seen.frame <= last_false and picture is not None:
            points = [f"{value:.1f}" for value in face_points(picture).T.ravel()]
            now = replace(now, confidence="0.82", success="1", points=points, image=face_image(picture, mask))
        given = act.get("confidence", {}).get(str(seen.frame))
        if given is not None:
            success, image = (str(int(given > 0.725)), now.image if given > 0.725 else None)
            now = replace(now, confidence=f"{given:.2f}", success=success, image=image)
        if act.get("nan") == seen.frame:
            now = replace(now, points=["nan"] * 136)
        yield now


def _read(path: Path) -> Picture | None:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return None if image is None else image.astype(np.uint8, copy=False)


def shape_68x2() -> NDArray[np.float64]:
    """A made-up frontal face of 68 points in a 112x112 image, drawn with arcs; not OpenFace's mean shape."""

    def arc(n: int, cx: float, cy: float, rx: float, ry: float, start: float, stop: float) -> list[tuple[float, float]]:
        angles = np.radians(np.linspace(start, stop, n))
        return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]

    points = arc(17, 56, 32, 50, 78, 180, 0)  # jaw
    points += arc(5, 33, 22, 17, 9, 190, 330) + arc(5, 79, 22, 17, 9, 210, 350)  # brows
    points += [(56, 29 + 7 * i) for i in range(4)] + [(46 + 5 * i, 57 + 2 * (i == 2)) for i in range(5)]  # nose
    for centre in (33, 79):  # eyes: left corner, upper lid, right corner, lower lid
        points += [(centre + dx, 29 + dy) for dx, dy in ((-8, 0), (-3, -3), (3, -3), (8, 0), (3, 2), (-3, 2))]
    points += arc(7, 56, 76, 20, 7, 180, 360) + arc(5, 56, 76, 18, 9, 30, 150)  # outer lips
    points += arc(5, 56, 76, 15, 2, 180, 360) + arc(3, 56, 76, 12, 3, 45, 135)  # inner lips
    return np.array(points, np.float64)


SHAPE = shape_68x2()


def _window(picture: Picture) -> tuple[float, float, float]:
    """x, y of the corner and the side of the square in the middle where the made-up face sits."""
    height, width = picture.shape[:2]
    side = 0.8 * min(height, width)
    return (width - side) / 2, (height - side) / 2, side


def face_points(picture: Picture) -> NDArray[np.float64]:
    """The made-up 68 points in frame pixels."""
    x, y, side = _window(picture)
    return SHAPE * (side / 112) + (x, y)


def face_image(picture: Picture, mask: bool) -> Picture:
    """The middle of the frame at 112x112; masked: black outside the made-up face."""
    x, y, side = _window(picture)
    scale = 112 / side
    matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
    image = cv2.warpAffine(picture, matrix, (112, 112)).astype(np.uint8, copy=False)
    if mask:
        keep = np.zeros((112, 112), np.uint8)
        cv2.fillConvexPoly(keep, cv2.convexHull(SHAPE.astype(np.int32)), 1)
        image = image * keep[:, :, None]
    return image
