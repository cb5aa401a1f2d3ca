"""Which clips, frames and recordings a report shows, and how they look."""

from pathlib import Path

import numpy as np
import pytest
from shard_trees import Take, write_directory

from fer_prep.colour_wheel import flow_colours
from fer_prep.report.contact import CLIP_TILE, WORST_TILE, contact_sheets, worst_pictures, worst_recordings
from fer_prep.report.flow_sample import EDGES_PX, FRAMES_PER_CLASS, sample_flow
from fer_prep.report.gather import Survey, survey
from fer_prep.strips import GAP, MARK, spread


def made(tmp_path: Path, takes: list[Take]) -> Survey:
    return survey(write_directory(tmp_path / "shards", takes, classes=("joy", "fear"), n_groups=1))


def test_every_frame_that_has_flow_is_counted_once(tmp_path: Path) -> None:
    takes = [
        Take("a", 1, "a/1", 0, n_frames=8, faceless=(3,), speed_px=1.0),
        Take("a", 1, "a/2", 1, n_frames=5, speed_px=8.0),
        Take("b", 1, "b/1", 0, n_frames=4, n_clips=1, speed_px=2.0),
        Take("b", 1, "b/2", 0, n_frames=6, n_clips=0, speed_px=99.0),
    ]
    sample = sample_flow(made(tmp_path, takes))
    # without the first frames, those without an image here or before, and the recording without clips
    assert sample.n_frames == {0: 5 + 3, 1: 4}
    for label, frames_of_speed in ((0, {1.0: 5, 2.0: 3}), (1, {8.0: 4})):
        expected = np.zeros(len(EDGES_PX) - 1, int)
        for speed, n in frames_of_speed.items():
            expected[np.searchsorted(EDGES_PX, speed) - 1] = 16 * 16 * n
        assert sample.counts[label].tolist() == expected.tolist()
    assert 8.0 <= sample.quantile_px(0.98) < 8.0 * EDGES_PX[1] / EDGES_PX[0]
    assert 1.0 <= sample.quantile_px(0.1) < 1.3


def test_still_pixels_are_in_the_first_bin(tmp_path: Path) -> None:
    sample = sample_flow(made(tmp_path, [Take("a", 1, "a", 0, n_frames=3, n_clips=1, speed_px=0.0)]))
    assert sample.counts[0][0] == 2 * 16 * 16


def test_the_lot_is_drawn_the_same_way_every_time(tmp_path: Path) -> None:
    takes = [Take("a", 1, f"a/{k}", 0, n_frames=40, n_clips=15, speed_px=0.1 * k) for k in range(12)]
    found = made(tmp_path, takes)
    once, again = sample_flow(found), sample_flow(found)
    assert once.n_frames[0] == FRAMES_PER_CLASS < 12 * 39
    assert once.counts[0].tolist() == again.counts[0].tolist()
    shown = [
        [(clip.stored.row.id, clip.first_frame) for clip in contact_sheets(found, full_px=1.0)[0]] for _ in range(2)
    ]
    assert shown[0] == shown[1]
    assert len(set(shown[0])) == 4


def test_no_subject_is_shown_twice_while_another_is_not_shown(tmp_path: Path) -> None:
    takes = [Take("long", 1, "long", 0, n_frames=200, n_clips=99)]
    takes += [Take(f"s{k}", 1, f"s{k}", 0, n_frames=4, n_clips=1) for k in range(3)]
    clips = contact_sheets(made(tmp_path, takes), full_px=1.0)[0]
    assert sorted(clip.stored.subject for clip in clips) == ["long", "s0", "s1", "s2"]


def test_a_clip_is_shown_as_its_frames_above_their_flow(tmp_path: Path) -> None:
    found = made(tmp_path, [Take("a", 1, "a", 0, n_frames=3, n_clips=1, speed_px=0.5)])
    (clip,) = contact_sheets(found, full_px=2.0)[0]
    step = CLIP_TILE + GAP
    assert clip.rgb_HWC.shape == (2 * step - GAP, 3 * step - GAP, 3)
    assert (clip.frames, clip.first_frame, clip.n_valid, clip.n_detected) == ((0, 1, 2), 0, 3, 3)
    for t in range(3):
        columns = slice(t * step, t * step + CLIP_TILE)
        assert (clip.rgb_HWC[:CLIP_TILE, columns] == 40 + 9 * t).all()
        flow = flow_colours(np.array([0.5 if t else 0.0, 0.0]), full_px=2.0)
        assert (clip.rgb_HWC[step:, columns] == flow).all()


def test_the_recordings_with_the_fewest_faces_come_first_and_their_faceless_frames_are_red(tmp_path: Path) -> None:
    takes = [
        Take("a", 1, "one of eight", 0, faceless=(2,)),
        Take("b", 1, "none of eight", 0),
        Take("c", 1, "two of four", 1, n_frames=4, n_clips=1, faceless=(0, 3)),
    ]
    worst = worst_recordings(made(tmp_path, takes))
    assert [stored.row.id for stored in worst] == ["two of four", "one of eight"]
    track = worst_pictures(worst)[0]
    assert track.frames == (0, 1, 2, 3)
    for t in range(4):
        corner = track.rgb_HWC[0, t * (WORST_TILE + GAP)]
        assert corner.tolist() == (list(MARK) if t in (0, 3) else [40 + 9 * t] * 3)


@pytest.mark.parametrize(("n", "most"), [(1, 8), (8, 8), (9, 8), (16, 8), (1000, 12), (5, 1)])
def test_frames_are_spread_over_the_whole_length(n: int, most: int) -> None:
    chosen = spread(n, most).tolist()
    assert len(chosen) == min(n, most)
    assert chosen[0] == 0
    assert chosen[-1] == (n - 1 if most > 1 else 0)
    assert chosen == sorted(set(chosen))
