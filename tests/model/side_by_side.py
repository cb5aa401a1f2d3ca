"""Work for two processes that train the same networks together: the losses of every step, to compare with one's."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from rich.console import Console

from fer_model import loop
from fer_model.arguments import Arguments
from fer_model.launch import file_store
from fer_model.ranks import Ranks, connected
from fer_model.steps import check_loss
from fer_model.train import train_fold


def losses_of_steps(cases: Sequence[Arguments], ranks: Ranks) -> list[list[float]]:
    """Train each case, in this process as one of `ranks`; the loss of each of its steps."""
    found: list[list[float]] = []

    def noted(loss: float, **rest: object) -> None:
        found[-1].append(loss)
        check_loss(loss, **rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "check_loss", noted)
        for case in cases:
            found.append([])
            train_fold(case, console=Console(quiet=True), ranks=ranks)
    return found


def work(cases: Sequence[Arguments], rank: int, n: int, meeting: Path) -> None:
    """What a process does, for `run_processes`; each leaves its losses in a file."""
    ranks = Ranks(rank=rank, size=n, local_rank=rank, local_size=n)
    with connected(ranks, device=torch.device("cpu"), store=lambda: file_store(meeting, n)):
        losses = losses_of_steps(cases, ranks)
    (meeting / f"losses{rank}.json").write_text(json.dumps(losses))


def die(how: str, rank: int, n: int, meeting: Path) -> None:
    """Work that comes to no good end on rank 1, while rank 0 waits for it."""
    ranks = Ranks(rank=rank, size=n, local_rank=rank, local_size=n)
    with connected(ranks, device=torch.device("cpu"), store=lambda: file_store(meeting, n)):
        if rank == 1 and how == "raise":
            raise torch.OutOfMemoryError("no more room")
        if rank == 1 and how == "exit":
            import os

            os._exit(7)
        ranks.sum(1.0)
