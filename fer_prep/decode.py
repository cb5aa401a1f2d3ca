"""A recording is a video file or a directory of numbered images; both are read in the same way."""

from contextlib import AbstractContextManager
from pathlib import Path

from fer_prep.sequence import Sequence, open_sequence
from fer_prep.video import Video, open_video


def open_recording(path: Path) -> AbstractContextManager[Video | Sequence]:
    """Open a video file, or a directory of numbered images.

    Raises:
        RecordingError: when it is entered; there is none, or it cannot be read.
    """
    return open_sequence(path) if path.is_dir() else open_video(path)
