"""Timelines and annotated videos show the probabilities where they are, and nothing where there is none."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from matplotlib.image import imread
from predictions import RECIPE, predicted
from runs import run
from shard_files import edit_index, edit_shard, write_corpus

from fer_model.predict.decisions import ClipDecision, Decision
from fer_model.predict.film import FACE, TITLE, probabilities
from fer_model.predict.marks import detected, runs
from fer_model.predict.run import Prediction
from fer_model.predict.timeline import averaged, shown, unbroken

N_FRAMES, GAP = 40, slice(12, 24)


def clip(start: int, *, p: float = 0.5, length: int = 4) -> ClipDecision:
    return ClipDecision(start=start, n_valid=length, choice=0, probability_K=(p, 1 - p))


@pytest.fixture(scope="module")
def prediction(tmp_path_factory: pytest.TempPathFactory) -> Prediction:
    """Of one recording of 40 frames without a face, and without clips, in twelve of them."""
    home = tmp_path_factory.mktemp("figures")
    trained_on = write_corpus(home / "shards", recipe=RECIPE)
    checkpoint = run(trained_on, home / "runs", epochs=1).run.path
    shards = write_corpus(home / "gap", n_groups=1, labels=(-1,), n_frames=(N_FRAMES,), recipe=RECIPE)

    def make_gap(file):  # type: ignore[no-untyped-def]
        file["frames/detected"][GAP] = False
        clips = file["clips"][:]
        del file["clips"]
        file["clips"] = clips[(clips["first_frame"] + 4 <= GAP.start) | (clips["first_frame"] >= GAP.stop)]

    edit_shard(shards, make_gap)
    edit_index(shards, lambda index: index["shards"][0].update(n_clips=5 + 7))
    return predicted(shards, checkpoint, home / "out", timelines=None, video=True)


@pytest.fixture(scope="module")
def decision(prediction: Prediction) -> Decision:
    return prediction.decisions[0]


def test_marks_tell_where_no_face_was_found(decision: Decision) -> None:
    assert runs(~detected(decision)) == [(GAP.start, GAP.stop)]


def test_lines_end_where_a_clip_is_missing(decision: Decision) -> None:
    before, after = unbroken(decision.clips, stride=2)
    assert (before[0].start, before[-1].start) == (0, 8)
    assert (after[0].start, after[-1].start) == (24, 36)


def test_the_timeline_is_drawn_and_shades_the_gap(prediction: Prediction) -> None:
    (path,) = (prediction.directory.path / "timelines").iterdir()
    assert path.name == "1-s00-0.png"
    image = imread(path)
    grey = np.isclose(image[..., :3], 0xD9 / 255, atol=0.004).all(-1)
    lines = grey[len(grey) // 8 : len(grey) // 2]  # above the pictures
    shaded = np.flatnonzero(lines.mean(0) > 0.5)
    assert len(shaded) / image.shape[1] == pytest.approx(12 / 40 * 0.83, abs=0.03)
    assert len(shaded) > 0.9 * (shaded[-1] - shaded[0])


def test_points_of_many_clips_are_means_in_time_and_in_probability() -> None:
    first, last = averaged([clip(0, p=0.2), clip(2, p=0.4), clip(4, p=0.9)], n=2)
    assert (first.frame, last.frame) == (3, 6)
    assert first.probability_K == pytest.approx((0.3, 0.7))
    assert last.probability_K == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize("n_frames", [4, 30, 3000])
def test_pictures_never_overlap_each_other_or_the_ends(n_frames: int) -> None:
    clips = [clip(start) for start in range(0, n_frames - 3, 2)]
    centres = [c.centre for c in shown(clips, most=10, n_frames=n_frames)]
    assert 1 <= len(centres) <= 10
    assert all(b - a >= n_frames / 10 for a, b in pairwise(centres))
    assert centres[0] >= n_frames / 20
    assert centres[-1] <= n_frames * 19 / 20


def test_a_frame_of_the_video_has_the_mean_of_the_clips_that_it_is_in(decision: Decision) -> None:
    shares = probabilities(decision, n_classes=3)
    a, b = decision.clips[:2]
    np.testing.assert_allclose(shares[0], a.probability_K)
    np.testing.assert_allclose(shares[2], np.mean([a.probability_K, b.probability_K], axis=0))
    assert np.isnan(shares[GAP]).all()
    assert not np.isnan(np.delete(shares, GAP, axis=0)).any()


def test_the_video_plays_every_frame_at_the_speed_of_the_recording(prediction: Prediction) -> None:
    (path,) = (prediction.directory.path / "videos").iterdir()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(25)
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(images) == N_FRAMES
    bars = [image[TITLE:-20, FACE + 30 : -10].astype(int) for image in images]
    coloured = [int((np.ptp(bar, axis=-1) > 40).sum()) for bar in bars]
    assert max(coloured[14:22]) == 0
    assert min(coloured[:10] + coloured[26:]) > 500
