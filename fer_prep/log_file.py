"""What happens during a build as a file of JSON objects, one a line: for programs, and where there is no terminal."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Literal

from fer_prep.errors import UsageError
from fer_prep.files import check_content
from fer_prep.listener import Listener
from fer_prep.stopwatch import Timings
from fer_prep.stored import ShardEntry


@contextmanager
def listening(path: Path | None, then: Listener) -> Iterator[Listener]:
    """A listener that writes to a file and passes on what it hears; without a file, the other one itself.

    Lines are added to what is in the file; the last one says how it ended, whatever ended it.

    Raises:
        UsageError: it cannot be written.
    """
    if path is None:
        yield then
        return
    check_content(path, option="--log-json", begins=b"{")
    try:
        file = FileIO(path, "a")
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); name another file with --log-json") from error
    with file:
        log = LogFile(path, file, then)
        try:
            yield log
        except BaseException as error:
            if not log.ended:
                log.stopped(str(error) or f"stopped by {type(error).__name__}")
            raise


class LogFile:
    """A `Listener` that writes down what it hears, each line at once, and passes it on.

    A build is worth more than its log: when the file cannot be written any more, that is said, and the build goes on.
    """

    def __init__(self, path: Path, file: FileIO, then: Listener) -> None:
        self._path, self._file, self._then = path, file, then
        self._writable = True
        self.ended = False

    def rendering(self, done: int, total: int) -> None:
        self._then.rendering(done, total)

    def planned(self, n_recordings: int) -> None:
        self._write("planned", recordings=n_recordings)
        self._then.planned(n_recordings)

    def recording(self, outcome: Literal["ok", "failed", "kept"], n_frames: int, name: str, reason: str) -> None:
        self._write("recording", recording=name, outcome=outcome, frames=n_frames, reason=reason)
        self._then.recording(outcome, n_frames, name, reason)

    def shard(self, outcome: Literal["built", "kept"], entry: ShardEntry) -> None:
        self._write(
            "shard", file=entry.file, outcome=outcome, subject=entry.subject, group=entry.group, bytes=entry.bytes,
            recordings=entry.n_recordings, clips=entry.n_clips, frames=entry.n_frames,
        )  # fmt: skip
        self._then.shard(outcome, entry)

    def spent(self, timings: Timings) -> None:
        self._then.spent(timings)

    def note(self, sentence: str) -> None:
        self._write("note", sentence=sentence)
        self._then.note(sentence)

    def fault(self, sentence: str) -> None:
        self._write("fault", sentence=sentence, ends=False)
        self._then.fault(sentence)

    def stopped(self, sentence: str) -> None:
        self.ended = True
        self._write("fault", sentence=sentence, ends=True)
        self._then.stopped(sentence)

    def finished(self, n_ok: int, n_skipped: int, n_failed: int, digest: str) -> None:
        self.ended = True
        self._write("finished", ok=n_ok, skipped=n_skipped, failed=n_failed, digest=digest)
        self._then.finished(n_ok, n_skipped, n_failed, digest)

    def _write(self, event: str, **fields: Any) -> None:
        if not self._writable:
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = json.dumps({"time": time, "event": event} | fields, ensure_ascii=False) + "\n"
        line, size = text.encode(errors="backslashreplace"), os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._writable = False
            with suppress(OSError):
                self._file.truncate(size)  # half a line would spoil the file for programs
            self._then.note(f"{self._path} cannot be written ({error.strerror}); the build goes on without this log")
