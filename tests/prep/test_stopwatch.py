"""Time is counted to one stage only, whatever lies within what."""

import time
from collections.abc import Iterator

import pytest

from fer_prep.stopwatch import Stopwatch, Timings


class Clock:
    """Stands still until it is told; waiting is twice as long as computing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "thread_time", lambda: self.now)
        monkeypatch.setattr(time, "perf_counter", lambda: 2 * self.now)

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_stage_within_a_stage_stops_the_outer_one(clock: Clock) -> None:
    watch = Stopwatch()
    with watch("write"):
        clock.work(1)
        with watch("flow"):
            clock.work(10)
        with watch("cache"), watch("flow"):
            clock.work(100)
        clock.work(1000)
    clock.work(10000)
    assert watch.timings.cpu_s == {"write": 1001, "flow": 110, "cache": 0}
    assert watch.timings.wall_s == {"write": 2002, "flow": 220, "cache": 0}


def test_making_an_item_is_counted_and_using_it_is_not(clock: Clock) -> None:
    def frames() -> Iterator[int]:
        for k in range(3):
            clock.work(1)
            yield k
        clock.work(1)

    watch = Stopwatch()
    with watch("align"):
        for k, frame in enumerate(watch.each("decode", frames())):
            assert frame == k
            clock.work(10)
    assert watch.timings.cpu_s == {"align": 30, "decode": 4}


def test_a_stage_that_fails_is_counted_and_ended(clock: Clock) -> None:
    def fail() -> None:
        with watch("decode"):
            clock.work(1)
            raise ValueError("damaged")

    watch = Stopwatch()
    with watch("align"):
        with pytest.raises(ValueError, match="damaged"):
            fail()
        clock.work(10)
    assert watch.timings.cpu_s == {"align": 10, "decode": 1}


def test_computing_is_not_waiting() -> None:
    watch = Stopwatch()
    with watch("openface"):
        time.sleep(0.05)
    assert watch.timings.wall_s["openface"] >= 0.05 > watch.timings.cpu_s["openface"]


def test_timings_of_recordings_add_up_and_those_of_a_batch_are_shared() -> None:
    batch = Timings({"flow": 6.0, "openface": 3.0}, {"flow": 9.0, "openface": 12.0})
    third = batch.share(3)
    assert third == Timings({"flow": 2.0, "openface": 1.0}, {"flow": 3.0, "openface": 4.0})
    both = third + Timings({"decode": 1.0, "flow": 1.0}, {"decode": 1.0, "flow": 1.0})
    assert both.cpu_s == {"decode": 1.0, "openface": 1.0, "flow": 3.0}
    assert both.wall_s == {"decode": 1.0, "openface": 4.0, "flow": 4.0}
