"""Decoding: a video file becomes a stream of upright RGB frames, and a damaged file becomes a sentence.

FFmpeg stops at the first hole of a truncated file as if the video ended there. What the container declares is therefore
compared with what was decoded, and a recording that is shorter than declared is an error, not a short recording.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fer_prep.errors import RecordingError
from fer_prep.files import is_pointer, pointer_sentence

# Containers miscount by a frame or two (dropped, packed or edited frames); more than this is missing data.
MISSING_FRAMES_TOLERATED = 2
MISSING_SHARE_TOLERATED = 0.02
# Where only seconds are declared, they are those of the longest stream, often the sound.
MISSING_SECONDS_TOLERATED = 0.5
# Streams of variable rate are sometimes declared with the clock's rate (1000 per second).
MAX_BELIEVABLE_FPS = 240


@dataclass
class Video:
    """An open video. `frames()` may be iterated once; `n_read` counts while it runs.

    Attributes:
        fps: average frames per second as declared; 0 if the container does not say.
        n_declared: frames that the container promises; None where it makes no promise.
        n_expected: the same, and where there is no promise an estimate by the duration; 0: unknown.
    """

    path: Path
    fps: float
    n_declared: int | None
    n_expected: int
    n_read: int = 0
    _container: InputContainer = field(repr=False, kw_only=True)
    _stream: VideoStream = field(repr=False, kw_only=True)
    _declares_seconds: bool = field(repr=False, kw_only=True)
    _ended: bool = field(default=False, repr=False, kw_only=True)

    def frames(self, start_frame: int = 0, end_frame: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Frames start_frame … end_frame - 1, each (H,W,3) uint8 RGB, upright (the rotation tag applied).

        Raises:
            RecordingError: the stream breaks off, is damaged, or is shorter than declared or than `end_frame`.
        """
        to_rgb = ToRgb()
        try:
            for frame in self._container.decode(self._stream):
                self.n_read += 1
                if self.n_read > start_frame:
                    yield to_rgb(frame)
                if self.n_read == end_frame:
                    return
        except MemoryError:  # FFmpeg's is one too, and the file is not to blame
            raise
        except (av.error.FFmpegError, OSError) as error:
            raise RecordingError(
                "damaged",
                f"{self.path} cannot be decoded after frame {self.n_read}{_of(self.n_declared)} "
                f"({cause(error)}); restore the file from its source",
                n_frames=self.n_read,
            ) from error
        self._check_complete(start_frame, end_frame)
        self._ended = True

    @property
    def remark(self) -> str:
        """Empty, or how many frames a whole video has where its container declares a few more."""
        if self.n_declared is None or self._declares_seconds or not self._ended or self.n_read >= self.n_declared:
            return ""
        return f"fewer frames than declared: {self.n_read} of {self.n_declared}"

    def _check_complete(self, start_frame: int, end_frame: int | None) -> None:
        check_part(self.path, self.n_read, start_frame, end_frame)
        if self.n_read == 0:
            raise RecordingError("no frames", f"{self.path} holds a video stream without a single frame")
        if end_frame is None and self._is_truncated():
            raise RecordingError(
                "truncated",
                f"{self.path} holds {self.n_read}{_of(self.n_declared)} frames; "
                "restore the file from its source, or name the part to use with end_frame in a manifest",
                n_frames=self.n_read,
            )

    def _is_truncated(self) -> bool:
        if self.n_declared is None:
            return False
        tolerated = max(MISSING_FRAMES_TOLERATED, MISSING_SHARE_TOLERATED * self.n_declared)
        if self._declares_seconds:
            tolerated = max(tolerated, MISSING_SECONDS_TOLERATED * self.fps)
        return self.n_declared - self.n_read > tolerated


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Open a video file with one decoding thread.

    Raises:
        RecordingError: the file is missing, empty, unreadable, a large-file pointer, not a video, or has sound only.
    """
    _check_file(path)
    try:
        container = av.open(str(path))
    except MemoryError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        raise RecordingError(
            "cannot be opened",
            f"{path} ({path.stat().st_size:,} bytes) is no complete video file ({cause(error)}); "
            "restore it from its source",
        ) from error
    with container:
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise RecordingError("no video stream", f"{path} holds {kinds} only; a video file was expected")
        stream = container.streams.video[0]
        stream.thread_count = 1
        rate, n_declared = float(stream.average_rate or 0), _declared_frames(container, stream)
        yield Video(
            path,
            rate,
            n_declared,
            round((container.duration or 0) / av.time_base * rate) if n_declared is None else n_declared,
            _container=container,
            _stream=stream,
            _declares_seconds=not stream.frames,
        )


def check_part(path: Path, n_frames: int, start_frame: int, end_frame: int | None) -> None:
    """Raise if a recording of `n_frames` frames does not reach from `start_frame` to `end_frame`.

    Raises:
        RecordingError: it is too short.
    """
    if 0 < n_frames <= start_frame:
        asked, column = f"from {start_frame} on", "start_frame"
    elif end_frame is not None and n_frames < end_frame:
        asked, column = f"up to {end_frame}", "end_frame"
    else:
        return
    raise RecordingError(
        "too short",
        f"{path} has {n_frames} frames, but frames {asked} were asked for; correct {column} in the manifest",
        n_frames=n_frames,
    )


class ToRgb:
    """Decoded frames as (H,W,3) uint8 RGB, turned as their display matrix asks.

    Preparing a conversion takes up to a millisecond: it is done once, and again when frames of another kind come.
    """

    def __init__(self) -> None:
        self._kind: tuple[object, ...] = ()
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        kind = (frame.format.name, frame.width, frame.height, frame.colorspace, frame.color_range)
        if kind != self._kind:
            self._kind, self._reformatter = kind, VideoReformatter()
        rgb_HWC = self._reformatter.reformat(frame, format="rgb24").to_ndarray()
        quarter_turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(rgb_HWC, quarter_turns))


def cause(error: Exception) -> str:
    """What FFmpeg or the operating system says of an error."""
    return str(getattr(error, "strerror", None) or error)


def _declared_frames(container: InputContainer, stream: VideoStream) -> int | None:
    """Frames that the container promises, by its own header; None where it only estimates.

    MP4 and MOV count the frames that an edit list hides: there the shorter of count and duration holds.
    Matroska declares a duration in milliseconds and no count; MPEG program streams declare neither.
    """
    rate = float(stream.average_rate or 0)
    if stream.frames:
        if "mp4" in container.format.name and stream.duration and stream.time_base and rate:
            return min(stream.frames, round(stream.duration * stream.time_base * rate))
        return stream.frames
    if "matroska" in container.format.name and container.duration and 0 < rate <= MAX_BELIEVABLE_FPS:
        return round(container.duration / av.time_base * rate)
    return None


def _check_file(path: Path) -> None:
    try:
        if not path.exists():
            found = "is a link that leads nowhere" if path.is_symlink() else "does not exist"
            raise RecordingError("no such file", f"{path} {found}")
        if not path.is_file():
            found = "a directory" if path.is_dir() else "no regular file"
            raise RecordingError("not a file", f"{path} is {found}; a video file was expected")
        if path.stat().st_size == 0:
            raise RecordingError("empty file", f"{path} has 0 bytes; restore it from its source")
        if is_pointer(path):
            raise RecordingError("large-file pointer", pointer_sentence(path, "video"))
    except OSError as error:
        raise RecordingError("cannot be read", f"{path}: {error.strerror}") from error


def _of(n: int | None) -> str:
    return "" if n is None else f" of {n}"
