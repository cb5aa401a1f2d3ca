"""Numbered images: a directory of them becomes a stream of upright RGB frames, as a video file does in `video`.

Nothing is taken for a picture that is not whole: a file that is cut, damaged or not downloaded is a sentence.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from fer_prep.errors import RecordingError
from fer_prep.files import is_pointer, is_stray, pointer_sentence

# decoders are imported where they are used: corpora are listed without them, and --help waits for nothing
if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from fer_prep.video import ToRgb

IMAGE = re.compile(r"([0-9]*)\.(?:png|jpe?g|bmp)\Z", re.IGNORECASE)
EXAMPLE = "S005_001_00000001.png"
# A picture is what its first bytes say; a JPEG that is called .png is read as what it is.
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8": "mjpeg", b"BM": "bmp"}
# FFmpeg shows what there is if only the last few bytes of a file are missing.
END_MARKS = {"png": b"IEND", "mjpeg": b"\xff\xd9"}
MOST_MISSING_LISTED = 1000  # numbers may be time stamps, with billions between them
MOST_NAMED = 4  # in one remark


@dataclass(frozen=True)
class ImageList:
    """The images of one sequence.

    Attributes:
        files: in the order of the numbers that end their names.
        missing: numbers between first and last that have no image; the first 1000 of them.
        n_missing: how many numbers are missing.
        strays: other names in the directory, without what operating systems leave behind.
    """

    files: tuple[Path, ...]
    missing: tuple[int, ...]
    n_missing: int
    strays: tuple[str, ...]


@dataclass
class Sequence:
    """Numbered images to be read as a video. `frames()` may be iterated once; `n_read` counts while it runs.

    Attributes:
        fps: None; images say nothing of it.
    """

    path: Path
    images: ImageList
    n_read: int = 0
    fps: None = None

    def frames(self, start_frame: int = 0, end_frame: int | None = None) -> "Iterator[NDArray[np.uint8]]":
        """Images start_frame … end_frame - 1, counted from 0 whatever their numbers, each (H,W,3) uint8 RGB, upright.

        Grey pictures have three equal channels, 16-bit ones their upper 8 bits, transparency is left out.

        Raises:
            RecordingError: there are fewer images, one is empty, damaged or a large-file pointer, or sizes differ.
        """
        from fer_prep.video import ToRgb, check_part

        check_part(self.path, self.n_declared, start_frame, end_frame)
        size, to_rgb = (0, 0), ToRgb()
        for file in self.images.files[start_frame:end_frame]:
            try:
                rgb_HWC = read_picture(file, to_rgb)
            except RecordingError as error:
                error.n_frames = self.n_read
                raise
            height, width = rgb_HWC.shape[:2]
            if self.n_read and (height, width) != size:
                raise RecordingError(
                    "mixed sizes",
                    f"{file} is {width}×{height}, but the images before it are {size[1]}×{size[0]}; "
                    "restore it from its source, or name the part to use with end_frame in a manifest",
                    n_frames=self.n_read,
                )
            size = (height, width)
            self.n_read += 1
            yield rgb_HWC

    @property
    def n_declared(self) -> int:
        """Number of images."""
        return len(self.images.files)

    @property
    def n_expected(self) -> int:
        """The same: there is nothing to estimate."""
        return self.n_declared

    @property
    def remark(self) -> str:
        """Empty, or which frame numbers are missing in between and which images have none."""
        remarks = []
        if self.images.n_missing:
            numbers = [str(number) for number in self.images.missing[:MOST_NAMED]]
            remarks.append(f"frame numbers missing in between: {_some(numbers, self.images.n_missing)}")
        unnumbered = _images_among(self.images.strays)
        if unnumbered:
            remarks.append(f"{_images(len(unnumbered))} without a number ignored: {_some_names(unnumbered)}")
        return "; ".join(remarks)


@contextmanager
def open_sequence(directory: Path) -> Iterator[Sequence]:
    """List a directory of numbered images.

    Raises:
        RecordingError: as `list_images`.
    """
    yield Sequence(directory, list_images(directory))


def list_images(directory: Path) -> ImageList:
    """The numbered images of a directory, by their names; nothing is opened.

    Raises:
        RecordingError: the directory is missing or unreadable, has no numbered image, or two with one number.
    """
    found: list[tuple[int, str]] = []
    strays: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                name = entry.name
                if is_stray(name):
                    continue
                image = IMAGE.search(name)
                if image and image[1] and not entry.is_dir():
                    found.append((int(image[1]), name))
                else:
                    strays.append(name)
    except OSError as error:
        raise _no_directory(directory, error) from error
    found.sort()
    strays.sort()
    if not found:
        raise RecordingError("no frames", f"{directory} holds {_contents(strays)}; {_expected()}")
    for (number, name), (next_number, next_name) in pairwise(found):
        if number == next_number:
            raise RecordingError(
                "ambiguous frames",
                f"{directory} holds two images of number {number}, {name!r} and {next_name!r}; remove one of them",
            )
    n_missing = found[-1][0] - found[0][0] + 1 - len(found)
    missing: tuple[int, ...] = ()
    if n_missing:
        gaps = (number for (a, _), (b, _) in pairwise(found) for number in range(a + 1, b))
        missing = tuple(islice(gaps, MOST_MISSING_LISTED))
    return ImageList(tuple([directory / name for _, name in found]), missing, n_missing, tuple(strays))


def sequence_sha256(directory: Path) -> str:
    """Hex sha256 of what `sha256sum` prints for the images in frame order: lines of `<hex>  <name>`.

    Raises:
        RecordingError: as `list_images`, or an image cannot be read.
    """
    listing = hashlib.sha256()
    for file in list_images(directory).files:
        try:
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(file, error) from error
        listing.update(digest.encode() + b"  " + os.fsencode(file.name) + b"\n")
    return listing.hexdigest()


def read_picture(file: Path, to_rgb: "ToRgb") -> "NDArray[np.uint8]":
    """One image file as (H,W,3) uint8 RGB, upright. `to_rgb` is shared by the pictures of a sequence."""
    import av.error

    from fer_prep.video import cause

    try:
        data = file.read_bytes()
        if is_pointer(file):
            raise RecordingError("large-file pointer", pointer_sentence(file, "picture"))
    except OSError as error:
        raise _unreadable(file, error) from error
    if not data:
        raise RecordingError("empty file", f"{file} has 0 bytes; restore it from its source")
    codec = next((codec for signature, codec in SIGNATURES.items() if data.startswith(signature)), "")
    if not codec:
        raise _damaged(file, "it is no PNG, JPEG or BMP")
    if END_MARKS.get(codec, b"") not in data:
        raise _damaged(file, "its end is missing")
    try:
        frame = _decode(codec, data)
    except MemoryError:  # FFmpeg's is one too, and the picture is not to blame
        raise
    except av.error.FFmpegError as error:
        raise _damaged(file, cause(error)) from error
    if frame is None:
        raise _damaged(file, "it holds no picture")
    return to_rgb(frame)


def _decode(codec: str, data: bytes) -> "VideoFrame | None":
    import av
    from av.video.codeccontext import VideoCodecContext

    # A decoder of its own for each picture: FFmpeg's PNG decoder takes a second one for changes to the first.
    context = VideoCodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.options = {"err_detect": "crccheck+explode"}
    return next(iter(context.decode(av.Packet(data))), None)


def _damaged(file: Path, why: str) -> RecordingError:
    return RecordingError("damaged", f"{file} cannot be decoded ({why}); restore it from its source")


def _unreadable(file: Path, error: OSError) -> RecordingError:
    if file.is_symlink() and not file.exists():
        return RecordingError("no such file", f"{file} is a link that leads nowhere; restore what it leads to")
    return RecordingError("cannot be read", f"{file}: {error.strerror}")


def _no_directory(directory: Path, error: OSError) -> RecordingError:
    if isinstance(error, FileNotFoundError):
        found = "is a link that leads nowhere" if directory.is_symlink() else "does not exist"
        return RecordingError("no such directory", f"{directory} {found}; {_expected()}")
    if isinstance(error, NotADirectoryError):
        return RecordingError("not a directory", f"{directory} is a file; {_expected()}")
    return RecordingError("cannot be read", f"{directory}: {error.strerror}")


def _expected() -> str:
    return f"a directory of PNG, JPEG or BMP images that end with their frame number was expected, such as '{EXAMPLE}'"


def _contents(strays: list[str]) -> str:
    images = _images_among(strays)
    if images:
        return f"{_images(len(images))}, but none whose name ends with a number, only {_some_names(images)}"
    return f"no image, only {_some_names(strays)}" if strays else "no image"


def _images_among(names: Iterable[str]) -> list[str]:
    return [name for name in names if IMAGE.search(name)]


def _images(n: int) -> str:
    return f"{n} image{'s' if n > 1 else ''}"


def _some_names(names: list[str]) -> str:
    return _some([repr(name) for name in names[:MOST_NAMED]], len(names))


def _some(first: list[str], n: int) -> str:
    """The first few of n things."""
    return ", ".join(first) + (f" … and {n - len(first)} more" if n > len(first) else "")
