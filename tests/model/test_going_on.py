"""A run that was ended after any step goes on as if nothing had happened."""

import io
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import fer_train, fold_of, losses, rows, run, same_weights, started, step_losses
from shard_files import write_corpus
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.functional import cross_entropy

from fer_model import loop, rundir, steps
from fer_model.checkpoint import Checkpoints, Progress, progress_of
from fer_model.errors import DivergedError, RunDirectoryError
from fer_model.steps import check_loss, step_seed
from fer_model.stop import Interrupted

EPOCHS = 8  # of a run that is killed


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "shards")


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of an uninterrupted run."""
    return run(corpus, tmp_path_factory.mktemp("whole"), validation_group=2).run.path


def in_step(number: int, act: Callable[[], object], patch: pytest.MonkeyPatch) -> None:
    """Do something in the middle of a step, counted from 1 over all epochs."""
    counted = iter(range(1, 1000))

    def counting(logits: Tensor, labels: Tensor, *, reduction: str) -> Tensor:
        if next(counted) == number:
            act()
        return cross_entropy(logits, labels, reduction=reduction)

    patch.setattr(loop, "cross_entropy", counting)


def ended_in_step(
    number: int, shards: Path, out: Path, *numbers: signal.Signals, checkpoint_every: float = 60.0
) -> Interrupted:
    """A run that gets these signals in one step."""

    def send() -> None:
        for signal_ in numbers:
            os.kill(os.getpid(), signal_)

    with pytest.MonkeyPatch.context() as patch:
        in_step(number, send, patch)
        with pytest.raises(Interrupted) as raised:
            run(shards, out, validation_group=2, checkpoint_every=checkpoint_every)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return raised.value


def kept(path: Path) -> Progress:
    state = rundir.read_checkpoint(rundir.RunDirectory(path=path))
    assert state is not None
    assert all(weight.isfinite().all() for weight in state["network"].values())
    return progress_of(state)


def assert_tensorboard_has(path: Path, *, n_epochs: int) -> None:
    events = EventAccumulator(str(path / "tensorboard"), purge_orphaned_data=False)
    events.Reload()
    assert "loss" in events.Tags()["scalars"]
    for name in events.Tags()["scalars"]:
        assert [event.step for event in events.Scalars(name)] == list(range(1, n_epochs + 1))


@pytest.mark.parametrize(
    ("step", "signal_", "where", "data", "readers"),
    [
        (1, signal.SIGINT, "after step 1 of 2 in epoch 1", "disk", 1),
        (2, signal.SIGINT, "after step 2 of 2 in epoch 1", "ram", 3),
        (3, signal.SIGTERM, "after step 1 of 2 in epoch 2", "device", 2),
        (4, signal.SIGTERM, "after step 2 of 2 in epoch 2", "auto", 2),
    ],
)
def test_a_run_that_ended_after_any_step_resumes_to_the_same_losses_and_weights(
    corpus: Path, whole: Path, tmp_path: Path, step: int, signal_: signal.Signals, where: str, data: str, readers: int
) -> None:
    ended = ended_in_step(step, corpus, tmp_path, signal_)
    assert ended.exit_code == 128 + signal_
    assert f"{where}: the same command with --resume" in str(ended)
    path = fold_of(tmp_path)
    assert str(kept(path)) == where
    torch.manual_seed(99)  # nothing may hang on the generator's state
    log = io.StringIO()
    run(corpus, tmp_path, validation_group=2, data=data, readers=readers, resume=True, log=log)
    assert f"resumed {where} of 2" in log.getvalue()
    assert losses(path) == losses(whole)
    for column in ("epoch", "lr", "validation_loss"):
        assert [row[column] for row in rows(path)] == [row[column] for row in rows(whole)]
    assert same_weights(path, whole)
    assert step_losses(path) == step_losses(whole)
    assert (path / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    assert not (path / "checkpoint.pt").exists()
    assert_tensorboard_has(path, n_epochs=2)


def test_ctrl_c_while_the_validation_group_is_measured_ends_after_the_epoch(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate = steps.validate

    def interrupted(*args: Any, **kwargs: Any) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return validate(*args, **kwargs)

    monkeypatch.setattr(loop, "validate", interrupted)
    with pytest.raises(Interrupted, match="after epoch 1: the same command"):
        run(corpus, tmp_path, validation_group=2)
    assert str(kept(fold_of(tmp_path))) == "after epoch 1"
    assert len(losses(fold_of(tmp_path))) == 1


def test_a_second_ctrl_c_ends_at_once_with_the_last_checkpoint(
    corpus: Path, whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = ended_in_step(3, corpus, tmp_path, signal.SIGINT, signal.SIGINT)
    assert ended.exit_code == 130
    assert "goes on after the last checkpoint" in str(ended)
    assert "Ctrl-C again ends at once" in capfd.readouterr().err
    assert str(kept(fold_of(tmp_path))) == "after epoch 1"
    run(corpus, tmp_path, validation_group=2, resume=True)
    assert same_weights(fold_of(tmp_path), whole)
    assert step_losses(fold_of(tmp_path)) == step_losses(whole)


def test_a_second_sigterm_is_the_same_as_one(corpus: Path, tmp_path: Path) -> None:
    ended = ended_in_step(3, corpus, tmp_path, signal.SIGTERM, signal.SIGTERM)
    assert (ended.exit_code, ended.where) == (143, "after step 1 of 2 in epoch 2")


def test_before_the_first_step_a_signal_ends_the_run_at_once(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_model.train.load_frames", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted) as raised:
        run(corpus, tmp_path)
    assert (raised.value.exit_code, raised.value.where) == (143, None)


@pytest.mark.parametrize(("every_s", "expected"), [(0.0, "after step 1 of 2 in epoch 2"), (60.0, "after epoch 1")])
def test_a_killed_run_has_lost_the_steps_since_its_last_checkpoint(
    corpus: Path, whole: Path, tmp_path: Path, every_s: float, expected: str
) -> None:
    """An exception that nobody foresees stands for the kill: nothing of the run is called after it but clean-up."""

    def die() -> None:
        raise MemoryError

    with pytest.MonkeyPatch.context() as patch:
        in_step(4, die, patch)
        with pytest.raises(MemoryError):
            run(corpus, tmp_path, validation_group=2, checkpoint_every=every_s)
    assert str(kept(fold_of(tmp_path))) == expected
    run(corpus, tmp_path, validation_group=2, resume=True)
    assert same_weights(fold_of(tmp_path), whole)
    assert step_losses(fold_of(tmp_path)) == step_losses(whole)


def killed_at(shards: Path, out: Path, *, after_s: float) -> None:
    """Kill a run some time after its first checkpoint."""
    arguments = [shards, "--fold", 1, "--preset", "small", "--epochs", EPOCHS, "--batch-size", 6, "--device", "cpu"]
    with started(*arguments, "--out", out, "--checkpoint-every", 0) as process:
        wait_for(fold_of(out) / "checkpoint.pt", process)
        time.sleep(after_s)
        process.kill()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("n_kills", [1, pytest.param(20, marks=pytest.mark.slow)], ids=["one moment", "many moments"])
def test_kill_9_at_any_moment_loses_nothing(shards: Path, tmp_path: Path, n_kills: int) -> None:
    expected = run(shards, tmp_path / "whole", epochs=EPOCHS).run.path
    random.seed(n_kills)
    for i in range(n_kills):
        out = tmp_path / str(i)
        killed_at(shards, out, after_s=random.random() * 2)
        path = fold_of(out)
        if (path / "summary.json").exists():
            continue  # it was faster
        run(shards, out, epochs=EPOCHS, resume=True)
        assert losses(path) == losses(expected)
        assert same_weights(path, expected)
        assert step_losses(path) == step_losses(expected)
        assert_tensorboard_has(path, n_epochs=EPOCHS)


@pytest.mark.parametrize(("signal_", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_is_asked_to_end_says_how_to_go_on(
    shards: Path, tmp_path: Path, signal_: signal.Signals, code: int
) -> None:
    arguments = [shards, "--fold", 1, "--preset", "small", "--epochs", 300, "--device", "cpu", "--out", tmp_path]
    path = fold_of(tmp_path)
    with started(*arguments) as process:
        wait_for(path / "checkpoint.pt", process)
        process.send_signal(signal_)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert re.search(r" after (step \d of \d in )?epoch \d+: the same command with --resume .* goes on there", errors)
    assert "Traceback" not in errors
    assert not (path / "summary.json").exists()
    if signal_ == signal.SIGINT:
        refused = fer_train(*arguments)
        assert refused.returncode == 1
        assert "holds an unfinished run; give --resume or --overwrite" in refused.stderr


def test_a_checkpoint_of_an_older_version_is_named(corpus: Path, tmp_path: Path) -> None:
    ended_in_step(1, corpus, tmp_path, signal.SIGINT)
    directory = rundir.RunDirectory(path=fold_of(tmp_path))
    state = rundir.read_checkpoint(directory)
    assert state is not None
    del state["progress"]
    rundir.save_checkpoint(directory, state)
    with pytest.raises(RunDirectoryError, match=r"checkpoint\.pt: of an older fer-train"):
        run(corpus, tmp_path, validation_group=2, resume=True)


def test_a_loss_that_is_no_number_names_the_step_and_the_last_good_checkpoint(corpus: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        counted = iter([1.0, 1.0, float("nan")])
        patch.setattr(loop, "cross_entropy", lambda *args, **kw: cross_entropy(*args, **kw) * next(counted))
        with pytest.raises(DivergedError) as raised:
            run(corpus, tmp_path, checkpoint_every=0.0)
    path = fold_of(tmp_path)
    assert "the loss became nan after step 3 of 3 in epoch 1 at learning rate 0.0015:" in str(raised.value)
    assert f"{path / 'checkpoint.pt'} is the last good one, after step 2 of 3 in epoch 1" in str(raised.value)
    assert "a smaller --lr, and --overwrite" in str(raised.value)
    assert str(kept(path)) == "after step 2 of 3 in epoch 1"
    assert not (path / "summary.json").exists()


def test_a_loss_that_explodes_says_that_there_is_no_checkpoint(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"exploded|became nan") as raised:
        run(corpus, tmp_path, lr=1e6)
    assert "training diverged" in str(raised.value)
    assert "there is no checkpoint" in str(raised.value)
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.parametrize(("loss", "fine"), [(109.0, True), (111.0, False), (float("inf"), False)])
def test_a_loss_explodes_at_a_hundred_times_that_of_a_guess(loss: float, fine: bool) -> None:
    try:
        check_loss(loss, n_classes=3, lr=0.1, where="here", advice="")
    except DivergedError as error:
        assert not fine, error  # noqa: PT017
    else:
        assert fine


@pytest.mark.parametrize("where", ["weights", "optimizer"])
def test_a_good_checkpoint_is_not_replaced_by_one_that_is_not_finite(tmp_path: Path, where: str) -> None:
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    directory = rundir.RunDirectory(path=tmp_path)
    checkpoints = Checkpoints(directory, config_hash="", network=network, optimizer=optimizer, every_s=0, writes=True)
    network(torch.ones(2)).sum().backward()
    optimizer.step()
    progress = Progress(n_steps=3, history=[], step=1)
    checkpoints.save(progress)
    before = directory.checkpoint.read_bytes()
    with torch.no_grad():
        numbers = network.weight if where == "weights" else optimizer.state[network.weight]["exp_avg_sq"]
        numbers[0, 0] = float("inf")
    progress.step = 2
    checkpoints.save(progress)
    assert directory.checkpoint.read_bytes() == before
    with pytest.raises(DivergedError, match=r"no longer finite after step 2 of 3 in epoch 1.* after step 1 of 3"):
        checkpoints.check(progress)


def test_no_two_steps_of_a_run_share_a_seed() -> None:
    seeds = {
        step_seed(seed, epoch=epoch, step=step, rank=rank)
        for seed in (0, 1, 2**63 - 1)
        for epoch in range(3)
        for step in range(3)
        for rank in range(3)
    }
    assert len(seeds) == 81
    for seed in seeds:
        torch.manual_seed(seed)
