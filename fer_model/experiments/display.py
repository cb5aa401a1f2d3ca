"""What a set of runs says on the terminal, or in a log file: one bar, a line for each run, a small table at the end."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean, stdev

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from fer_model import rundir
from fer_model.errors import RunDirectoryError
from fer_model.experiments.schedule import Member, Schedule, finished
from fer_model.experiments.selection import in_words
from fer_model.results import BestEpoch
from fer_model.rundir import Json
from fer_model.terminal import Terminal

NAMED = 10
"""How many missing runs are named; the others are counted."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """How far a run is."""

    number: int
    """Its place among the runs that are to be trained."""
    epoch: int
    """The one under way, from 1."""
    share: float
    """Of its training, from 0 to 1."""


class ExperimentDisplay:
    """Takes reports of runs, whichever process they come from.

    Args:
        jobs: how many runs are shown at a time.
    """

    def __init__(self, console: Console, schedule: Schedule, *, jobs: int) -> None:
        self._terminal, self._schedule = Terminal(console), schedule
        self._members = schedule.to_train
        self._clock = Clock([member.work for member in self._members])
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[left]}"),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._jobs = jobs
        self._rows: list[TaskID] = []
        self.failed: dict[int, str] = {}
        """Reasons, by the number of the run."""

    def start(self, *, device: torch.device, wants_best_epoch: bool) -> None:
        """What will be trained, and what is finished already."""
        members, index = self._schedule.members, self._schedule.index
        folds = list(dict.fromkeys(member.arguments.fold for member in members))
        seeds = list(dict.fromkeys(member.arguments.seed for member in members))
        names = ", ".join(dict.fromkeys(member.name for member in members))
        config = self._schedule.configs[0]
        self._terminal.line(
            f"{index.corpus}: {len(members)} runs: {names}; {'folds' if len(folds) > 1 else 'fold'} {in_words(folds)} "
            f"of {index.n_groups}, {'seeds' if len(seeds) > 1 else 'seed'} {in_words(seeds)}; preset {config.preset}, "
            f"{config.epochs} {'epochs' if config.epochs > 1 else 'epoch'}, on {device}"
        )
        self._terminal.too_slow(config, gflop=self._schedule.gflop, device=device)
        for words in self._schedule.absent:
            self._terminal.line(f"warning: {words}", style="yellow")
        for words in self._schedule.left_out:
            self._terminal.line(words, style="yellow")
        if self._schedule.note:
            self._terminal.line(f"note: {self._schedule.note}", style="yellow")
        kept = [member for member in members if member.kept]
        if kept:
            self._terminal.line(f"{len(kept)} of {len(members)} are finished already")
        if wants_best_epoch and not all(_best_epoch(_summary(member)) for member in kept):
            self._terminal.line(
                "warning: finished runs were not measured after each epoch: no best epoch of theirs is known; "
                "--overwrite trains all again",
                style="yellow",
            )

    @contextmanager
    def showing(self) -> Iterator[None]:
        """In here, there is a bar."""
        with self._bar:
            if self._jobs > 1:
                self._rows = [self._bar.add_task("", total=1.0, left="", visible=False) for _ in range(self._jobs)]
            self._all = self._bar.add_task("all runs" if self._jobs > 1 else "", total=1.0, left="")
            yield

    def said(self, state: RunState, *, job: int = 0) -> None:
        """A run is under way, in one of the jobs."""
        self._clock.set(state.number, state.share)
        member = self._members[state.number]
        place, n = self._schedule.members.index(member) + 1, len(self._schedule.members)
        text = f"run {place} of {n} · {member} · epoch {state.epoch}/{member.epochs}"
        if self._rows:
            self._bar.update(self._rows[job], description=text, completed=state.share, visible=True)
        else:
            self._bar.update(self._all, description=text)
        self._show_time()

    def ended(self, number: int, reason: str | None) -> None:
        """A run is over; `reason`: why it did not finish."""
        self._clock.end(number)
        self._show_time()
        member = self._members[number]
        if reason is not None:
            self.failed[number] = reason
            self._terminal.line(f"{member}: not finished: {reason}", style="red")
            return
        summary = _summary(member)
        best = _best_epoch(summary)
        self._terminal.line(
            f"{member}: {_number(summary, 'video_accuracy', member):.1%} of recordings right, "
            f"{_number(summary, 'seconds', member):.0f} s"
            + ("" if best is None else f" (best epoch on the test fold {best.epoch}: {best.video_accuracy:.1%})")
        )

    def _show_time(self) -> None:
        left_s = self._clock.left_s()
        left = "" if left_s is None else f"{in_hours(left_s)} left"
        self._bar.update(self._all, completed=self._clock.share, left=left)

    def finish(self) -> None:
        """The table, and what to do next."""
        members = self._schedule.members
        out = members[0].arguments.out
        self._terminal.console.print(accuracy_table(members))
        if self._schedule.note:
            self._terminal.line(f"note: {self._schedule.note}", style="yellow")
        best = [_best_epoch(_summary(member)) for member in finished(members)]
        if any(best):
            accuracies = [epoch.video_accuracy for epoch in best if epoch is not None]
            self._terminal.line(best_epochs_line(accuracies, of=len(members)), style="yellow")
        missing = [str(member) for member in members if member not in finished(members)]
        if missing:
            more = f"; {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            self._terminal.line(f"missing: {'; '.join(missing[:NAMED])}{more}", style="yellow")
        self._terminal.line(f"all figures and comparisons: fer-results {out}")


class Clock:
    """Time left, from the work that was done since the first report; the last one's speed says little of the next.

    Args:
        work: of each run.
    """

    def __init__(self, work: Sequence[float]) -> None:
        self._work = work
        self._done = [0.0] * len(work)  # shares
        self._found = [0.0] * len(work)  # those that a resumed run began with
        self._over = [False] * len(work)
        self._since: float | None = None

    def set(self, number: int, share: float) -> None:
        """This share of a run's training is done."""
        if self._since is None:
            self._since = time.monotonic()
        if self._done[number] == 0.0:  # a run's first step tells where it goes on, and is not counted
            self._found[number] = share
        self._done[number] = share

    def end(self, number: int) -> None:
        """A run is over: what is not done of it will not be."""
        self._over[number] = True

    @property
    def share(self) -> float:
        """Of all work, what need not be done any more."""
        total = sum(self._work)
        return 1 - self._left() / total if total else 1.0

    def left_s(self) -> float | None:
        """Seconds; None: nobody knows yet."""
        made = sum(work * (d - f) for work, d, f in zip(self._work, self._done, self._found, strict=True))
        if self._since is None or made <= 0:
            return None
        return self._left() * (time.monotonic() - self._since) / made

    def _left(self) -> float:
        return sum(
            work * (1 - done) for work, done, over in zip(self._work, self._done, self._over, strict=True) if not over
        )


def in_hours(seconds: float) -> str:
    """As in 0:07 or 3:20:07."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def accuracy_table(members: Sequence[Member]) -> Table:
    """For each network, the accuracy of recordings: mean and deviation over folds, of each the mean of its seeds."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("recordings right, mean ± sd over folds", justify="right")
    table.add_column("runs", justify="right")
    for name in dict.fromkeys(member.name for member in members):
        mine = [member for member in members if member.name == name]
        there = finished(mine)
        folds: dict[int, list[float]] = {}
        for member in there:
            accuracy = _number(_summary(member), "video_accuracy", member)
            folds.setdefault(member.arguments.fold, []).append(accuracy)
        table.add_row(name, mean_and_sd([mean(seeds) for seeds in folds.values()]), f"{len(there)} of {len(mine)}")
    return table


def mean_and_sd(shares: Sequence[float]) -> str:
    """As in `81.2% ± 3.4`; a single one has no deviation."""
    if len(shares) < 2:
        return f"{shares[0]:.1%}" if shares else "–"
    return f"{mean(shares):.1%} ± {100 * stdev(shares):.1f}"


def best_epochs_line(accuracies: Sequence[float], *, of: int) -> str:
    """What the best epochs on the test folds are, and are not."""
    return (
        f"best epochs on the test folds, {len(accuracies)} of {of} runs: {mean_and_sd(accuracies)}: "
        "not a result, each is chosen on what it is measured on"
    )


def _summary(member: Member) -> Json:
    return rundir.read_json(member.run.summary)


def _number(summary: Json, key: str, member: Member) -> float:
    value = summary.get(key)
    if not isinstance(value, int | float):
        raise RunDirectoryError(f"{member.run.summary}: {key} is {value!r}, expected a number; give --overwrite.")
    return float(value)


def _best_epoch(summary: Json) -> BestEpoch | None:
    found = summary.get("best_epoch_on_test")
    return BestEpoch(epoch=found["epoch"], video_accuracy=found["video_accuracy"]) if found else None
