"""Measures, intervals and tests equal torchmetrics, scipy and what is computed by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchmetrics.functional.classification import multiclass_f1_score

from fer_model import evaluate
from fer_model.tables.statistics import (
    Array,
    accuracy,
    bootstrap,
    holm,
    macro_f1,
    mcnemar,
    recall,
    spread,
    uar,
    weighted_f1,
)

N_CLASSES = 4
DECISIONS = st.lists(st.tuples(st.integers(0, N_CLASSES - 1), st.integers(0, N_CLASSES - 1)), min_size=1, max_size=40)


def matrix(pairs: list[tuple[int, int]]) -> Array:
    """The confusion matrix of (label, decision), as a batch of one."""
    found = np.zeros((1, N_CLASSES, N_CLASSES))
    for label, decision in pairs:
        found[0, label, decision] += 1
    return found


@settings(max_examples=40, deadline=None)
@given(DECISIONS)
def test_measures_are_those_of_a_run_and_of_torchmetrics(pairs: list[tuple[int, int]]) -> None:
    labels, choices = (torch.tensor(column) for column in zip(*pairs, strict=True))
    theirs = evaluate.measure(choices, labels, n_classes=N_CLASSES)
    counts = matrix(pairs)
    assert accuracy(counts)[0] == pytest.approx(theirs.accuracy)
    assert uar(counts)[0] == pytest.approx(theirs.uar)
    assert macro_f1(counts)[0] == pytest.approx(theirs.f1, abs=1e-6)
    expected = multiclass_f1_score(choices, labels, num_classes=N_CLASSES, average="weighted")
    assert weighted_f1(counts)[0] == pytest.approx(float(expected), abs=1e-6)


def test_a_class_that_does_not_occur_has_no_recall_and_spoils_no_mean() -> None:
    counts = matrix([(0, 0), (0, 1), (1, 1), (1, 2)])
    assert np.isnan(recall(counts)[0]).tolist() == [False, False, True, True]
    assert uar(counts)[0] == 0.5
    assert accuracy(np.zeros((1, 2, 2))).tolist() == pytest.approx([np.nan], nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(st.lists(DECISIONS, min_size=2, max_size=6))
def test_an_interval_lies_within_what_the_subjects_reach(subjects: list[list[tuple[int, int]]]) -> None:
    values = np.concatenate([matrix(pairs) for pairs in subjects])
    found = bootstrap(values, accuracy)
    each = accuracy(values)
    if each.max() - each.min() < 1e-12:
        assert found is None
    elif found is not None:
        assert each.min() - 1e-9 <= found.low <= found.high <= each.max() + 1e-9


def test_the_bootstrap_agrees_with_scipy_where_subjects_are_of_one_size() -> None:
    right = np.random.default_rng(0).integers(3, 11, 40)
    values = np.zeros((40, 2, 2))
    values[:, 0, 0], values[:, 0, 1] = right, 10 - right
    theirs = stats.bootstrap((right / 10,), np.mean, n_resamples=10_000, method="percentile", rng=1).confidence_interval
    ours = bootstrap(values, accuracy)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)
    assert bootstrap(values, accuracy) == ours  # the same resamples every time


def test_more_recordings_of_the_same_subjects_do_not_make_a_number_surer() -> None:
    few = np.zeros((8, 2, 2))
    few[:, 0, 0], few[:, 0, 1] = [4, 3, 2, 4, 1, 4, 3, 2], [0, 1, 2, 0, 3, 0, 1, 2]
    as_before = bootstrap(few, accuracy)
    copied, more_people = bootstrap(few * 10, accuracy), bootstrap(np.tile(few, (10, 1, 1)), accuracy)
    assert as_before is not None
    assert copied is not None
    assert more_people is not None
    assert (copied.low, copied.high) == pytest.approx((as_before.low, as_before.high))
    assert more_people.high - more_people.low < 0.5 * (as_before.high - as_before.low)


@pytest.mark.parametrize("n_subjects", [1, 5])
def test_there_is_no_interval_where_resampling_cannot_tell(n_subjects: int) -> None:
    assert bootstrap(np.tile(np.diag([3.0, 2.0]), (n_subjects, 1, 1)), accuracy) is None


@pytest.mark.parametrize(
    ("n01", "n10", "p"), [(1, 9, 22 / 1024), (9, 1, 22 / 1024), (5, 5, 1), (0, 0, 1), (0, 6, 1 / 32)]
)
def test_mcnemar_is_the_exact_binomial_test(n01: int, n10: int, p: float) -> None:
    assert mcnemar(n01, n10) == pytest.approx(p)


def test_holm_corrects_as_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p: list[float]) -> None:
    corrected = holm(p)
    assert all(a <= c <= min(1, len(p) * a) + 1e-12 for a, c in zip(p, corrected, strict=True))
    order = sorted(range(len(p)), key=p.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected)


def test_one_fold_has_no_deviation() -> None:
    assert spread([0.5]).sd is None
    assert spread([0.4, 0.6]).sd == pytest.approx(np.sqrt(0.02))
