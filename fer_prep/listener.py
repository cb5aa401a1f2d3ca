"""Who is told what happens during a build: a terminal, a log, or nobody."""

from typing import Literal, Protocol


class Listener(Protocol):
    """Told what happens, in order, in the driver's thread."""

    def rendering(self, done: int, total: int) -> None:
        """The sample corpus is being rendered: so many of so many videos."""

    def planned(self, n_recordings: int) -> None:
        """The corpus was scanned; work begins."""

    def recording(self, outcome: Literal["ok", "failed", "kept"], n_frames: int) -> None:
        """One recording is aligned, could not be aligned, or lies in a shard that is kept."""

    def note(self, sentence: str) -> None:
        """Something a user should know."""


class Silent:
    """Listens and says nothing."""

    def rendering(self, done: int, total: int) -> None: ...

    def planned(self, n_recordings: int) -> None: ...

    def recording(self, outcome: Literal["ok", "failed", "kept"], n_frames: int) -> None: ...

    def note(self, sentence: str) -> None: ...
