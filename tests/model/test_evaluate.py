"""From clip probabilities to the vote, and what is counted."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_model.evaluate import clip_scores, decide, measure, video_scores, vote
from fer_model.folds import ClipRef
from fer_model.results import prediction_table
from fer_model.shards import Clip, Recording, Shard


def make_ref(recording: str, *, label: int, start: int = 0) -> ClipRef:
    shard = Shard(
        path=Path("x.h5"),
        n_bytes=1,
        mtime_ns=0,
        subject="s",
        group=1,
        n_frames=99,
        height=4,
        width=4,
        flow_scale=256.0,
        recordings=(),
        clips=(),
    )
    where = Recording(id=recording, subject="s", label=label, first_frame=10, n_frames=50)
    return ClipRef(shard=shard, clip=Clip(recording=where, first_frame=10 + start, n_valid=4))


def probabilities(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_the_class_of_most_clips_wins_even_with_less_probability() -> None:
    assert vote(probabilities([0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.0, 1.0, 0.0])) == 0


def test_a_tie_goes_to_the_larger_summed_probability() -> None:
    assert vote(probabilities([0.5, 0.4, 0.1], [0.0, 0.6, 0.4])) == 1
    assert vote(probabilities([0.9, 0.1, 0.0], [0.0, 0.6, 0.4])) == 0


def test_a_class_without_a_vote_does_not_win_a_tie_of_others() -> None:
    assert vote(probabilities([0.46, 0.1, 0.44], [0.1, 0.46, 0.44])) != 2


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), min_size=1, max_size=7),
)
def test_the_vote_is_a_most_chosen_class_and_ignores_the_order_of_the_clips(
    weights: list[list[int]],
) -> None:
    rows = torch.tensor(weights, dtype=torch.float64)
    choices = torch.bincount(rows.argmax(1), minlength=3)
    winner = vote(rows)
    assert choices[winner] == choices.max()
    assert vote(rows.flip(0)) == winner
    tied = choices == choices.max()
    assert rows.sum(0)[winner] == rows.sum(0)[tied].max()


def test_uar_and_f1_are_means_over_the_classes_that_occur() -> None:
    scores = measure(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 0, 1]), n_classes=4)
    assert scores.accuracy == 0.5
    assert scores.uar == pytest.approx((2 / 3 + 0) / 2)
    assert scores.f1 == pytest.approx((0.8 + 0) / 2)
    assert scores.confusion_KK == [[2, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_clips_of_a_recording_vote_together_and_are_counted_alone() -> None:
    refs = [
        make_ref("a", label=0),
        make_ref("b", label=1),
        make_ref("a", label=0, start=2),
        make_ref("a", label=0, start=4),
    ]
    predictions = decide(refs, probabilities([0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]))
    assert video_scores(predictions).accuracy == 1.0
    assert video_scores(predictions).n == 2
    assert clip_scores(predictions).accuracy == 0.75
    assert clip_scores(predictions).n == 4


def test_the_table_lists_clips_then_recordings_with_the_place_of_each_clip() -> None:
    refs = [make_ref("a", label=0), make_ref("a", label=0, start=2)]
    header, rows = prediction_table(decide(refs, probabilities([0.9, 0.1], [0.4, 0.6])), ("no", "yes"))
    assert header == ["level", "recording", "subject", "clip_start", "label", "predicted", "p_no", "p_yes"]
    assert rows == [
        ["clip", "a", "s", 0, "no", "no", "0.900000", "0.100000"],
        ["clip", "a", "s", 2, "no", "yes", "0.400000", "0.600000"],
        ["video", "a", "s", "", "no", "no", "0.650000", "0.350000"],
    ]
