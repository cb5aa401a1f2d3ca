"""What a process knows of the others that train the same network, and what they do together.

A rank is one process with one device; the first has the rank 0, decides and writes. Alone, everything here is a no-op.

Axes: B clips of a batch.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]  # public, and not in its list of names
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from fer_model.errors import ArgumentError, FerModelError, FollowedError, LostRankError

T = TypeVar("T")
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
CONTACT = re.compile(r"connection (closed|reset)|\bpeer\b|gloo|nccl|broken pipe", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Which of how many processes this one is; `local` counts those of one machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0
    """How many times torchrun has started the processes again after one of them failed."""

    @property
    def first(self) -> bool:
        """Whether this is the one that decides and writes."""
        return self.rank == 0

    def share(self, rows_B: Tensor) -> tuple[Tensor, float]:
        """This rank's part of a batch, by position, and the weight of its clips.

        A rank that has none left computes a clip of another one with the weight 0: the others wait for its gradients.
        """
        part_B = torch.tensor_split(rows_B, self.size)[self.rank]
        return (part_B, 1.0) if len(part_B) else (rows_B[:1], 0.0)

    def parallel(self, network: nn.Module, *, device: torch.device, some_unused: bool) -> nn.Module:
        """The network as it is trained: its gradients are the means over the ranks.

        Args:
            some_unused: whether weights of the network take no part in a pass.
        """
        if self.size == 1:
            return network
        return DistributedDataParallel(
            network,
            device_ids=[device] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
            find_unused_parameters=some_unused,
        )

    def sum(self, *values: float) -> list[float]:
        """The sums over ranks of some numbers."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def gather(self, value: T) -> list[T]:
        """The value of every rank, on every rank."""
        if self.size == 1:
            return [value]
        values: list[T] = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def same_buffers(self, network: nn.Module) -> None:
        """Give all ranks what the first one has measured while training: the running statistics of BatchNorm."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def wait_for_all(self) -> None:
        """Go on when all ranks are here."""
        if self.size > 1:
            dist.barrier()

    def first_decides(self, decide: Callable[[], T]) -> T:
        """What `decide` returns on the first rank, on every rank.

        Raises:
            FollowedError: it raised a FerModelError, or anything else; on the first rank, that error is raised.
        """
        if self.size == 1:
            return decide()
        answer: list[tuple[T | None, int | None]] = [(None, None)]  # what was decided, or an exit code
        try:
            if self.first:
                answer[0] = decide(), None
        except Exception as error:
            answer[0] = None, error.exit_code if isinstance(error, FerModelError) else 1
            dist.broadcast_object_list(answer, src=0)
            raise
        dist.broadcast_object_list(answer, src=0)
        decided, exit_code = answer[0]
        if exit_code is not None:
            raise FollowedError(exit_code)
        return decided  # type: ignore[return-value]  # whatever T is, the first rank has put it there


ALONE = Ranks()


def torchrun_ranks(environment: Mapping[str, str] = os.environ) -> Ranks | None:
    """What torchrun says of this process; None if it was not started by torchrun.

    Raises:
        ArgumentError: the environment variables are no numbers.
    """
    if not all(name in environment for name in TORCHRUN):
        return None
    try:
        rank, size, local_rank, local_size = (int(environment[name]) for name in TORCHRUN[:4])
        restarts = int(environment.get("TORCHELASTIC_RESTART_COUNT", "0"))
    except ValueError as error:
        raise ArgumentError(f"{', '.join(TORCHRUN[:4])} are not all numbers ({error}): unset them.") from error
    return Ranks(rank=rank, size=size, local_rank=local_rank, local_size=local_size, restarts=restarts)


def torchrun_store(ranks: Ranks) -> Store:
    """Where the processes of torchrun meet: after each restart at another place.

    The store of torchrun's agent outlives its processes, and with it the addresses that those of before have left.
    """
    store, _, _ = next(iter(rendezvous("env://")))
    return PrefixStore(f"restart-{ranks.restarts}", store)


@contextmanager
def connected(ranks: Ranks, *, device: torch.device, store: Callable[[], Store]) -> Iterator[None]:
    """In here, the ranks can reach each other. Gradients on GPUs go by NCCL, all else by gloo.

    Raises:
        LostRankError: another rank has ended, in whatever was done in here.
    """
    if ranks.size == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group(
            "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl",
            store=store(), rank=ranks.rank, world_size=ranks.size,
        )  # fmt: skip
        yield
        dist.destroy_process_group()  # not after an error: it would wait for the others
    except RuntimeError as error:  # gloo has no exception of its own
        if isinstance(error, dist.DistError) or CONTACT.search(str(error)):
            text = str(error).splitlines()[0]
            raise LostRankError(
                f"another process of this run has ended ({text}); --resume goes on after the last checkpoint."
            ) from error
        raise
