"""One run of OpenFace over some inputs: explicit flags, a private directory, a time limit, a process group to kill."""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fer_prep.align.openface.program import OpenFace
from fer_prep.errors import RecordingError
from fer_prep.sequence import list_images

PREFIX = "fer-prep-openface-"
LOCK = ".lock"
YOUNG_S = 60
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
LOOK_EVERY_S, STALLED_S = 1.0, 60.0
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
        cpu_s: its computing, in all of its threads.
    """

    returncode: int | None
    seconds: float
    said: str
    cpu_s: float


@contextmanager
def private_directory(n_frames: int, face_size: int, *, in_memory: bool = True) -> Iterator[Path]:
    """A fresh directory, in memory if that is wanted and so many images fit there, deleted at the end.

    A lock in it tells that its owner lives: what killed workers left behind is removed by the next one.
    """
    usual = Path(tempfile.gettempdir())
    places = [MEMORY_DISK, usual] if MEMORY_DISK.is_dir() else [usual]
    for place in places:
        _remove_abandoned(place)
    need = n_frames * face_size**2 * BYTES_PER_PIXEL + SPARE_BYTES
    fits = in_memory and os.access(places[0], os.W_OK) and shutil.disk_usage(places[0]).free > need
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, dir=places[0] if fits else usual) as home,
        FileLock(Path(home, LOCK)),
    ):
        yield Path(home)


def _remove_abandoned(place: Path) -> None:
    for path in place.glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            # a directory that is being made has no lock yet
            if time.time() - path.stat().st_mtime > YOUNG_S:
                with FileLock(path / LOCK, timeout=0):
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
    begin, cpu_before_s = time.perf_counter(), _children_cpu_s()
    said = home / "said.txt"
    with said.open("wb") as log:
        # a session of its own: its children can be killed with it, and a Ctrl-C is ours to handle
        process = subprocess.Popen(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=_die_with_parent,
        )  # fmt: skip
        try:
            returncode = _wait(process, home / "out", limit_s)
        finally:
            _kill_group(process)
    text = said.read_bytes()[-TAIL:].decode("utf-8", "replace")
    return Run(returncode, time.perf_counter() - begin, text, _children_cpu_s() - cpu_before_s)


def _children_cpu_s() -> float:
    """Of processes that have ended. A worker runs one at a time."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wait(process: "subprocess.Popen[bytes]", out: Path, limit_s: float) -> int | None:
    """Its exit code; None if it takes too long, or has written nothing for too long."""
    end = time.monotonic() + limit_s
    stalled, last = end, -1
    while True:
        try:
            return process.wait(min(LOOK_EVERY_S, limit_s))
        except subprocess.TimeoutExpired:
            now, progress = time.monotonic(), sum(1 for _ in out.rglob("*"))
            if progress != last:
                # before its first image it loads its models; after that it writes one for each frame
                stalled, last = now + (STALLED_S if progress > 2 else SECONDS_TO_START), progress
            if now > end or now > stalled:
                return None


def _die_with_parent() -> None:
    """In the child, before it becomes OpenFace: a worker that is killed takes it along (Linux)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


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
