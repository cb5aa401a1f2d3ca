"""A clip as a small video: faces beside their flow, at the speed of the recording."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fer_prep.clip_reader import ClipFrames
from fer_prep.colour_wheel import flow_colours
from fer_prep.errors import FerPrepError
from fer_prep.files import temporary_name
from fer_prep.strips import sized

UNKNOWN_FPS = 25.0
BELIEVABLE_FPS = (1.0, 240.0)
SMALLEST = 320  # pixels of a face in the video
# the first that PyAV was built with is taken; every build has the last
ENCODERS = {"libx264": {"crf": "16"}, "mpeg4": {"b": "4M"}}


def write_video(path: Path, clip: ClipFrames, *, full_px: float, encoder: str | None = None) -> None:
    """Write an MP4 with the frames of a clip, the repeated ones too, by rename.

    Args:
        full_px: flow magnitude of the full colour.
        encoder: FFmpeg's name; None: the best of ENCODERS that is there.

    Raises:
        FerPrepError: the file cannot be written.
    """
    encoder = encoder or available_encoder()
    temporary = temporary_name(path)
    try:
        with av.open(str(temporary), "w", format="mp4") as container:
            stream = container.add_stream(encoder, rate=frame_rate(clip.recording.fps), options=ENCODERS[encoder])
            assert isinstance(stream, VideoStream)
            side = _side(clip)
            stream.width, stream.height, stream.pix_fmt = 2 * side, side, "yuv420p"
            for image in _frames(clip, full_px, side):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        temporary.replace(path)
    except (av.error.FFmpegError, OSError) as error:
        raise FerPrepError(
            f"{path} cannot be written ({error.strerror or error}); give another --out or make room"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def available_encoder() -> str:
    """The first of ENCODERS that is there."""
    for name in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except av.error.FFmpegError:
            continue
        return name
    raise FerPrepError(f"PyAV was built without video encoders ({', '.join(ENCODERS)}); write a picture (.png) instead")


def frame_rate(fps: float) -> Fraction:
    """Frames per second for a video; an unknown or unbelievable rate becomes UNKNOWN_FPS."""
    slowest, fastest = BELIEVABLE_FPS
    return Fraction(fps if slowest <= fps <= fastest else UNKNOWN_FPS).limit_denominator(1001)


def _side(clip: ClipFrames) -> int:
    """Of a face in the video, pixels; even, since the codecs store colour at half the resolution."""
    side = max(SMALLEST, int(clip.rgb_THWC.shape[1]))
    return side + side % 2


def _frames(clip: ClipFrames, full_px: float, side: int) -> Iterator[NDArray[np.uint8]]:
    for rgb_HWC, flow_HWC in zip(clip.rgb_THWC, flow_colours(clip.flow_THW2, full_px=full_px), strict=True):
        yield np.concatenate([sized(rgb_HWC, side), sized(flow_HWC, side)], axis=1)
