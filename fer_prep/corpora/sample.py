"""The sample corpus: warped photographs, for trying the tools, as real video files in eNTERFACE'05's own folder layout.

120 videos (10 subjects × 6 emotions × 2 sentences, 720×576, 25 fps) are rendered once into a cache directory. Nobody
feels or plays anything in them: sample_face.py warps one public-domain photograph. A score on this corpus says nothing
about real faces.
"""

import io
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import platformdirs
from av.codec.context import Flags
from joblib import Parallel, delayed
from numpy.typing import NDArray

from fer_prep.corpora.recording import Recording
from fer_prep.corpora.sample_face import film
from fer_prep.corpora.sample_warp import FRAME_HW, portrait
from fer_prep.errors import FerPrepError

SAMPLE_VERSION = 2  # part of the directory's name: other pictures are another directory
CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
SUBJECTS = range(1, 11)
SENTENCES = (1, 2)
FPS = 25
QUANTISER = 3  # of MPEG-4 part 2: 1 is best, 31 worst

DATABASE = "enterface database"
VIDEO_PATH = re.compile(r"subject (\d+)/([a-z]+)/sentence (\d+)/s\1_[a-z]{2}_\3\.avi")
ABANDONED_AFTER_S = 3600

# Lies beside the videos: tells a person what they are, and tells us that the directory is ours to write to.
MARKER = "WARPED-PHOTOGRAPHS.txt"
MARKER_TEXT = """These videos are warps of one photograph (`astronaut`, by NASA, public domain), rendered by fer-prep
for trying its tools. Nobody shows an emotion in them, and no number measured on them is a facial-expression accuracy.
The folders imitate the layout of eNTERFACE'05; no file of eNTERFACE'05 is here. The directory can be deleted.
"""

Take = tuple[int, str, int]  # subject, emotion, sentence


def ensure_sample(
    cache_dir: Path | None = None, *, progress: Callable[[int, int], None] | None = None, workers: int = 2
) -> Path:
    """Directory that holds `enterface database/…`; renders what is missing and returns the root.

    A video appears under its name only when it is whole, so an interrupted run is continued by the next one, and two
    runs at once do the same work twice without harm. The same versions of the libraries give the same bytes.

    Args:
        cache_dir: where the sample lies; default: `sample-v2` in the user's cache directory.
        progress: called with (videos there are, videos there will be) after every video that had to be rendered.
        workers: processes that render.

    Raises:
        FerPrepError: the directory cannot be written or holds something else.
    """
    root = cache_dir or Path(platformdirs.user_cache_dir("fer-convlstm")) / f"sample-v{SAMPLE_VERSION}"
    takes = [(subject, emotion, sentence) for subject in SUBJECTS for emotion in CLASSES for sentence in SENTENCES]
    try:
        missing = [take for take in takes if not is_whole(root / video_path(*take))]
        if missing:
            portrait()  # an error of the photograph is said here, once, not by every worker
            _claim(root)
            _remove_abandoned(root)
            _render_all(root, missing, workers, progress)
    except OSError as error:
        raise FerPrepError(
            f"the sample corpus cannot be written to {root}: {error.strerror or error}; "
            "free some space (about 100 MB) or name another cache directory"
        ) from error
    return root


def scan_sample(root: Path) -> list[Recording]:
    """One recording per video under `root`, ordered by subject number, emotion, sentence.

    Raises:
        FerPrepError: there is no video in eNTERFACE'05's layout.
    """
    found: list[tuple[Take, Path]] = []
    for path in (root / DATABASE).glob("subject */*/sentence */*.avi"):
        match = VIDEO_PATH.fullmatch(path.relative_to(root / DATABASE).as_posix())
        if match and match[2] in CLASSES:
            found.append(((int(match[1]), match[2], int(match[3])), path))
    if not found:
        raise FerPrepError(
            f"{root} holds no video of the sample corpus; expected '{video_path(1, 'anger', 1)}' and its like: "
            "render it by running with --dataset sample"
        )
    return [
        Recording(id=name, file=name, path=path, subject=str(subject), label=emotion)
        for (subject, emotion, _), path in sorted(found)
        for name in [path.relative_to(root).as_posix()]
    ]


def video_path(subject: int, emotion: str, sentence: int) -> Path:
    """Where a video lies under the root, named as eNTERFACE'05 names it."""
    folder = Path(DATABASE) / f"subject {subject}" / emotion / f"sentence {sentence}"
    return folder / f"s{subject}_{emotion[:2]}_{sentence}.avi"


def is_whole(path: Path) -> bool:
    """Whether an AVI file is as long as its first header says; false for a missing, empty or cut file."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
        return (
            head[:4] == b"RIFF"
            and head[8:] == b"AVI "
            and int.from_bytes(head[4:8], "little") + 8 == path.stat().st_size
        )
    except FileNotFoundError:
        return False


def render_video(root: Path, subject: int, emotion: str, sentence: int) -> Path:
    """Render one video unless it is there already, under a temporary name until it is whole.

    Raises:
        OSError: the disk is full or the directory cannot be written.
        FerPrepError: as `sample_warp.portrait`.
    """
    path = root / video_path(subject, emotion, sentence)
    if is_whole(path):
        return path
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        content = encode(film(subject, emotion, sentence))
    finally:
        cv2.setNumThreads(threads)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def encode(frames: Iterable[NDArray[np.uint8]]) -> bytes:
    """An AVI file of MPEG-4 part 2 out of (576,720,3) RGB frames, without time stamps or names of programs in it."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=FPS, options={"qmin": str(QUANTISER), "qmax": str(QUANTISER)})
        stream.height, stream.width = FRAME_HW
        stream.pix_fmt = "yuv420p"
        stream.codec_tag = "DIVX"
        stream.thread_count = 1
        stream.codec_context.flags |= Flags.bitexact
        for frame_HWC in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        container.mux(stream.encode(None))
    return memory.getvalue()


def _claim(root: Path) -> None:
    """Make the directory, or make sure that it is one of ours: the real eNTERFACE'05 has the same folders."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / MARKER).exists():
        if any(root.iterdir()):
            raise FerPrepError(
                f"{root} is not empty and holds no sample corpus ({MARKER} is missing); "
                "leave --root out, or name a new directory"
            )
        (root / MARKER).write_text(MARKER_TEXT, encoding="utf-8")


def _render_all(root: Path, missing: list[Take], workers: int, progress: Callable[[int, int], None] | None) -> None:
    n_all = len(SUBJECTS) * len(CLASSES) * len(SENTENCES)
    n_there = n_all - len(missing)
    rendered = Parallel(n_jobs=workers, return_as="generator_unordered")(
        delayed(render_video)(root, *take) for take in missing
    )
    for _ in rendered:
        n_there += 1
        if progress:
            progress(n_there, n_all)


def _remove_abandoned(root: Path) -> None:
    """Delete temporary files of killed runs; young ones may belong to a run that goes on."""
    for path in (root / DATABASE).glob("subject */*/sentence */.*.part"):
        if time.time() - path.stat().st_mtime > ABANDONED_AFTER_S:
            path.unlink(missing_ok=True)
