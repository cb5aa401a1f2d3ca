"""One run of OpenFace over some inputs: explicit flags, a private directory, a time limit, a process group to kill."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fer_prep.align.openface.program import OpenFace
from fer_prep.errors import RecordingError
from fer_prep.sequence import list_images

PREFIX = "fer-prep-openface-"
ABANDONED_AFTER_S = 3600
MEMORY_DISK = Path("/dev/shm")  # Linux's file system in memory
BYTES_PER_PIXEL = 3
SPARE_BYTES = 200_000_000  # left free on the disk in memory
# CE-CLM on one busy core was never measured; CLNF does some 50 frames a second
SECONDS_PER_FRAME, SECONDS_TO_START = 0.5, 120.0
TAIL = 100_000  # bytes of its output that are looked at: it may be noisy


@dataclass(frozen=True)
class Input:
    """A recording to be aligned.

    Attributes:
        stem: what its output files are called; equal stems would overwrite each other without a word.
        n_frames: expected; for the time limit and the disk.
    """

    path: Path
    stem: str
    n_frames: int


@dataclass(frozen=True)
class Run:
    """How a run ended. An exit code of 0 means nothing: only the output files do.

    Attributes:
        returncode: negative: killed by that signal; None: it took too long and was killed by us.
        said: the end of its standard output and standard error.
    """

    returncode: int | None
    seconds: float
    said: str


@contextmanager
def private_directory(n_frames: int, face_size: int) -> Iterator[Path]:
    """A fresh directory, in memory if so many images fit there, deleted at the end."""
    if MEMORY_DISK.is_dir():
        _remove_abandoned(MEMORY_DISK)
    need = n_frames * face_size**2 * BYTES_PER_PIXEL + SPARE_BYTES
    in_memory = MEMORY_DISK.is_dir() and os.access(MEMORY_DISK, os.W_OK)
    fits = in_memory and shutil.disk_usage(MEMORY_DISK).free > need
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY_DISK if fits else None) as home:
        yield Path(home)


def _remove_abandoned(place: Path) -> None:
    """Directories of killed workers: their process is gone, and nobody has written there for an hour."""
    for path in place.glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            abandoned = time.time() - path.stat().st_mtime > ABANDONED_AFTER_S
            if abandoned and pid.isdigit() and not Path("/proc", pid).exists():
                shutil.rmtree(path, ignore_errors=True)


def run_openface(
    openface: OpenFace,
    inputs: Sequence[Input],
    home: Path,
    *,
    face_size: int,
    mask: bool,
    limit_s: float | None = None,
) -> Run:
    """Align inputs, all of them videos or all of them directories of images, into `home/out`.

    Returns when it has ended, or was killed because it took too long. Interrupting us kills it too.

    Raises:
        RecordingError: a directory of images cannot be listed.
    """
    out = home / "out"
    out.mkdir()
    command = [str(openface.program)]
    for item in inputs:
        if item.path.is_dir():
            command += ["-fdir", str(_safely_named(item, home)), "-of", item.stem]
        else:
            command += ["-f", str(item.path.absolute()), "-of", item.stem]
    # without explicit output flags it would write everything, a video too
    command += ["-out_dir", str(out), "-2Dfp", "-simalign", "-simsize", str(face_size), "-mloc", str(openface.model)]
    if not mask:
        command.append("-nomask")
    usual_s = SECONDS_TO_START + SECONDS_PER_FRAME * sum(item.n_frames for item in inputs)
    return _run(command, home, usual_s if limit_s is None else limit_s)


def _run(command: list[str], home: Path, limit_s: float) -> Run:
    begin = time.perf_counter()
    said = home / "said.txt"
    with said.open("wb") as log:
        # a session of its own: its children can be killed with it, and a Ctrl-C is ours to handle
        process = subprocess.Popen(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        returncode: int | None = None
        try:
            returncode = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _kill_group(process)
    text = said.read_bytes()[-TAIL:].decode("utf-8", "replace")
    return Run(returncode, time.perf_counter() - begin, text)


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _safely_named(item: Input, home: Path) -> Path:
    """Links to the images under names that OpenFace sorts as we do: it orders by text, and knows small letters only.

    Raises:
        RecordingError: the directory cannot be listed.
    """
    folder = home / "in" / item.stem
    folder.mkdir(parents=True)
    try:
        for number, image in enumerate(list_images(item.path).files, start=1):
            (folder / f"{number:08}{image.suffix.lower()}").symlink_to(image.absolute())
    except OSError as error:
        raise RecordingError("cannot be linked", f"{item.path}: {error.strerror}") from error
    return folder
