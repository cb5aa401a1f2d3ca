"""Workers of a foreign cluster must see what the driver sees: the same tools, and the same files under the same paths.

The driver leaves a token in the output and the cache directory, every worker must find it there, and the driver must
find the worker's answer. The corpus is only read: some of its files must begin with the same bytes. Workers that join
later look before their first task.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from distributed import Client, get_worker

from fer_prep.errors import FerPrepError
from fer_prep.files import TEMPORARY_SUFFIX, TOKEN_PREFIX
from fer_prep.recipe import changed_fields
from fer_prep.versions import tool_versions

BEGINNING = 1 << 16
ARRIVES_S = 10.0  # what another machine wrote, over a slow network
SAME_PATHS = "all workers must see it under the same path"
_proven: set[str] = set()  # tokens, in a worker process


class StrangeWorkerError(FerPrepError):
    """A worker that would make other shards, or none."""


@dataclass(frozen=True)
class Places:
    """What the driver sees.

    Attributes:
        token: of this run.
        directories: what it is -> where the token lies.
        beginnings: a file or directory that is only read -> its fingerprint.
    """

    token: str
    versions: Mapping[str, Any]
    directories: Mapping[str, Path]
    beginnings: Mapping[Path, str]

    def file(self, directory: Path, *, answer: str = "") -> Path:
        return directory / f"{TOKEN_PREFIX}{self.token}{answer}{TEMPORARY_SUFFIX}"


@contextmanager
def shown_places(
    versions: Mapping[str, Any], directories: Mapping[str, Path], read_only: Sequence[Path]
) -> Iterator[Places]:
    """Leave a token in all directories, for as long as the context lasts.

    Raises:
        FerPrepError: a directory cannot be written to.
    """
    own = {name: value for name, value in versions.items() if name != "openface"}
    places = Places(uuid4().hex, own, directories, {path: fingerprint(path) for path in read_only})
    try:
        for directory in directories.values():
            _write(places.file(directory))
        yield places
    finally:
        for directory in directories.values():
            for left in directory.glob(f"{TOKEN_PREFIX}{places.token}*"):
                with suppress(OSError):
                    left.unlink()


def prove(client: Client, places: Places) -> None:
    """Have the scheduler and all workers that are there now look.

    Raises:
        StrangeWorkerError: one of them sees something else.
    """
    try:
        client.run_on_scheduler(_imports)
    except ImportError as error:
        raise StrangeWorkerError(
            f"the scheduler cannot import fer_prep ({error}); it passes tasks on, so install the same "
            "version of fer-convlstm[prep] there"
        ) from error
    for worker, answer in client.run(_look_and_answer, places, on_error="return").items():
        if isinstance(answer, Exception):
            raise _failed(worker, answer)
        if answer.problem:
            raise StrangeWorkerError(f"worker {worker} {answer.problem}")
        for what, directory in places.directories.items():
            if not _arrives(places.file(directory, answer=answer.name)):
                raise StrangeWorkerError(
                    f"worker {worker} writes to another directory than this machine: its file does not arrive in the "
                    f"{what} {directory}; {SAME_PATHS}"
                )


def at_the_same_places(places: Places, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, in a worker that has looked.

    Raises:
        StrangeWorkerError: it sees something else than the driver.
    """
    if places.token not in _proven:
        problem = differences(places)
        if problem:
            raise StrangeWorkerError(f"worker {get_worker().address} {problem}")
        _proven.add(places.token)
    return function(*arguments)


def differences(places: Places) -> str:
    """What is different here from what the driver sees, in words that follow "worker X"; empty: nothing."""
    here = {name: value for name, value in tool_versions().items() if name != "openface"}
    changes = changed_fields(dict(places.versions), here)
    if changes:
        return (
            f"has other tools than this machine ({'; '.join(changes)}); install the same versions, for they decide "
            "the bytes"
        )
    for what, directory in places.directories.items():
        try:
            places.file(directory).read_bytes()
        except OSError as error:
            if not directory.is_dir():
                return f"does not see the {what} {directory} ({error.strerror}); {SAME_PATHS}"
            return f"sees another directory than this machine under the {what} {directory}; {SAME_PATHS}"
    for path, expected in places.beginnings.items():
        found = fingerprint(path)
        if not found:
            return f"cannot read {path}; {SAME_PATHS}"
        if found != expected:
            return f"sees other bytes in {path} than this machine; {SAME_PATHS}"
    return ""


def fingerprint(path: Path) -> str:
    """Size and beginning of a file, or the names in a directory; empty if it cannot be read."""
    try:
        if path.is_dir():
            names = sorted(os.fsencode(entry.name) for entry in path.iterdir())
            return hashlib.sha256(b"\0".join(names)).hexdigest()
        with path.open("rb") as file:
            return f"{path.stat().st_size} {hashlib.sha256(file.read(BEGINNING)).hexdigest()}"
    except OSError:
        return ""


@dataclass(frozen=True)
class _Answer:
    name: str
    problem: str = ""


def _look_and_answer(places: Places) -> _Answer:
    name = f"-{uuid4().hex}"
    problem = differences(places)
    for what, directory in places.directories.items():
        if problem:
            break
        try:
            _write(places.file(directory, answer=name))
        except FerPrepError as error:
            problem = f"cannot write to the {what}: {error}"
    return _Answer(name, problem)


def _imports() -> None:
    """To find this function, its module is imported."""


def _failed(worker: str, error: Exception) -> FerPrepError:
    # what fails before our function is there comes wrapped, as text
    if any(name in repr(error) for name in ("ImportError", "ModuleNotFoundError")):
        return StrangeWorkerError(
            f"worker {worker} cannot import fer_prep ({error}); install the same version of fer-convlstm[prep] there"
        )
    return FerPrepError(f"worker {worker} does not answer ({error}); end it, or mend its connection")


def _write(path: Path) -> None:
    try:
        path.write_bytes(b"")
    except OSError as error:
        raise FerPrepError(f"{path.parent} cannot be written to ({error.strerror})") from error


def _arrives(path: Path) -> bool:
    end = time.monotonic() + ARRIVES_S
    while not path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
