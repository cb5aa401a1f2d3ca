"""From the arguments to the processes that train: this one, those of torchrun, or some that are started here."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from torch.distributed import FileStore, Store  # type: ignore[attr-defined]  # public, and not in its list of names

from fer_model import rundir
from fer_model.arguments import Arguments
from fer_model.build import pick_device
from fer_model.checkpoint import progress_of
from fer_model.config import Model, name_of, variant_of
from fer_model.errors import ArgumentError, FerModelError, RankError
from fer_model.index import read_index
from fer_model.outcome import EndedError, outcome_of
from fer_model.processes import run_processes
from fer_model.ranks import Ranks, connected, torchrun_ranks, torchrun_store
from fer_model.stop import Interrupted
from fer_model.train import train_fold


def launch(arguments: Arguments, *, console: Console, debug: bool = False) -> None:
    """Train a fold with as many processes as `arguments.devices` says, or as torchrun has started.

    Args:
        console: where to report; processes that are started here write to the standard output instead.
        debug: whether processes that are started here show tracebacks.

    Raises:
        FerModelError: one of fer_model.errors; the message says what to do.
        Interrupted: Ctrl-C or SIGTERM; the run can go on.
        SystemExit: in a process of torchrun: it failed together with another one, which says why.
    """
    ranks = torchrun_ranks()
    if ranks is not None:
        train_under_torchrun(arguments, ranks=ranks, console=console)
    elif arguments.devices == 1:
        train_fold(arguments, console=console)
    else:
        pick_device(arguments.device, local_rank=0, local_size=arguments.devices)
        with tempfile.TemporaryDirectory(prefix="fer-train-") as meeting:
            try:
                run_processes(train_in_process, arguments, n=arguments.devices, meeting=Path(meeting), debug=debug)
            except EndedError as error:
                if error.died:
                    raise RankError(f"{error}; {where_to_go_on(arguments)}.") from error
                raise


def train_under_torchrun(arguments: Arguments, *, ranks: Ranks, console: Console) -> None:
    """Train as one of the processes that torchrun has started; what all of them know, the first one says.

    Raises:
        FerModelError, Interrupted, SystemExit: see `launch`.
    """
    try:
        if arguments.devices != 1:
            raise ArgumentError(
                f"--devices {arguments.devices} under torchrun, which starts the processes itself: "
                f"leave --devices out, and give torchrun --nproc-per-node {arguments.devices}."
            )
        train_as_rank(arguments, ranks=ranks, console=console, store=lambda: torchrun_store(ranks))
    except (FerModelError, Interrupted) as error:
        outcome = outcome_of(error)
        if ranks.first:
            raise
        if outcome.lost or not outcome.alone:
            raise SystemExit(outcome.exit_code) from error
        raise EndedError(outcome.said_by(ranks.rank), died=False) from error


def train_in_process(arguments: Arguments, rank: int, n: int, meeting: Path) -> None:
    """Train as one of the processes that were started here; they meet by a file, which needs no port."""
    ranks = Ranks(rank=rank, size=n, local_rank=rank, local_size=n)
    train_as_rank(arguments, ranks=ranks, console=Console(), store=lambda: file_store(meeting, n))


def file_store(meeting: Path, n: int) -> FileStore:
    """Where `n` processes of one machine meet."""
    return FileStore(str(meeting / "rendezvous"), n)


def train_as_rank(arguments: Arguments, *, ranks: Ranks, console: Console, store: Callable[[], Store]) -> None:
    """Train as one of several processes, once all are there."""
    device = pick_device(arguments.device, local_rank=ranks.local_rank, local_size=ranks.local_size)
    with connected(ranks, device=device, store=store):
        train_fold(arguments, console=console, ranks=ranks)


def where_to_go_on(arguments: Arguments) -> str:
    """What --resume would do, from what is on the disk."""
    run = rundir.run_directory(
        arguments.out,
        corpus=read_index(arguments.shards).corpus,
        name=name_of(Model(arguments.model), variant_of(arguments.model, arguments.variant)),
        seed=arguments.seed,
        fold=arguments.fold,
    )
    state = rundir.read_checkpoint(run)
    if state is None:
        return "there is no checkpoint: --resume starts from the beginning"
    return f"--resume goes on {progress_of(state)}"
