"""Several processes train one network: to the losses of one process, and to one end."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import side_by_side
import torch
from runs import SMALL, fer_train, fold_of, losses, rows, run, same_weights, started
from shard_files import write_corpus
from test_going_on import kept, wait_for

from fer_model.arguments import Arguments
from fer_model.errors import ArgumentError
from fer_model.outcome import EndedError
from fer_model.processes import run_processes
from fer_model.ranks import ALONE, Ranks, torchrun_ranks

LONG = ["--fold", 1, "--preset", "small", "--epochs", 500, "--batch-size", 6, "--device", "cpu"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen clips to train on, eight to test."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "shards")


def case(corpus: Path, out: Path, **changes: object) -> Arguments:
    """A run whose steps are gentle enough for rounding to stay rounding."""
    return replace(SMALL, shards=corpus, out=out, lr=2e-4, **changes)  # type: ignore[arg-type]


def assert_two_are_as_one(cases: list[Arguments], path: Path) -> None:
    """Train each in two processes and in one: the same losses to rounding, and all else in the same files."""
    meeting = path / "meeting"
    meeting.mkdir()
    run_processes(side_by_side.work, [replace(c, out=c.out / "two") for c in cases], n=2, meeting=meeting, debug=True)
    two, theirs = (json.loads((meeting / f"losses{rank}.json").read_text()) for rank in range(2))
    assert two == theirs
    one = side_by_side.losses_of_steps([replace(c, out=c.out / "one") for c in cases], ALONE)
    for of_two, of_one in zip(two, one, strict=True):
        assert len(of_one) >= 50
        assert of_two == pytest.approx(of_one, rel=1e-6)
    for of_two_in, of_one_in in ((fold_of(c.out / "two"), fold_of(c.out / "one")) for c in cases):
        assert sorted(p.name for p in of_two_in.iterdir()) == sorted(p.name for p in of_one_in.iterdir())
        assert (of_two_in / "config.json").read_bytes() == (of_one_in / "config.json").read_bytes()
        ours, theirs = ((p / "predictions.csv").read_text().splitlines() for p in (of_two_in, of_one_in))
        assert [line.split(",")[:4] for line in ours] == [line.split(",")[:4] for line in theirs]
        for found, expected in zip(rows(of_two_in), rows(of_one_in), strict=True):
            for column in ("loss", "validation_loss"):
                assert float(found[column] or 0) == pytest.approx(float(expected[column] or 0), rel=1e-5)


def test_two_processes_have_the_losses_of_one_also_where_a_last_batch_has_a_single_clip(
    corpus: Path, tmp_path: Path
) -> None:
    assert_two_are_as_one([case(corpus, tmp_path, batch_size=5, epochs=13)], tmp_path)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_for_other_batches_and_with_a_validation_group(
    corpus: Path, tmp_path: Path
) -> None:
    cases = [
        case(corpus, tmp_path / "even", batch_size=8, epochs=25),
        case(corpus, tmp_path / "single", batch_size=1, epochs=7, validation_group=3, data="device"),
    ]
    assert_two_are_as_one(cases, tmp_path)


def test_clips_of_a_step_are_divided_by_position_and_none_is_counted_twice() -> None:
    rows_B = torch.arange(10, 15)
    for size in (1, 2, 3, 5, 7):
        shares = [Ranks(rank=rank, size=size).share(rows_B) for rank in range(size)]
        counted = [row for part_B, weight in shares for row in part_B.tolist() if weight]
        assert counted == rows_B.tolist()
        assert all(len(part_B) >= 1 for part_B, _ in shares)
        assert sum(weight == 0 for _, weight in shares) == max(0, size - 5)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", r"^rank 1: OutOfMemoryError: no more room \(--debug shows where\)$"),
        pytest.param("exit", r"^rank 1 ended with the exit code 7$", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_fails_ends_the_others_with_its_reason(tmp_path: Path, how: str, reason: str) -> None:
    started_at = time.monotonic()
    with pytest.raises(EndedError, match=reason) as raised:
        run_processes(side_by_side.die, how, n=2, meeting=tmp_path, debug=False)
    assert raised.value.died
    assert time.monotonic() - started_at < 60


def ranks_of(pid: int) -> list[psutil.Process]:
    """The training processes below a process, by rank: those that were started first are first."""
    found = [p for p in psutil.Process(pid).children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    return sorted(found, key=lambda p: p.pid)


@pytest.fixture
def job(corpus: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A long run of two processes that has made its first steps."""
    with started(corpus, *LONG, "--out", tmp_path, "--devices", 2, "--checkpoint-every", 0) as process:
        wait_for(fold_of(tmp_path) / "checkpoint.pt", process)
        ranks = ranks_of(process.pid)
        assert len(ranks) == 2
        yield process, ranks
        process.kill()
    psutil.wait_procs(ranks, timeout=30)
    assert not [p for p in ranks if p.is_running()]


def test_a_killed_process_ends_the_run_with_its_name_and_the_last_step(
    job: tuple[subprocess.Popen[str], list[psutil.Process]], tmp_path: Path
) -> None:
    process, ranks = job
    ranks[1].kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.fullmatch(
        r"error: rank 1 was killed by SIGKILL \(often: out of memory\); "
        rf"--resume goes on {kept(fold_of(tmp_path))}\.\n",
        errors,
    )


def test_ctrl_c_in_the_terminal_reaches_each_process_once_and_keeps_the_step(
    corpus: Path, job: tuple[subprocess.Popen[str], list[psutil.Process]], tmp_path: Path
) -> None:
    process, _ = job
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    where = str(kept(fold_of(tmp_path)))
    assert f"interrupted {where}: the same command with --resume" in errors
    assert "Traceback" not in errors
    assert errors.count("Ctrl-C again ends at once") == 1


@pytest.mark.slow
def test_a_second_ctrl_c_ends_all_processes_at_once(
    job: tuple[subprocess.Popen[str], list[psutil.Process]], tmp_path: Path
) -> None:
    process, ranks = job
    ranks[1].suspend()  # so that the first one has no end
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "goes on after the last checkpoint" in errors
    assert kept(fold_of(tmp_path)).epoch >= 0


@pytest.mark.slow
def test_when_the_starting_process_is_killed_no_other_is_left(
    job: tuple[subprocess.Popen[str], list[psutil.Process]], tmp_path: Path
) -> None:
    process, ranks = job
    process.kill()
    _, alive = psutil.wait_procs(ranks, timeout=30)
    assert not alive
    assert kept(fold_of(tmp_path))


@pytest.mark.slow
def test_a_bad_argument_is_said_once(corpus: Path, tmp_path: Path) -> None:
    done = fer_train(corpus, "--fold", 9, "--preset", "small", "--devices", 2, "--device", "cpu", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: fold 9 does not exist: these shards have folds 1 to 3.\n"
    assert not list(tmp_path.iterdir())


def torchrun(*arguments: object, restarts: int = 0) -> tuple[str, ...]:
    return ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", str(restarts))


@pytest.mark.slow
def test_torchrun_restarts_a_run_whose_worker_was_killed_and_it_has_the_same_losses(
    corpus: Path, tmp_path: Path
) -> None:
    arguments = [corpus, "--fold", 1, "--preset", "small", "--epochs", 12, "--batch-size", 6, "--device", "cpu"]
    with started(
        *arguments, "--out", tmp_path, "--checkpoint-every", 0, "--overwrite", program=torchrun(restarts=1)
    ) as process:
        wait_for(fold_of(tmp_path) / "checkpoint.pt", process)
        workers = [p for p in psutil.Process(process.pid).children() if "fer_model" in p.cmdline()]
        max(workers, key=lambda p: p.pid).kill()
        printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert re.search(r"resumed after (step \d of 3 in )?epoch \d+ of 12", printed)
    expected = run(corpus, tmp_path / "one", epochs=12).run.path
    found = [float(loss) for loss in losses(fold_of(tmp_path))]
    assert found == pytest.approx([float(loss) for loss in losses(expected)], rel=1e-4)
    assert not same_weights(fold_of(tmp_path), expected)  # two processes round otherwise than one


@pytest.mark.slow
def test_under_torchrun_devices_are_its_business(corpus: Path, tmp_path: Path) -> None:
    done = fer_train(corpus, "--fold", 1, "--devices", 2, "--out", tmp_path, program=torchrun())
    assert done.returncode == 1  # of torchrun
    assert done.stderr.count("error: --devices 2 under torchrun, which starts the processes itself") == 1


def test_only_a_whole_environment_of_torchrun_is_believed() -> None:
    environment = {
        "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "here", "MASTER_PORT": "1", "TORCHELASTIC_RESTART_COUNT": "2",
    }  # fmt: skip
    expected = Ranks(rank=3, size=4, local_rank=1, local_size=2, restarts=2)
    assert torchrun_ranks(environment) == expected
    assert torchrun_ranks({"RANK": "3"}) is None
    with pytest.raises(ArgumentError, match="not all numbers"):
        torchrun_ranks(environment | {"RANK": "first"})
