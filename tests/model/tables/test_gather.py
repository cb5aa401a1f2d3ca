"""A tree of runs is read whole; what is unfinished, damaged or odd is said by a sentence and left out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from run_files import CONFIG, edit_json, read_csv, write_csv, write_run
from runs import run
from shard_files import write_corpus

from fer_model.errors import ArgumentError
from fer_model.tables.gather import gather
from fer_model.tables.sections import sections_of
from fer_model.tables.tabulate import tabulate


def test_what_fer_train_leaves_is_read_and_summed_up(tmp_path: Path) -> None:
    shards, out = write_corpus(tmp_path / "shards"), tmp_path / "runs"
    done = [
        run(shards, out, epochs=1, variant=variant, fold=fold, note="a trial")
        for variant, fold in (("a", 1), ("a", 2), ("d", 1))
    ]
    gathered = gather(out)
    assert gathered.problems == ()
    assert [r.videos.label_N.size for r in gathered.runs] == [6, 6, 6]
    (section,) = sections_of(gathered.runs)
    assert section.title == "tiny (a trial)"
    assert (section.n_folds, section.folds_are_known) == (3, True)
    assert [(entry.label, entry.missing) for entry in section.entries] == [
        ("convlstm", ((0, 3),)),
        ("enhanced", ((0, 2), (0, 3))),
    ]
    tables = tabulate(section)
    both, one = tables.measures
    assert both.accuracy_of_fold == pytest.approx({1: done[0].video.accuracy, 2: done[1].video.accuracy})
    assert one.uar.value == pytest.approx(done[2].video.uar)
    assert one.macro_f1.value == pytest.approx(done[2].video.f1, abs=1e-6)
    assert one.clip_accuracy.value == pytest.approx(done[2].clip.accuracy)
    assert one.confusion_KK.tolist() == done[2].video.confusion_KK
    assert one.parameters is not None
    assert tables.pairs[0].n_recordings == 6


def test_a_part_of_the_tree_and_a_single_run_can_be_read(tmp_path: Path) -> None:
    path = write_run(tmp_path, name="spatial", fold=2)
    write_run(tmp_path, name="convlstm", fold=2)
    assert [run.name for run in gather(path.parent).runs] == ["spatial"]
    assert [run.fold for run in gather(path).runs] == [2]


def lines(path: Path, change: Callable[[list[str]], object]) -> None:
    """Change the lines of a text file in place."""
    found = path.read_text().splitlines(keepends=True)
    change(found)
    path.write_text("".join(found))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda p: (p / "summary.json").unlink(), "not finished (no summary.json); fer-train with --resume"),
        (lambda p: (p / "config.json").unlink(), "a summary.json without a config.json is no run"),
        (lambda p: (p / "summary.json").write_text("{"), "summary.json: not readable"),
        (lambda p: (p / "summary.json").write_bytes(b"\xff"), "summary.json: not readable"),
        (lambda p: (p / "predictions.csv").unlink(), "predictions.csv: is not there"),
        (lambda p: (p / "predictions.csv").write_text(""), "predictions.csv: is empty"),
        (lambda p: lines(p / "predictions.csv", lambda rows: rows.pop()), "says 6 recordings were tested"),
        (lambda p: edit_json(p / "summary.json", clip_accuracy=0.5), "and predictions.csv gives 1.0"),
        (lambda p: lines(p / "predictions.csv", lambda rows: rows.append(rows[-1])), "a recording is decided twice"),
        (lambda p: lines(p / "predictions.csv", lambda rows: rows.append("video,x\n")), "line 20 is no decision"),
        (lambda p: lines(p / "predictions.csv", lambda rows: rows.pop(0)), "its columns are clip"),
        (lambda p: (p / "losses.csv").write_text("step,loss\n2,0.5\n"), "losses.csv: damaged"),
        (lambda p: (p / "losses.csv").write_text("step,loss\n1,nan\n"), "losses.csv: damaged"),
        (lambda p: (p / "gradients.csv").write_text("epoch,stream,layer,t,norm\n1,rgb,1,0\n"), "gradients.csv: dam"),
        (lambda p: edit_json(p / "summary.json", fold=7), "fold is '1' in config.json and '7' in summary.json"),
        (lambda p: edit_json(p / "summary.json", seconds="long"), "seconds is 'long', a number was expected"),
        (lambda p: edit_json(p / "summary.json", best_epoch_on_test={"epoch": 3}), "best_epoch_on_test is"),
        (lambda p: edit_json(p / "config.json", classes=["a", "a", "b"]), "classes is"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_the_rest_is_used(tmp_path: Path, damage, sentence: str) -> None:  # type: ignore[no-untyped-def]
    good, bad = write_run(tmp_path, fold=2, subjects=(3, 4)), write_run(tmp_path, fold=1)
    damage(bad)
    gathered = gather(tmp_path)
    assert [run.path for run in gathered.runs] == [good]
    (problem,) = gathered.problems
    assert problem.text.startswith(str(bad))
    assert sentence in problem.text
    assert problem.text.endswith((".", "finishes it."))


def test_no_loss_file_is_no_damage_for_some_models_take_no_steps(tmp_path: Path) -> None:
    (write_run(tmp_path, name="lbp-top") / "losses.csv").unlink()
    (run,) = gather(tmp_path).runs
    assert run.loss_S.size == 0


def test_a_second_copy_is_used_once(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    gathered = gather(tmp_path)
    assert len(gathered.runs) == 1
    assert "the same run as a/tiny/enhanced/seed0/fold1" in gathered.problems[0].text


def test_runs_that_contradict_each_other_on_the_shards_are_not_pooled(tmp_path: Path) -> None:
    write_run(tmp_path, fold=1)
    write_run(tmp_path, fold=2)  # the same recordings in another fold
    path = write_run(tmp_path, fold=1, name="spatial")
    rows = [list(row.values()) for row in read_csv(path / "predictions.csv")]
    header = list(read_csv(path / "predictions.csv")[0])
    write_csv(path / "predictions.csv", [header, *([*row[:2], "somebody", *row[3:]] for row in rows)])
    gathered = gather(tmp_path)
    assert [(run.name, run.fold) for run in gathered.runs] == [("enhanced", 1)]
    texts = " ".join(problem.text for problem in gathered.problems)
    assert "was tested in fold 1 too" in texts
    assert "has another label or subject" in texts


@pytest.mark.parametrize("made", [True, False])
def test_a_directory_without_runs_is_refused(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "runs").mkdir()
    with pytest.raises(ArgumentError, match="holds no run" if made else "is no directory"):
        gather(tmp_path / "runs")


@pytest.mark.parametrize(
    "change",
    [{"shard_keys_sha256": "cd" * 32}, {"classes": ["anger", "fear", "calm"]}, {"clip_length": 16}, {"epochs": 60},
     {"preset": "paper"}, {"validation_group": 2}, {"corpus": "other"}, {"recipe": {"length": 3}}],
)  # fmt: skip
def test_what_cannot_be_compared_stands_in_sections_of_its_own(tmp_path: Path, change: dict[str, object]) -> None:
    write_run(tmp_path / "a", name="convlstm")
    write_run(tmp_path / "b", name="enhanced", config=change)
    assert len(sections_of(gather(tmp_path).runs)) == 2


def test_a_model_without_steps_stands_beside_all_that_were_trained_by_its_protocol(tmp_path: Path) -> None:
    write_run(tmp_path / "a", name="enhanced", config={"epochs": 10})
    write_run(tmp_path / "b", name="enhanced", config={"epochs": 60})
    write_run(tmp_path / "c", name="lbp-top", config={"epochs": 1, "optimizer": "none", "input_size": 32})
    short, long = sections_of(gather(tmp_path).runs)
    assert (short.protocol["epochs"], long.protocol["epochs"]) == (10, 60)
    assert (
        [entry.label for entry in short.entries] == [entry.label for entry in long.entries] == ["enhanced", "lbp-top"]
    )
    (alone,) = sections_of(gather(tmp_path / "c").runs)
    assert alone.protocol["epochs"] is None


def test_one_name_trained_in_two_ways_is_two_rows(tmp_path: Path) -> None:
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", config={"lr": 0.1})
    write_run(tmp_path / "b", name="convlstm", config={"lr": 0.1})
    (section,) = sections_of(gather(tmp_path).runs)
    assert [entry.label for entry in section.entries] == ["convlstm", "enhanced (lr 0.002)", "enhanced (lr 0.1)"]
    assert tabulate(section).settings == (("lr", ["0.1", str(CONFIG["lr"]), "0.1"]),)
    write_run(tmp_path / "c", config={"weights_sha256": "ab" * 32})
    labels = [entry.label for entry in sections_of(gather(tmp_path).runs)[0].entries]
    assert "enhanced (lr 0.002, weights_sha256 abababababab)" in labels
    write_run(tmp_path / "d", config={"weights_sha256": "ab" * 31})
    labels = [entry.label for entry in sections_of(gather(tmp_path).runs)[0].entries]
    assert len(set(labels)) == 5


def test_runs_that_do_not_say_how_many_folds_there_are_are_believed_up_to_the_largest(tmp_path: Path) -> None:
    for fold in (1, 3):
        write_run(tmp_path, fold=fold, subjects=(fold,), summary={"n_folds": None})
    (section,) = sections_of(gather(tmp_path).runs)
    assert (section.n_folds, section.folds_are_known) == (3, False)
    assert section.entries[0].missing == ((0, 2),)
    assert tabulate(section).measures[0].accuracy.value == 1
