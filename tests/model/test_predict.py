"""A finished run applied to shards: the numbers of its own test, and no number without what it is worth."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from predictions import RECIPE, predicted, table
from runs import run
from shard_files import edit_shard, set_field, write_corpus

from fer_model.data import ClipStore
from fer_model.errors import ArgumentError, FerModelError, RunDirectoryError, ShardError
from fer_model.index import Index, read_index
from fer_model.predict.fits import differences
from fer_model.trained import Trained, load_trained

SHARES = ["p_left", "p_right", "p_still"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`shards` with twenty clips a group, more than a batch, and the `run` of their fold 2, validated on group 3."""
    home = tmp_path_factory.mktemp("predict")
    shards = write_corpus(
        home / "shards", n_groups=4, labels=(0, 1, 2, 0, 1, 2, 0, 1), n_frames=(4, 6, 13, 3), recipe=RECIPE
    )
    result = run(shards, home / "runs", fold=2, validation_group=3, epochs=1, note="a trial")
    (home / "run").symlink_to(result.run.path)
    return home


@pytest.fixture(scope="module")
def trained(home: Path) -> Trained:
    return load_trained(home / "run")


@pytest.fixture(scope="module")
def index(home: Path) -> Index:
    return read_index(home / "shards")


def test_the_recordings_that_a_run_was_tested_on_get_exactly_the_probabilities_of_its_test(
    home: Path, tmp_path: Path
) -> None:
    predicted(home / "shards", home / "run", tmp_path / "out")
    tested = table(home / "run" / "predictions.csv")
    clips = {(row["recording"], row["first_frame"]): row for row in table(tmp_path / "out" / "clips.csv")}
    videos = {row["recording"]: row for row in table(tmp_path / "out" / "recordings.csv")}
    assert len(tested) > 24
    for row in tested:
        ours = clips[row["recording"], row["clip_start"]] if row["level"] == "clip" else videos[row["recording"]]
        assert {name: ours[name] for name in (*SHARES, "predicted", "label")} == {
            name: row[name] for name in (*SHARES, "predicted", "label")
        }


def test_each_recording_says_what_it_was_for_the_run(home: Path, tmp_path: Path) -> None:
    log = io.StringIO()
    predicted(home / "shards", home / "run", tmp_path / "out", log=log)
    said = {row["subject"]: row["in_run"] for row in table(tmp_path / "out" / "recordings.csv")}
    assert said == {"s00": "training", "s01": "test", "s02": "validation", "s03": "training"}
    text = " ".join(log.getvalue().split())
    assert re.search(r"of 16 labelled recordings right, UAR [\d.]+%; no held-out result: the run was trained on", text)
    assert re.search(r"of 8 labelled recordings right, UAR [\d.]+%; held out", text)
    assert "note of the run: a trial" in text
    facts = json.loads((tmp_path / "out" / "predict.json").read_text())
    summary = json.loads((home / "run" / "summary.json").read_text())
    assert facts["scores"]["test"]["accuracy"] == summary["video_accuracy"]
    assert facts["finished"]


def test_of_other_shards_nobody_claims_that_they_were_held_out(home: Path, tmp_path: Path) -> None:
    others = write_corpus(tmp_path / "others", n_groups=2, recipe=RECIPE)
    log = io.StringIO()
    predicted(others, home / "run", tmp_path / "out", log=log)
    assert {row["in_run"] for row in table(tmp_path / "out" / "recordings.csv")} == {"unknown"}
    assert "whether it was trained on these persons, only you know" in " ".join(log.getvalue().split())
    assert "held out:" not in log.getvalue()


def test_unlabelled_recordings_get_decisions_and_no_measures(home: Path, tmp_path: Path) -> None:
    unlabelled = write_corpus(tmp_path / "unlabelled", n_groups=1, labels=(-1, -1), recipe=RECIPE)
    predicted(unlabelled, home / "run", tmp_path / "out")
    rows = table(tmp_path / "out" / "recordings.csv")
    assert [(row["label"], row["predicted"] in ("left", "right", "still")) for row in rows] == [("", True)] * 2
    assert sum(float(rows[0][name]) for name in SHARES) == pytest.approx(1, abs=2e-6)
    assert json.loads((tmp_path / "out" / "predict.json").read_text())["scores"] == {}
    assert not (tmp_path / "out" / "confusion.png").exists()


def test_clips_are_told_in_frames_and_seconds_of_their_recording(home: Path, tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "shards", n_groups=1, labels=(0, 1), n_frames=(6, 3), recipe=RECIPE)
    edit_shard(shards, set_field("recordings", 1, fps=0.0))
    predicted(shards, home / "run", tmp_path / "out")
    names = ("recording", "first_frame", "end_frame", "start_s", "end_s", "n_valid")
    assert [tuple(row[name] for name in names) for row in table(tmp_path / "out" / "clips.csv")] == [
        ("s00-0", "0", "4", "0.000", "0.160", "4"),
        ("s00-0", "2", "6", "0.080", "0.240", "4"),
        ("s00-1", "0", "3", "", "", "3"),
    ]
    assert [row["fps"] for row in table(tmp_path / "out" / "recordings.csv")] == ["25", ""]


def test_a_recording_without_a_clip_and_one_without_frames_are_rows_with_the_reason(home: Path, tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "shards", n_groups=1, labels=(0, 1), n_frames=(6, 3), recipe=RECIPE)
    edit_shard(shards, set_field("clips", 2, recording=0, first_frame=1, label=0))  # takes the second one's only clip
    (shards / "ledger.csv").write_text(
        "recording,subject,label,group,status,reason,n_frames,n_detected,n_clips,seconds\n"
        "s00-0,s00,left,1,ok,,6,6,3,0.1\n"
        "s00-1,s00,right,1,skipped,no face: none found in 3 frames,3,0,0,0.1\n"
        "s00-2,s00,right,1,failed,truncated: half of it,0,0,0,0.1\n"
    )
    result = predicted(shards, home / "run", tmp_path / "out")
    assert result.n_undecided == 2
    rows = table(tmp_path / "out" / "recordings.csv")
    assert [(row["recording"], row["predicted"] != "", row["n_clips"], row["reason"]) for row in rows] == [
        ("s00-0", True, "3", ""),
        ("s00-1", False, "0", "no face: none found in 3 frames"),
        ("s00-2", False, "0", "truncated: half of it"),
    ]


def changed(index: Index, section: str, **values: object) -> Index:
    return replace(index, recipe=index.recipe | {section: index.recipe[section] | values})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda i: replace(i, classes=("right", "left", "still")),
            "classes are left, right, still in the run, right, ",
        ),
        (lambda i: replace(i, clip_length=8), "clip length is 4 in the run, 8 here"),
        (lambda i: replace(i, aligner="openface"), "aligner is mesh in the run, openface here"),
        (lambda i: changed(i, "align", face_size=112), "align.face_size is 16 in the run, 112 here"),
        (lambda i: changed(i, "align", template=2), "align.template is not stated in the run, 2 here"),
        (lambda i: changed(i, "flow", backend="dis"), "flow.backend is farneback in the run, dis here"),
        (lambda i: changed(i, "flow", levels=4), "flow.levels is 3 in the run, 4 here"),
    ],
)
def test_what_the_network_has_not_learnt_is_named_with_both_values(
    trained: Trained, index: Index, change: Callable[[Index], Index], sentence: str
) -> None:
    (found,) = differences(trained, change(index))
    assert found.startswith(sentence)


def test_what_does_not_change_a_face_does_not_matter(trained: Trained, index: Index) -> None:
    harmless = changed(changed(index, "align", max_gap_frames=2, mask=False, backend="auto"), "clips", stride=1)
    assert list(differences(trained, replace(harmless, corpus="another", clip_stride=1, n_groups=9))) == []


def test_shards_that_do_not_fit_are_refused_and_nothing_is_written(home: Path, tmp_path: Path) -> None:
    longer = write_corpus(tmp_path / "shards", n_groups=1, length=6, recipe=RECIPE)
    with pytest.raises(ArgumentError, match=rf"^{re.escape(str(longer))}: the model .* clip length is 4 in the run, 6"):
        predicted(longer, home / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_predictions_are_replaced_only_when_asked_and_other_files_never_go(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predicted(home / "shards", home / "run", out, timelines=2)
    assert len(list((out / "timelines").iterdir())) == 2
    (out / "timelines" / "mine.txt").write_text("kept")
    with pytest.raises(RunDirectoryError, match="holds predictions; give --overwrite"):
        predicted(home / "shards", home / "run", out)
    predicted(home / "shards", home / "run", out, overwrite=True)
    assert [path.name for path in (out / "timelines").iterdir()] == ["mine.txt"]
    assert (out / "clips.csv").exists()


@pytest.mark.parametrize("name", ["../precious.txt", "/etc/hostname", 3])
def test_no_file_outside_of_the_directory_is_ever_deleted(home: Path, tmp_path: Path, name: object) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("kept")
    (tmp_path / "out").mkdir()
    facts = {"program": "fer-predict", "finished": True, "files": [name]}
    (tmp_path / "out" / "predict.json").write_text(json.dumps(facts))
    with pytest.raises(RunDirectoryError, match="names the file"):
        predicted(home / "shards", home / "run", tmp_path / "out", overwrite=True)
    assert precious.exists()


def test_a_directory_of_something_else_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("kept")
    with pytest.raises(RunDirectoryError, match="not empty and not of fer-predict"):
        predicted(home / "shards", home / "run", tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_interrupted_prediction_needs_no_overwrite(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predicted(home / "shards", home / "run", out)
    facts = json.loads((out / "predict.json").read_text())
    (out / "predict.json").write_text(json.dumps(facts | {"finished": False}))
    predicted(home / "shards", home / "run", out)
    assert json.loads((out / "predict.json").read_text())["finished"]


def test_damaged_frames_are_a_sentence(home: Path, tmp_path: Path) -> None:
    shards = write_corpus(tmp_path / "shards", n_groups=1, recipe=RECIPE)
    (path,) = shards.glob("*.h5")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"damage")
    with pytest.raises(ShardError, match="damaged"):
        predicted(shards, home / "run", tmp_path / "out")


def test_videos_without_fer_prep_are_refused_by_a_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    (tmp_path / "video.mp4").write_bytes(b"something")
    with pytest.raises(FerModelError, match=r"fer-prep is not installed.*fer-convlstm\[prep\]"):
        predicted(tmp_path / "video.mp4", home / "run", tmp_path / "out")


def test_shards_of_other_videos_are_not_replaced_unasked(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "predict.json").write_text(json.dumps({"program": "fer-predict", "finished": False, "files": []}))
    (out / "manifest.csv").write_text("file,subject,label\r\nother.mp4,other.mp4,\r\n")
    (tmp_path / "video.mp4").write_bytes(b"something")
    with pytest.raises(RunDirectoryError, match=r"manifest.csv: of an earlier prediction .* give --overwrite"):
        predicted(tmp_path / "video.mp4", home / "run", out)
    assert "other.mp4" in (out / "manifest.csv").read_text()


def test_an_empty_video_is_a_row_with_its_reason(home: Path, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"")
    result = predicted(tmp_path / "video.mp4", home / "run", tmp_path / "out")
    assert (result.n_undecided, result.decisions) == (1, ())
    (row,) = table(tmp_path / "out" / "recordings.csv")
    assert (row["recording"], row["predicted"], row["reason"]) == ("video.mp4", "", "empty file")


def test_a_folder_with_neither_shards_nor_videos_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("")
    with pytest.raises(ArgumentError, match=r"neither shards \(no index.json\) nor videos \(among 1 files"):
        predicted(tmp_path / "in", home / "run", tmp_path / "out")


def test_the_whole_corpus_is_never_in_memory(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("frames were loaded")

    monkeypatch.setattr(ClipStore, "load", refuse)
    monkeypatch.setattr(ClipStore, "frames", refuse)
    result = predicted(home / "shards", home / "run", tmp_path / "out")
    assert np.isfinite([clip.probability_K for d in result.decisions for clip in d.clips]).all()
