"""Who is told what happens during a build: a terminal, a log, several of them, or nobody."""

from typing import Literal, Protocol

from fer_prep.stopwatch import Timings
from fer_prep.stored import ShardEntry


class Listener(Protocol):
    """Told what happens, in order, in the driver's thread."""

    def rendering(self, done: int, total: int) -> None:
        """The sample corpus is being rendered: so many of so many videos."""

    def planned(self, n_recordings: int) -> None:
        """The corpus was scanned; work begins."""

    def recording(self, outcome: Literal["ok", "failed", "kept"], n_frames: int, name: str, reason: str) -> None:
        """One recording is aligned, could not be aligned (the reason is why), or lies in a shard that is kept."""

    def shard(self, outcome: Literal["built", "kept"], entry: ShardEntry) -> None:
        """One shard is on the disk."""

    def spent(self, timings: Timings) -> None:
        """What the stages of this run have taken until now, all workers together."""

    def note(self, sentence: str) -> None:
        """Something a user should know."""

    def fault(self, sentence: str) -> None:
        """Something went wrong, and the build goes on: a worker died, and its work is done again."""

    def stopped(self, sentence: str) -> None:
        """The build ends here, unfinished."""

    def finished(self, n_ok: int, n_skipped: int, n_failed: int, digest: str) -> None:
        """The index is written."""


class Silent:
    """Listens and says nothing."""

    def rendering(self, done: int, total: int) -> None: ...

    def planned(self, n_recordings: int) -> None: ...

    def recording(self, outcome: Literal["ok", "failed", "kept"], n_frames: int, name: str, reason: str) -> None: ...

    def shard(self, outcome: Literal["built", "kept"], entry: ShardEntry) -> None: ...

    def spent(self, timings: Timings) -> None: ...

    def note(self, sentence: str) -> None: ...

    def fault(self, sentence: str) -> None: ...

    def stopped(self, sentence: str) -> None: ...

    def finished(self, n_ok: int, n_skipped: int, n_failed: int, digest: str) -> None: ...
