"""Groups: every person on one side of every fold."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_prep.corpora.recording import Recording
from fer_prep.errors import UsageError
from fer_prep.folds import assign_groups, deal
from fer_prep.order import natural_key

names = st.sets(st.text("abS0123456789-_", min_size=1, max_size=6), min_size=1, max_size=40)


def recording(subject: str, group: int | None = None, name: str = "v.avi") -> Recording:
    return Recording(f"{subject}/{name}", name, Path(name), subject, "anger", group)


@given(names, st.integers(1, 12))
def test_every_subject_is_in_exactly_one_group_and_groups_are_even(subjects: set[str], n_groups: int) -> None:
    groups = deal(subjects, n_groups)
    assert set(groups) == subjects
    sizes = [list(groups.values()).count(group) for group in range(1, n_groups + 1)]
    assert sum(sizes) == len(subjects)
    assert max(sizes) - min(sizes) <= 1
    assert set(groups.values()) == set(range(1, min(n_groups, len(subjects)) + 1))


@given(names, st.integers(1, 12), st.randoms())
def test_groups_do_not_depend_on_order_or_on_the_number_of_files(
    subjects: set[str], n_groups: int, random: object
) -> None:
    files = [recording(subject, name=f"{k}.avi") for subject in subjects for k in range(3)]
    random.shuffle(files)  # type: ignore[attr-defined]
    assert assign_groups(files, n_groups) == deal(subjects, n_groups)


def test_subjects_are_ordered_as_a_person_counts() -> None:
    assert sorted(["s10", "s2", "s1", "a"], key=natural_key) == ["a", "s1", "s2", "s10"]
    assert sorted(["²", "07", "7", "9" * 5000], key=natural_key) == ["07", "7", "9" * 5000, "²"]
    assert deal(["s10", "s2", "s1"], 2) == {"s1": 1, "s2": 2, "s10": 1}


def test_groups_of_the_corpus_are_taken_as_they_are() -> None:
    assert assign_groups([recording("a", 3), recording("b", 1), recording("a", 3, "w.avi")], "corpus") == {
        "a": 3,
        "b": 1,
    }


@pytest.mark.parametrize(
    ("recordings", "sentence"),
    [
        ([recording("a", 1), recording("a", 2, "w.avi")], "subject 'a' is in group 1 and, with a/w.avi, in 2"),
        ([recording("a", 1), recording("b")], "b/v.avi has no group, but a/v.avi has"),
        ([recording("a", 0)], "a/v.avi is in group 0; expected: 1 to 1000"),
    ],
)
def test_groups_that_would_leak_or_make_no_sense_are_refused(recordings: list[Recording], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        assign_groups(recordings, "corpus")


def test_everyone_can_be_a_group() -> None:
    files = [recording("s10"), recording("s2"), recording("s2", name="w.avi"), recording("s1", 4)]
    assert assign_groups(files, "subject") == {"s1": 1, "s2": 2, "s10": 3}


def test_a_number_deals_anew_even_where_the_corpus_has_groups() -> None:
    assert assign_groups([recording("a", 3), recording("b", 1)], 2) == {"a": 1, "b": 2}


def test_without_groups_of_its_own_a_corpus_is_dealt_into_five() -> None:
    files = [recording(str(k)) for k in range(11)]
    assert assign_groups(files, "corpus") == deal((str(k) for k in range(11)), 5)


@given(names, names, st.integers(1, 12))
def test_subjects_without_a_label_move_nobody(labelled: set[str], others: set[str], n_groups: int) -> None:
    files = [recording(subject) for subject in labelled]
    unlabelled = [replace(recording(subject, name="u.avi"), label=None) for subject in others]
    groups = assign_groups([*unlabelled, *files], n_groups)
    assert set(groups) == labelled | others
    assert {subject: groups[subject] for subject in labelled} == deal(labelled, n_groups)
    sizes = [list(groups.values()).count(group) for group in range(1, n_groups + 1)]
    assert max(sizes) - min(sizes) <= 1
