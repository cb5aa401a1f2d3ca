"""The best epoch on the test fold: beside the result, never in its place."""

import io
import json
from pathlib import Path

import pytest
from runs import rows, run, same_weights, step_losses
from test_train import interrupted_run

from fer_model import loop, steps
from fer_model.results import Epoch, best_epoch_on_test


def test_the_best_epoch_is_reported_and_changes_nothing_else(shards: Path, tmp_path: Path) -> None:
    log = io.StringIO()
    plain = run(shards, tmp_path / "plain", epochs=4).run.path
    told = run(shards, tmp_path / "told", epochs=4, report_best_epoch=True, log=log).run.path
    assert same_weights(plain, told)
    assert step_losses(plain) == step_losses(told)
    for name in ("predictions.csv", "config.json"):
        assert (plain / name).read_bytes() == (told / name).read_bytes()
    measured = [float(row["test_video_accuracy"]) for row in rows(told)]
    assert [row["test_video_accuracy"] for row in rows(plain)] == [""] * 4
    summary = json.loads((told / "summary.json").read_text())
    best = {"epoch": measured.index(max(measured)) + 1, "video_accuracy": max(measured)}
    assert summary["best_epoch_on_test"] == best
    assert measured[-1] == summary["video_accuracy"]  # the last epoch is the result
    assert json.loads((plain / "summary.json").read_text())["best_epoch_on_test"] is None
    said = " ".join(log.getvalue().split())
    assert f"best epoch on the test fold: {best['epoch']}, {best['video_accuracy']:.1%}: not a result" in said
    assert "it is chosen on what it is measured on" in said


def test_a_run_begun_without_measuring_has_no_best_epoch(shards: Path, tmp_path: Path) -> None:
    log = io.StringIO()
    interrupted_run(shards, tmp_path)
    result = run(shards, tmp_path, resume=True, report_best_epoch=True, log=log)
    assert [row["test_video_accuracy"] != "" for row in rows(result.run.path)] == [False, True]
    assert json.loads(result.run.summary.read_text())["best_epoch_on_test"] is None
    assert "not all epochs were measured on it" in log.getvalue()


def test_outputs_on_the_test_fold_that_are_not_finite_do_not_end_a_run(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measuring may not decide how far a run comes: it would, if it raised."""
    measured: list[float | None] = []

    def spoiled(network, *args, **kwargs):  # type: ignore[no-untyped-def]
        last = network.fully_connected[-1].bias
        kept = last.detach().clone()
        last.data[:] = float("inf")
        measured.append(accuracy(network, *args, **kwargs))
        last.data[:] = kept
        return measured[-1]

    accuracy = steps.test_accuracy
    monkeypatch.setattr(loop, "test_accuracy", spoiled)
    told = run(shards, tmp_path / "told", report_best_epoch=True).run.path
    monkeypatch.undo()
    assert measured == [None, None]
    assert same_weights(told, run(shards, tmp_path / "plain").run.path)


def test_of_equally_good_epochs_the_first_is_named() -> None:
    history = [_epoch(i, accuracy) for i, accuracy in enumerate([0.25, 0.75, 0.5, 0.75], 1)]
    best = best_epoch_on_test(history)
    assert best is not None
    assert (best.epoch, best.video_accuracy) == (2, 0.75)
    assert best_epoch_on_test([*history, _epoch(5, None)]) is None
    assert best_epoch_on_test([]) is None


def _epoch(number: int, accuracy: float | None) -> Epoch:
    return Epoch(
        epoch=number, loss=1.0, lr=0.1, seconds=1.0, waited_s=0.0, clips_per_s=1.0, validation_loss=None,
        validation_clip_accuracy=None, validation_video_accuracy=None, validation_video_uar=None,
        test_video_accuracy=accuracy,
    )  # fmt: skip
