"""Dropping and merging classes: nothing disappears unsaid, and nobody changes folds."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_prep.corpora import Corpus, Recording, choose_classes
from fer_prep.errors import UsageError

CLASSES = ("neutral", "calm", "happy", "sad")


def corpus(labels: tuple[str | None, ...] = (*CLASSES, None)) -> Corpus:
    recordings = [Recording(f"{k}.avi", f"{k}.avi", Path(f"{k}.avi"), str(k), label) for k, label in enumerate(labels)]
    return Corpus("ravdess", Path(), CLASSES, tuple(recordings))


@pytest.mark.parametrize(
    ("items", "classes", "labels"),
    [
        (("-calm",), ("neutral", "happy", "sad"), ["neutral", "happy", "sad", None]),
        (("-calm", "-sad"), ("neutral", "happy"), ["neutral", "happy", None]),
        (("sad", "happy"), ("sad", "happy"), ["happy", "sad", None]),
        (("neutral=neutral+calm",), ("neutral", "happy", "sad"), ["neutral", "neutral", "happy", "sad", None]),
        (("low = calm + sad",), ("neutral", "low", "happy"), ["neutral", "low", "happy", "low", None]),
        (("happy", "rest=sad+neutral"), ("happy", "rest"), ["rest", "happy", "rest", None]),
        (("-neutral", "neutral=calm"), ("neutral", "happy", "sad"), ["neutral", "happy", "sad", None]),
        (("sad", "-calm"), ("sad",), ["sad", None]),
    ],
)
def test_classes_are_kept_dropped_and_merged(
    items: tuple[str, ...], classes: tuple[str, ...], labels: list[str | None]
) -> None:
    chosen = choose_classes(corpus(), items)
    assert chosen.classes == classes
    assert [recording.label for recording in chosen.recordings] == labels
    assert len(chosen.left_out) == len(corpus().recordings) - len(chosen.recordings)


def test_recordings_of_dropped_classes_are_named() -> None:
    (remark,) = choose_classes(corpus(), ("-calm",)).left_out
    assert (remark.kind, remark.path) == ("class dropped: calm", "1.avi")


def test_without_the_option_everything_stays() -> None:
    assert choose_classes(corpus(), None) == corpus()


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        (("angry",), "--classes names 'angry'; the classes of ravdess are neutral, calm, happy, sad: write"),
        (("-angry",), "names 'angry'"),
        (("x=calm+angry",), "names 'angry'"),
        (("calm", "calm"), "two meanings for 'calm'"),
        (("calm", "-calm"), "two meanings for 'calm'"),
        (("x=calm", "x=sad"), "two meanings for 'x'"),
        (("happy=neutral+calm",), "two meanings for 'happy'"),
        (("=calm",), "a class without a name"),
        (("-neutral", "-calm", "-happy", "-sad"), "leaves no class"),
    ],
)
def test_what_makes_no_sense_is_refused(items: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_classes(corpus(), items)
    assert sentence in str(caught.value)


def test_a_choice_without_recordings_is_refused() -> None:
    with pytest.raises(UsageError, match="leaves none of 2 recordings"):
        choose_classes(corpus(("calm", "sad")), ("happy",))


@given(st.sets(st.sampled_from(CLASSES), min_size=1, max_size=3), st.lists(st.sampled_from(CLASSES), max_size=12))
def test_every_recording_is_taken_or_said_to_be_left_out(drops: set[str], labels: list[str]) -> None:
    whole = corpus((*labels, *CLASSES))
    chosen = choose_classes(whole, tuple(f"-{name}" for name in drops))
    dropped = Counter(remark.kind.removeprefix("class dropped: ") for remark in chosen.left_out)
    assert Counter(r.label for r in chosen.recordings) + dropped == Counter(r.label for r in whole.recordings)
    assert set(dropped) == drops
    assert set(chosen.classes).isdisjoint(drops)


def test_where_nothing_is_labelled_the_classes_are_those_of_the_model_to_be_used() -> None:
    unlabelled = Corpus("manifest", Path(), (), corpus((None, None)).recordings)
    chosen = choose_classes(unlabelled, ("sad", "angry"))
    assert chosen.classes == ("sad", "angry")
    assert [recording.label for recording in chosen.recordings] == [None, None]
    for items in (("-sad",), ("x=sad+angry",), ("sad", "sad")):
        with pytest.raises(UsageError, match=r"--classes (names|has two meanings for) 'sad'"):
            choose_classes(unlabelled, items)
