"""Which failures the stand-in plays, when, and how often: a list of acts, chosen by run, input and count."""

import fcntl
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, cast


class Act(TypedDict, total=False):
    """One thing to play. Without a condition it is played in every run, for every input.

    Frame numbers are 1-based, like the CSV's. `at frame n` means: frames 1..n-1 are written, n is not.
    """

    # conditions
    runs: list[int]  # only in these starts of the executable, counted from 1
    times: int  # at most so often in all runs together; with `stem` or `input`: the first attempts at that input
    stem: str  # only for an input whose file (folder) name without extension, or whose -of name, is this
    input: str  # only for an input whose path holds this text
    # the process as a whole (not with `stem` or `input`)
    startup_s: float  # sleep before anything is printed
    noise_bytes: int  # so many bytes on stderr at the start
    stop_after_inputs: int  # silently end with rc 0 after so many inputs
    argv0_without_directory: bool  # as found through PATH; a script cannot see that by itself
    # an input: ends
    hang: bool  # sleep for ever after `Device or file opened`: details and an empty _aligned are there
    hang_at_frame: int
    abort: str  # SIGABRT "before" any file of this input, or "after" its last row
    abort_at_frame: int
    rc: int  # exit with this code: before any file of this input, or
    rc_at_frame: int  # at this frame
    stdout: str  # printed before `rc` ends the process
    stop_at_frame: int  # the input ends early and orderly, rc 0
    frame_s: float  # sleep per frame
    # an input: what is seen
    no_face: bool  # never detected
    first_black: bool | str  # frame 1: success 1, confidence 0.00 (or this text), black image
    lost_from: int  # confidence 0.02, success 0, drifting landmarks, black image from this frame on
    false_face: list[int]  # [first, last]: success 1, confidence 0.82, a picture of whatever is there
    confidence: dict[str, float]  # frame -> confidence; success follows by the 0.725 rule
    nan: int  # all landmarks of this frame are `nan`
    # an input: what is written
    drop_rows: list[int]  # these frames have no CSV row
    drop_images: list[int]  # these frames have no image
    no_images: bool  # a warning line per image, none written
    wrong_size_images: list[int]  # [frame, ...]: these are 7 pixels larger than asked for
    zero_byte_images_from: int  # disk full: empty images and no more CSV from the middle of this row on
    truncate_csv_bytes: int  # cut the finished CSV to so many bytes; negative: cut so many off
    garbage_csv: bool  # the CSV holds bytes that are no CSV


CONDITIONS = {"runs", "times", "stem", "input"}
PROCESS = {"startup_s", "noise_bytes", "stop_after_inputs", "argv0_without_directory"}


def as_acts(play: object) -> list[Act]:
    """A single act or a list of acts, with every name checked.

    Raises:
        ValueError: an unknown name; or a condition on inputs for something that happens to the whole process.
    """
    acts = [play] if isinstance(play, dict) else list(cast(Sequence[object], play or []))
    for act in acts:
        if not isinstance(act, dict) or not set(act) <= set(Act.__annotations__):
            raise ValueError(f"no act of the stand-in: {act!r}; it knows {', '.join(Act.__annotations__)}")
        if set(act) & PROCESS and set(act) & {"stem", "input"}:
            raise ValueError(f"{sorted(set(act) & PROCESS)} happen to a whole process, not to one input: {act!r}")
    return cast(list[Act], acts)


def count(home: Path, name: str) -> int:
    """How often this has been called with that name, this call included; safe between processes."""
    with (home / f"{name}.count").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(".")
        file.flush()
        return file.tell()


class Playbill:
    """The acts of one run."""

    def __init__(self, acts: list[Act], home: Path, run: int) -> None:
        self._home = home
        self._acts = [(index, act) for index, act in enumerate(acts) if run in act.get("runs", [run])]
        self.process = self._join(PROCESS, [pair for pair in self._acts if set(pair[1]) & PROCESS])

    def for_input(self, path: str, names: set[str]) -> Act:
        """What to play for one input, which counts as an attempt."""
        meant = [
            (index, act)
            for index, act in self._acts
            if set(act) - PROCESS - CONDITIONS
            and act.get("stem", next(iter(names))) in names
            and act.get("input", "") in path
        ]
        return self._join(set(Act.__annotations__) - PROCESS - CONDITIONS, meant)

    def _join(self, names: set[str], acts: list[tuple[int, Act]]) -> Act:
        joined: dict[str, object] = {}
        for index, act in acts:
            kind = "process" if names == PROCESS else "input"
            if "times" not in act or count(self._home, f"act{index}-{kind}") <= act["times"]:
                joined |= {name: value for name, value in act.items() if name in names}
        return cast(Act, joined)


def log(home: Path, **what: object) -> None:
    """One line of runs.jsonl: what a test may ask afterwards (`standin_install.runs`)."""
    with (home / "runs.jsonl").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(what) + "\n")
