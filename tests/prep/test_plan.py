"""Which recordings, labels and groups there will be, and what a user should know of them."""

import json
import os
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import trees
from rich.console import Console

from fer_prep.errors import FerPrepError
from fer_prep.forecast import forecast
from fer_prep.plan import fold_warnings, make_plan
from fer_prep.plan_file import write_plan
from fer_prep.plan_screen import print_plan

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123456\n"


def manifest(root: Path, rows: str) -> dict[str, Any]:
    """Arguments of a plan for a manifest whose files have one byte each."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "manifest.csv").write_text("file,subject,label\n" + rows)
    trees.make_files(root, [row.split(",")[0] for row in rows.splitlines()])
    return {"dataset": "manifest", "root": root}


def test_groups_do_not_change_when_a_class_is_dropped(tmp_path: Path) -> None:
    rows = "".join(f"{s}.avi,{s},{'calm' if s == 'b' else 'joy'}\n" for s in "abcdef")
    options = manifest(tmp_path, rows)
    whole = make_plan(**options, groups=3)
    without = make_plan(**options, groups=3, classes=("-calm",))
    assert whole.group_of == {"a": 1, "b": 2, "c": 3, "d": 1, "e": 2, "f": 3}
    assert without.group_of == {"a": 1, "c": 3, "d": 1, "e": 2, "f": 3}
    assert without.corpus.classes == ("joy",)


def test_jobs_have_the_index_of_their_class(tmp_path: Path) -> None:
    plan = make_plan(**manifest(tmp_path, "a.avi,a,joy\nb.avi,b,\nc.avi,a,anger\n"))
    labels = {job.recording.id: job.label for jobs in plan.jobs().values() for job in jobs}
    assert labels == {"a.avi": 1, "b.avi": -1, "c.avi": 0}


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        ("a,1,x\nb,2,x\nc,1,y\nd,2,y\n", []),
        ("a,1,x\nb,1,y\n", ["There is one subject only: no fold can be trained."]),
        ("a,1,x\nb,2,\n", ["All labelled recordings are in one group: no fold can be trained."]),
        ("a,1,\nb,2,\n", ["Nothing is labelled: these shards are for prediction"]),
        ("a,1,x\nb,2,x\nc,2,y\n", ["Only group 2 has y: fold 2 cannot learn what it is tested on."]),
        ("a,1,x\nb,2,x\nc,3,x\nd,2,y\ne,3,y\n", ["No y in group 1: judge by the confusion matrix of all folds"]),
    ],
)
def test_folds_that_cannot_be_trained_or_lack_a_class_are_said(tmp_path: Path, rows: str, sentences: list[str]) -> None:
    found = fold_warnings(make_plan(**manifest(tmp_path, rows)))
    assert len(found) == len(sentences)
    assert all(text.startswith(sentence) for text, sentence in zip(found, sentences, strict=True))


def test_long_lists_of_groups_are_cut_short(tmp_path: Path) -> None:
    rows = "".join(f"{k},{k},{'y' if k < 3 else 'x'}\n" for k in range(1, 41))
    found = fold_warnings(make_plan(**manifest(tmp_path, rows), groups="subject"))
    assert found[0].startswith("No x in groups 1, 2: judge")
    assert found[1].startswith("No y in groups 3, 4, 5, 6, 7, 8 and 32 more: judge")


def test_fewer_subjects_than_groups_and_likely_twins_are_said(tmp_path: Path) -> None:
    found = fold_warnings(make_plan(**manifest(tmp_path, "a,Anna,x\nb,anna,x\nc,ben,x\n"), groups=9))
    assert found == [
        "Subjects Anna, anna differ by capitals only and count as 2 persons; one name for each?",
        "--groups 9 makes 3 here: there are no more subjects.",
    ]


def test_names_that_are_no_text_are_left_out_and_said(tmp_path: Path) -> None:
    trees.make_files(tmp_path, trees.enterface_names([1, 12]))
    folder = tmp_path / "enterface database/subject 1/anger/sentence 1"
    (folder / "s1_an_1.avi").rename(folder / os.fsdecode(b"s1_an_\xff.avi"))
    plan = make_plan(dataset="enterface", root=tmp_path)
    assert len(plan.corpus.recordings) == 59
    assert [remark.kind for remark in plan.corpus.left_out] == ["name is not UTF-8, rename it"]
    result = forecast(plan, out=None, workers=1, rebuild=False, with_calibration=False)
    write_plan(tmp_path / "plan.json", result)
    assert "s1_an_\udcff.avi" in json.loads((tmp_path / "plan.json").read_text())["left_out"][0]["path"]
    text = StringIO()
    print_plan(Console(file=text, width=100), result, out=None, cache=None)
    assert "s1_an_\\udcff.avi" in text.getvalue()
    assert text.getvalue().encode()


def test_groups_without_recordings_are_said(tmp_path: Path) -> None:
    trees.make_files(tmp_path, trees.enterface_names([1, 20]))
    (sentence,) = fold_warnings(make_plan(dataset="enterface", root=tmp_path))
    assert sentence == "No labelled recording is in group 2: there is nothing to test there."


def test_fold_10_of_ck_plus_without_fear_is_reported(tmp_path: Path, shared_facts: Path) -> None:
    lines = (shared_facts / "ckplus_327_labelled.csv").read_text().splitlines()[1:]
    labelled = {f"{s}/{q}": int(code) for s, q, _, code, _ in (line.strip().split(",") for line in lines)}
    plan = make_plan(dataset="ckplus", root=trees.ckplus_tree(tmp_path, labelled, ["S005/009"]))
    assert (plan.recipe.clips.length, plan.recipe.clips.stride, plan.n_groups) == (8, 2, 10)
    assert any(sentence.startswith("No fear in group 10: judge by the confusion") for sentence in fold_warnings(plan))
    assert plan.recipe.image_fps == 30


def test_files_that_will_fail_are_named_before_the_build(tmp_path: Path) -> None:
    options = manifest(tmp_path, "a.avi,a,x\nb.avi,b,x\nc.avi,c,x\nd.avi,d,x\ne/1.png,e,x\n")
    (tmp_path / "manifest.csv").write_text((tmp_path / "manifest.csv").read_text().replace("e/1.png", "e"))
    (tmp_path / "b.avi").write_bytes(b"")
    (tmp_path / "c.avi").write_bytes(POINTER)
    (tmp_path / "d.avi").unlink()
    trees.make_files(tmp_path, ["e/other_1.png"])
    found = {remark.path: remark.kind for remark in make_plan(**options).unreadable}
    assert found == {
        "b.avi": "empty file", "c.avi": "large-file pointer, not pulled", "d.avi": "no such file",
        "e": "ambiguous frames",
    }  # fmt: skip


def test_a_corpus_of_nothing_but_pointers_is_refused(tmp_path: Path) -> None:
    trees.make_files(tmp_path, trees.enterface_names([1]))
    for path in tmp_path.rglob("*.avi"):
        path.write_bytes(POINTER)
    with pytest.raises(FerPrepError, match=r"all 30 recordings are large-file pointers, .* `git lfs pull`"):
        make_plan(dataset="enterface", root=tmp_path)


def test_the_json_has_every_recording_and_every_reason(tmp_path: Path) -> None:
    trees.make_files(tmp_path, [*trees.enterface_names(), *trees.SUBJECT_6])
    plan = make_plan(dataset="enterface", root=tmp_path)
    write_plan(tmp_path / "plan.json", forecast(plan, out=None, workers=2, rebuild=False, with_calibration=False))
    values = json.loads((tmp_path / "plan.json").read_text())
    assert len(values["recordings"]) == 1287
    first = values["recordings"][0]
    assert first == {
        "recording": "subject 1/anger/sentence 1/s1_an_1.avi",
        "path": "enterface database/subject 1/anger/sentence 1/s1_an_1.avi",
        "subject": "1", "label": "anger", "group": 1, "extra": {"sentence": "1"},
    }  # fmt: skip
    assert {remark["path"] for remark in values["left_out"]} == set(trees.SUBJECT_6)
    assert values["expected"]["seconds"] is None
    assert values["recipe"]["clips"]["length"] == 16
