"""The picture of `make demo`, from small shards and decisions."""

import csv
from pathlib import Path

import matplotlib.image
import pytest
from demo_picture import clips_of, confusion_of, main
from shard_trees import Take, write_directory

CLASSES = ("anger", "happiness", "surprise")


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """What a demo leaves, of two persons; the second is held out."""
    takes = [
        Take(subject, group, f"{subject}/{label}.avi", label, speed_px=group + label / 4)
        for subject, group in (("2", 2), ("1", 1))
        for label in range(len(CLASSES))
    ]
    write_directory(tmp_path / "shards", takes, classes=CLASSES, n_groups=2, corpus="sample")
    run = tmp_path / "runs" / "sample" / "enhanced" / "seed0" / "fold1"
    run.mkdir(parents=True)
    decided = (("anger", "anger"), ("happiness", "happiness"), ("surprise", "anger"))
    with (run / "predictions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["level", "label", "predicted", *(f"p_{name}" for name in CLASSES)])
        table.writerow(["clip", "anger", "surprise", 0, 0, 1])
        table.writerows(["video", *names, 1, 0, 0] for names in decided)
    return tmp_path


def test_the_clips_are_of_the_shown_classes_of_a_held_out_person(demo: Path) -> None:
    happiness, surprise = clips_of(demo / "shards")
    assert (happiness.recording.id, surprise.recording.id) == ("1/1.avi", "1/2.avi")
    assert happiness.flow_THW2[1:, :, :, 0].mean() == 1.25


def test_the_matrix_counts_recordings(demo: Path) -> None:
    confusion_KK, classes = confusion_of(demo / "runs" / "sample" / "enhanced" / "seed0" / "fold1")
    assert classes == list(CLASSES)
    assert confusion_KK == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]


def test_the_picture_is_small_enough_for_a_page(demo: Path) -> None:
    main(demo)
    picture = matplotlib.image.imread(demo / "demo.png")
    assert picture.shape[:2] == (460, 1200)
    assert picture.std() > 0.05
    for path in (demo / "demo.png", Path(__file__).parents[2] / "docs" / "images" / "demo.png"):
        assert path.stat().st_size < 300_000
