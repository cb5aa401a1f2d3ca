"""Trains a set of runs, one after the other in this process or several at a time; finished runs are kept."""

import dataclasses
import gc
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from rich.console import Console

from fer_model import rundir
from fer_model.build import pick_device
from fer_model.checkpoint import Progress
from fer_model.errors import ArgumentError, DivergedError, FailedRunsError
from fer_model.experiments.display import ExperimentDisplay, RunState
from fer_model.experiments.jobs import JobFiles, reading, take
from fer_model.experiments.schedule import Experiment, Member, Schedule, finished, schedule
from fer_model.outcome import EndedError, outcome_of
from fer_model.processes import run_processes
from fer_model.ranks import Ranks, torchrun_ranks
from fer_model.results import Epoch
from fer_model.shards import Corpus, read_corpus
from fer_model.stop import Interrupted, hearing_stop
from fer_model.terminal import Terminal
from fer_model.train import train_fold


class Reports(Protocol):
    """Whoever is told how the runs of one process go on."""

    def said(self, state: RunState) -> None:
        """A run is under way."""

    def ended(self, number: int, reason: str | None) -> None:
        """A run is over; `reason`: why it did not finish."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What each process gets: the runs to train, and the shards, checked once."""

    members: tuple[Member, ...]
    corpus: Corpus


def train_experiment(experiment: Experiment, *, console: Console, debug: bool = False) -> None:
    """Check and train all runs of a set that are not finished yet. A run that diverges does not end the others.

    Args:
        console: where to report.
        debug: whether processes that are started here show tracebacks.

    Raises:
        FailedRunsError: some runs diverged; all others are finished.
        FerModelError: one of fer_model.errors; the message says what to do.
        Interrupted: Ctrl-C or SIGTERM; the set can go on.
    """
    check_processes(experiment)
    common = experiment.common
    device = pick_device(common.device, local_rank=0, local_size=experiment.jobs)
    with hearing_stop(says=False):
        with Terminal(console).checking() as checked:
            corpus = read_corpus(common.shards, checked=checked)
        runs = schedule(experiment, corpus, device=device)
        if common.overwrite:
            for member in runs.members:
                rundir.clear(member.run)
        jobs = min(experiment.jobs, len(runs.to_train))
        display = ExperimentDisplay(console, runs, jobs=jobs)
        display.start(device=device, wants_best_epoch=common.report_best_epoch)
        task = Task(members=runs.to_train, corpus=corpus)
        with display.showing():
            train_all(task, runs, jobs=jobs, display=display, debug=debug)
        display.finish()
    if display.failed:
        reasons = "\n".join(f"{task.members[number]}: {reason}" for number, reason in sorted(display.failed.items()))
        raise FailedRunsError(f"{len(display.failed)} of {len(runs.members)} runs did not finish:\n{reasons}")


def check_processes(experiment: Experiment) -> None:
    """Refuse processes that train one run together: a set trains several runs, each in one.

    Raises:
        ArgumentError: there are some.
    """
    if torchrun_ranks() is not None:
        raise ArgumentError(
            "several runs under torchrun, whose processes train one run together: leave torchrun out, "
            "and give --jobs N to train N runs at a time."
        )
    if experiment.common.devices != 1:
        raise ArgumentError(
            f"--devices {experiment.common.devices} with several runs: it divides the steps of one run; "
            f"give --jobs {experiment.common.devices} to train as many runs at a time, a device each."
        )


def train_all(task: Task, runs: Schedule, *, jobs: int, display: ExperimentDisplay, debug: bool) -> None:
    """Train what is to be trained, `jobs` at a time; whatever ends the set says how much of it is finished.

    Raises:
        FerModelError, Interrupted: see `train_experiment`.
    """
    try:
        if jobs > 1:
            train_in_processes(task, jobs=jobs, display=display, debug=debug)
        else:
            train_members(task, ranks=Ranks(), reports=display, mine=lambda number: True)
    except Interrupted as error:
        raise Interrupted(error.number, error.where, others=so_far(runs)) from error
    except EndedError as error:
        outcome = error.outcome
        if not outcome.is_error:
            number = outcome.exit_code - 128
            raise Interrupted(number, "after the steps that were running", others=so_far(runs)) from error
        goes_on = "; the same command with --resume (and no --overwrite) goes on" if error.died else ""
        text = f"{outcome.text.removesuffix('.')}{so_far(runs)}{goes_on}."
        raise EndedError(dataclasses.replace(outcome, text=text), died=False) from error


def so_far(runs: Schedule) -> str:
    """How much of a set is finished, as the end of a sentence."""
    return f"; {len(finished(runs.members))} of {len(runs.members)} runs are finished"


def train_in_processes(task: Task, *, jobs: int, display: ExperimentDisplay, debug: bool) -> None:
    """Train with several processes, each with a device or its part of the cores; one that dies does not end the others.

    Raises:
        EndedError: at least one of them did not come to its end.
        Interrupted: Ctrl-C was pressed twice.
    """
    with tempfile.TemporaryDirectory(prefix="fer-train-") as name:
        meeting = Path(name)
        with reading(meeting, display, n_jobs=jobs, n_runs=len(task.members)):
            run_processes(
                train_as_job, task, n=jobs, meeting=meeting, debug=debug, grace_s=None, called="job"
            )  # fmt: skip


def train_as_job(task: Task, job: int, n: int, meeting: Path) -> None:
    """Train as one of the processes that were started here: a run that no other has taken, then the next."""
    train_members(
        task,
        ranks=Ranks(local_rank=job, local_size=n),
        reports=JobFiles(meeting, job),
        mine=lambda number: take(meeting, number),
    )


def train_members(task: Task, *, ranks: Ranks, reports: Reports, mine: Callable[[int], bool]) -> None:
    """Train one run after the other.

    Args:
        mine: whether this process is the one to train the run with that number; asked once for each.

    Raises:
        Exception: whatever `train_fold` raises, but DivergedError.
    """
    for number, member in enumerate(task.members):
        if not mine(number):
            continue
        reports.said(RunState(number=number, epoch=1, share=0.0))
        watcher = MemberWatcher(number, member, reports)
        try:
            train_fold(
                member.arguments, console=Console(quiet=True), ranks=ranks, corpus=task.corpus, watcher=watcher
            )  # fmt: skip
        except DivergedError as error:
            reports.ended(number, str(error))
        except Exception as error:
            reports.ended(number, outcome_of(error).text)  # now: other processes may go on for hours
            raise
        else:
            reports.ended(number, None)
        if torch.cuda.is_available():  # what the next run may take shall not depend on this one
            gc.collect()
            torch.cuda.empty_cache()


class MemberWatcher:
    """Takes reports from the training loop of a run and hands them on."""

    def __init__(self, number: int, member: Member, reports: Reports) -> None:
        self._number, self._epochs, self._reports = number, member.epochs, reports

    def step_done(self, progress: Progress, *, n_clips: int) -> None:
        """A step was made; `n_clips` are done in this epoch."""
        epochs_done = progress.epoch + progress.step / progress.n_steps
        self._reports.said(RunState(number=self._number, epoch=progress.epoch + 1, share=epochs_done / self._epochs))

    def epoch_done(self, row: Epoch) -> None:
        """An epoch is complete and saved."""
