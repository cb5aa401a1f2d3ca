"""What the stages of a recording cost: seconds of computing and seconds of waiting, each counted to one stage only."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar, get_args

Stage: TypeAlias = Literal["decode", "detect", "align", "openface", "cache", "flow", "write"]
STAGES: tuple[Stage, ...] = get_args(Stage)
T = TypeVar("T")


@dataclass(frozen=True)
class Timings:
    """Seconds by stage; stages that had nothing to do are not named.

    Attributes:
        cpu_s: of the thread that worked, and of OpenFace's process where it was one.
        wall_s: with everything that was waited for.
    """

    cpu_s: Mapping[Stage, float] = field(default_factory=dict)
    wall_s: Mapping[Stage, float] = field(default_factory=dict)

    def __add__(self, other: "Timings") -> "Timings":
        return Timings(_sum(self.cpu_s, other.cpu_s), _sum(self.wall_s, other.wall_s))

    def share(self, n: int) -> "Timings":
        """An equal part, for one of n recordings that were treated together."""
        return Timings(*({stage: s / n for stage, s in of.items()} for of in (self.cpu_s, self.wall_s)))


class Stopwatch:
    """Runs on the thread that made it. A stage within a stage stops the outer one meanwhile.

    `with watch("flow"):` counts to a stage; `watch.each("decode", frames)` counts what making each item takes.
    """

    def __init__(self) -> None:
        self._cpu_s: dict[Stage, float] = {}
        self._wall_s: dict[Stage, float] = {}
        self._stage: Stage | None = None
        self._since = (0.0, 0.0)

    @contextmanager
    def __call__(self, stage: Stage) -> Iterator[None]:
        outer = self._turn_to(stage)
        try:
            yield
        finally:
            self._turn_to(outer)

    def each(self, stage: Stage, items: Iterable[T]) -> Iterator[T]:
        """The same items."""
        iterator = iter(items)
        while True:
            with self(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def add_cpu(self, stage: Stage, seconds: float) -> None:
        """Computing that another process has done."""
        self._cpu_s[stage] = self._cpu_s.get(stage, 0.0) + seconds

    @property
    def timings(self) -> Timings:
        """What was counted until now, without a stage that has not ended."""
        return Timings(dict(self._cpu_s), dict(self._wall_s))

    def _turn_to(self, stage: Stage | None) -> Stage | None:
        now, before = (time.thread_time(), time.perf_counter()), self._stage
        if before is not None:
            self.add_cpu(before, now[0] - self._since[0])
            self._wall_s[before] = self._wall_s.get(before, 0.0) + now[1] - self._since[1]
        self._stage, self._since = stage, now
        return before


def _sum(a: Mapping[Stage, float], b: Mapping[Stage, float]) -> dict[Stage, float]:
    return {stage: a.get(stage, 0.0) + b.get(stage, 0.0) for stage in STAGES if stage in a or stage in b}
