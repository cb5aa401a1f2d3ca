"""Two processes that train one network, beside one: how far their losses are apart, and how much faster they are.

Usage: ddp.py [--data DIR] [--json FILE]. Prints a table of ratios; FILE gets {name: {value, goal, better}}. Takes some
minutes. Each process is held to a core of its own, and has one thread. Clips per second are those of the training loop
itself. What two processes reach that share nothing but the machine, with half of the clips in each step, is measured in
the same rounds; since two that share a network wait for the slower one at each step, the limit is twice its rate.
"""

import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import click
import torch
from lib.report import Measure, report
from rich.console import Console

from fer_model.arguments import Arguments
from fer_model.config import PRESETS
from fer_model.launch import file_store
from fer_model.processes import run_processes
from fer_model.ranks import ALONE, Ranks, connected
from fer_model.train import train_fold

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "model"))
from runs import SMALL, rows
from shard_files import write_corpus
from side_by_side import losses_of_steps

ROUNDS = 5
CLOSE, FASTER = 1e-6, 1.6
MIDDLE = replace(
    PRESETS["small"],
    preset="middle", input_size=32, channels=(16, 32, 32, 64), kernels=(5, 5, 3, 3), norm_groups=8, batch_size=8,
)  # fmt: skip
PAPERS_RULE = replace(
    PRESETS["small"],
    preset="papers-rule", optimizer="sgd", momentum=0.9, weight_decay=0.0, schedule="constant", lr=1.25e-4,
)  # fmt: skip
"""The small network, trained as the paper trains its own."""


@dataclass(frozen=True, kw_only=True)
class Cases:
    """What the two processes train."""

    losses: dict[str, Arguments]
    """Fifty steps, each of other clips: by the rule of training."""
    speed: Arguments
    """Two epochs; the second one is timed."""
    out: Path


@click.command()
@click.option("--data", expose_value=False, help="Taken by every benchmark; this one needs no videos.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the ratios here.")
def main(json_file: Path | None) -> None:
    """Measure both, on clips that are written for it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        short = write_corpus(path / "short", n_groups=51, labels=(0, 1, 2, 0, 1, 2), n_frames=(4,))
        long = write_corpus(path / "long", labels=(0, 1, 2) * 8, n_frames=(8,), size=32, length=8)
        losses = replace(SMALL, shards=short, batch_size=6, epochs=1, data="ram")
        cases = Cases(
            losses={"paper": replace(losses, preset="papers-rule"), "slow": replace(losses, lr=5e-4), "small": losses},
            speed=replace(SMALL, shards=long, preset="middle", batch_size=None, data="ram", readers=1),
            out=path,
        )
        meeting = path / "meeting"
        meeting.mkdir()
        run_processes(work, cases, n=2, meeting=meeting, debug=True)
        report(measures(json.loads((meeting / "found.json").read_text())), json_file)


def measures(found: dict[str, list[float]]) -> dict[str, Measure]:
    """What is reported of losses by step and clips per second by round."""
    one, two, apart, slower = (statistics.median(found[name]) for name in ("one", "two", "apart", "slower"))
    paper, slow, small = (difference(found[f"{name}-two"], found[f"{name}-one"]) for name in ("paper", "slow", "small"))
    return {
        "largest relative difference of the losses of 50 steps, the paper's SGD": (paper, CLOSE, "lower"),
        "the same, AdamW at 5e-4": (slow, CLOSE, "lower"),
        "the same, AdamW at the 2e-3 of preset small, which enlarges rounding": (small, None, "lower"),
        "clips/s, one process on one core": (one, None, "higher"),
        "clips/s, two processes on two cores": (two, None, "higher"),
        "two processes, times one": (two / one, FASTER, "higher"),
        "two processes that train apart, times one": (apart / one, None, "higher"),
        "limit: the slower one of them twice, times one": (2 * slower / one, None, "higher"),
    }


def difference(two: list[float], one: list[float]) -> float:
    """The largest of fifty, relative to one process."""
    assert len(two) == len(one) == 50
    return max(abs(a - b) / b for a, b in zip(two, one, strict=True))


def work(cases: Cases, rank: int, n: int, meeting: Path) -> None:
    """What each of the two processes does; the first one writes down what was found."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    torch.set_num_threads(1)
    PRESETS.update({"middle": MIDDLE, "papers-rule": PAPERS_RULE})
    both = Ranks(rank=rank, size=n, local_rank=rank, local_size=n)
    found: dict[str, list[float]] = {"one": [], "two": [], "apart": [], "slower": []}
    with connected(both, device=torch.device("cpu"), store=lambda: file_store(meeting, n)):
        for name, losses in cases.losses.items():
            (found[f"{name}-two"],) = losses_of_steps([replace(losses, out=cases.out / f"{name}-two")], both)
            if both.first:
                (found[f"{name}-one"],) = losses_of_steps([replace(losses, out=cases.out / f"{name}-one")], ALONE)
        for round_ in range(ROUNDS + 1):  # the first one only touches the memory
            for name, ranks in (("one", ALONE), ("two", both), ("apart", ALONE)):
                both.wait_for_all()
                rate = 0.0
                if name != "one" or both.first:
                    out = cases.out / (name if name == "two" else f"{name}{rank}")
                    batch_size = MIDDLE.batch_size // 2 if name == "apart" else MIDDLE.batch_size
                    rate = clips_per_s(replace(cases.speed, out=out, batch_size=batch_size), ranks)
                rates = both.gather(rate)
                if round_ > 0:
                    found[name].append(sum(rates) if name == "apart" else rate)  # of one network, the first counts all
                    found["slower"] += [min(rates)] if name == "apart" else []
    if both.first:
        (meeting / "found.json").write_text(json.dumps(found))


def clips_per_s(arguments: Arguments, ranks: Ranks) -> float:
    """Of the last epoch of a run."""
    result = train_fold(replace(arguments, overwrite=True), console=Console(quiet=True), ranks=ranks)
    return float(rows(result.run.path)[-1]["clips_per_s"])


if __name__ == "__main__":
    main()
