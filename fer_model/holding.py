"""A directory that is written to is held by one process; another one that comes meanwhile is refused."""

import errno
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from fer_model.errors import RunDirectoryError

WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What a file system answers that has no locks: there, nobody is refused."""


class Holding:
    """The directories that this process holds, until the end of the context, or its own.

    The lock of `fold1` is the file `.fold1.lock` beside it. It stays: who removes a lock file takes away the lock of
    the next one.
    """

    def __init__(self) -> None:
        self._held = ExitStack()

    def __enter__(self) -> "Holding":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def take(self, directory: Path) -> None:
        """Hold a directory, which need not be there yet; its parents are made.

        Raises:
            RunDirectoryError: another process holds it, or its parents cannot be made or written to.
        """
        path = lock_file(directory)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(FileLock(path, timeout=0))
        except Timeout as error:
            raise RunDirectoryError(
                f"{directory}: another process writes there now; wait for its end, or choose another --out."
            ) from error
        except NotImplementedError:
            return
        except OSError as error:
            if error.errno in WITHOUT_LOCKS or directory.is_dir():  # who may write there need not be allowed beside it
                return
            raise RunDirectoryError(f"{directory}: cannot be made ({error.strerror}); choose another --out.") from error


def check_free(directory: Path) -> None:
    """Refuse a directory that another process holds. Makes nothing.

    Raises:
        RunDirectoryError: one does.
    """
    if lock_file(directory).exists():
        with Holding() as holding:
            holding.take(directory)


def lock_file(directory: Path) -> Path:
    """The file by which a directory is held, whatever it is called by."""
    real = Path(os.path.realpath(directory))
    return real.parent / f".{real.name}.lock"
