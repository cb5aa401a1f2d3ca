"""Decisions of folds and seeds are put together so that no fold, seed or class counts more than it should."""

import functools
import math
from pathlib import Path

import numpy as np
import pytest
from run_files import Decide, write_run

from fer_model.tables.gather import gather
from fer_model.tables.losses import WINDOW, first_below, running_mean
from fer_model.tables.sections import sections_of
from fer_model.tables.tabulate import Tables, tabulate


def tables_of(root: Path) -> Tables:
    """The tables of the only section."""
    (section,) = sections_of(gather(root).runs)
    return tabulate(section)


def test_a_class_that_a_fold_does_not_have_is_counted_over_all_folds(tmp_path: Path) -> None:
    """As in CK+, whose last fold has no fear: the pooled recall of fear is that of the other folds."""
    write_run(tmp_path, fold=1, subjects=(1,), labels=(0, 1, 1, 1), decide=lambda s, r, label: 0 if r == 1 else label)
    write_run(tmp_path, fold=2, subjects=(2,), labels=(0, 0), decide=lambda s, r, label: r)
    (row,) = tables_of(tmp_path).measures
    assert row.recall_K[:2] == pytest.approx((2 / 3, 2 / 3))
    assert math.isnan(row.recall_K[2])
    assert row.uar.value == pytest.approx(2 / 3)
    assert row.confusion_KK.tolist() == [[2, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert row.fold_uar.mean == pytest.approx(np.mean([(1 + 2 / 3) / 2, 1 / 2]))
    assert row.entry.missing == ((0, 3),)


def wrong_below(n: int, subject: int, recording: int, label: int) -> int:
    """Wrong on the first n recordings of label 0."""
    return int(recording < n)


def test_folds_are_means_over_their_seeds_and_deviate_from_fold_to_fold(tmp_path: Path) -> None:
    wrong_in = {(0, 1): 0, (0, 2): 3, (1, 1): 1, (1, 2): 3}
    for (seed, fold), n in wrong_in.items():
        write_run(
            tmp_path, seed=seed, fold=fold, subjects=(fold,), labels=(0, 0, 0, 0),
            decide=functools.partial(wrong_below, n),
        )  # fmt: skip
    (row,) = tables_of(tmp_path).measures
    assert row.accuracy_of_fold == pytest.approx({1: 0.875, 2: 0.25})
    assert row.fold_accuracy.mean == pytest.approx(0.5625)
    assert row.fold_accuracy.sd == pytest.approx(np.std([0.875, 0.25], ddof=1))
    assert (row.n_recordings, row.n_subjects, row.confusion_KK.sum()) == (8, 2, 16)


def test_a_seed_of_which_folds_are_missing_gives_the_others_no_more_weight(tmp_path: Path) -> None:
    write_run(tmp_path, seed=0, fold=1, subjects=(1,), labels=(0,), decide=lambda s, r, label: 1)
    write_run(tmp_path, seed=0, fold=2, subjects=(2,), labels=(0,))
    write_run(tmp_path, seed=1, fold=2, subjects=(2,), labels=(0,))
    (row,) = tables_of(tmp_path).measures
    assert row.accuracy.value == pytest.approx(1 / 2)
    assert row.clip_accuracy.value == pytest.approx(1 / 2)
    assert row.entry.missing == ((0, 3), (1, 1), (1, 3))


def test_pairs_are_compared_on_the_recordings_that_both_have_tested(tmp_path: Path) -> None:
    write_run(tmp_path, name="convlstm", fold=1, subjects=(1, 2), decide=lambda s, r, label: (label + (r < 2)) % 3)
    write_run(tmp_path, name="convlstm", fold=2, subjects=(3, 4), decide=lambda s, r, label: (label + 1) % 3)
    write_run(tmp_path, name="enhanced", fold=1, subjects=(1, 2), decide=lambda s, r, label: (label + (r == 2)) % 3)
    (pair,) = tables_of(tmp_path).pairs
    assert (pair.first, pair.second, pair.n_recordings) == ("convlstm", "enhanced", 6)
    assert (pair.n01, pair.n10) == (4, 2)
    assert pair.p == pair.p_holm == pytest.approx(22 * 2 / 64)
    assert pair.difference is not None
    assert pair.difference.value == pytest.approx(2 / 6)
    assert pair.difference.interval is None  # both subjects are alike


def test_pairs_without_a_common_recording_are_not_tested_and_correct_nothing(tmp_path: Path) -> None:
    def wrong(subject: int, recording: int, label: int) -> int:
        return (label + 1) % 3

    write_run(tmp_path, name="convlstm", fold=1, decide=wrong)
    write_run(tmp_path, name="spatial", fold=2, subjects=(3, 4), decide=wrong)
    write_run(tmp_path, name="enhanced", fold=1)
    pairs = {(pair.first, pair.second): pair for pair in tables_of(tmp_path).pairs}
    assert pairs["convlstm", "spatial"].difference is None
    assert pairs["spatial", "enhanced"].n_recordings == 0
    tested = pairs["convlstm", "enhanced"]
    assert (tested.n01, tested.n10) == (6, 0)
    assert tested.p_holm == pytest.approx(2 / 64)


def test_with_seeds_the_majority_is_tested_and_the_mean_is_compared(tmp_path: Path) -> None:
    def right_if(right: bool) -> Decide:
        return lambda subject, recording, label: label if right else (label + 1) % 3

    for seed in (0, 1, 2):
        write_run(tmp_path, name="convlstm", seed=seed, decide=right_if(seed > 0))
        write_run(tmp_path, name="enhanced", seed=seed, decide=right_if(seed == 0))
    (pair,) = tables_of(tmp_path).pairs
    assert (pair.n_seeds, pair.n01, pair.n10) == (3, 0, 6)
    assert pair.difference is not None
    assert pair.difference.value == pytest.approx(-1 / 3)


def test_the_running_mean_and_the_first_step_below_a_loss_are_as_by_hand() -> None:
    losses = np.random.default_rng(0).random(100)
    assert running_mean(losses) == pytest.approx(np.convolve(losses, np.full(WINDOW, 1 / WINDOW), "valid"))
    falling = np.r_[np.ones(30), np.zeros(30)]
    assert first_below(falling, 0.5) == 30 + WINDOW // 2 + 1
    assert first_below(falling, 2) == WINDOW
    assert first_below(falling, -1) is None
    assert running_mean(np.ones(WINDOW - 1)).size == 0


def test_a_mean_of_steps_needs_every_run_to_get_there(tmp_path: Path) -> None:
    fast, slow, never = [0.01] * 30, [2.0] * 30 + [0.01] * 30, [2.0] * 60
    for name, runs in {"convlstm": (fast, slow), "spatial": (fast, never), "enhanced": ((), ())}.items():
        for fold, losses in enumerate(runs, 1):
            write_run(tmp_path, name=name, fold=fold, subjects=(fold,), losses=losses)
    first = {row.label: row for row in reversed(tables_of(tmp_path).steps)}
    assert first["convlstm"].mean == pytest.approx(np.mean(first["convlstm"].reached))
    assert first["convlstm"].steps[0] == WINDOW
    assert first["spatial"].mean is None
    assert first["spatial"].steps == (WINDOW, None)
    assert first["enhanced"].steps == ()


def test_gradients_are_averaged_over_epochs_and_runs(tmp_path: Path) -> None:
    write_run(tmp_path, fold=1, subjects=(1,), gradients=[(1, "rgb", 1, 0, 1.0), (2, "rgb", 1, 0, 2.0)])
    write_run(tmp_path, fold=2, subjects=(2,), gradients=[(1, "rgb", 1, 0, 6.0), (1, "flow", 1, 0, 5.0)])
    found = {(norm.stream, norm.layer, norm.t): norm.norm for norm in tables_of(tmp_path).gradients}
    assert found == pytest.approx({("rgb", 1, 0): 3.0, ("flow", 1, 0): 5.0})
