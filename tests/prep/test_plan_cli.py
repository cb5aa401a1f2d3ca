"""The commands `plan`, `datasets` and `recipe` as a person meets them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trees

from fer_prep.plan import make_plan
from fer_prep.recipe import changed_fields


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fer_prep", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_plan_writes_no_shards_and_says_what_it_found(tmp_path: Path) -> None:
    trees.make_files(tmp_path / "data/enterface", trees.enterface_names([1, 12]))
    done = run("plan", "--dataset", "enterface", "--out", "out", "--no-calibrate", "--json", "p.json", cwd=tmp_path)
    assert done.returncode == 0
    assert "60 recordings of 2 subjects" in done.stdout
    assert json.loads((tmp_path / "p.json").read_text())["n_groups"] == 2
    assert not (tmp_path / "out").exists()


def test_json_goes_into_a_pipe_and_does_not_replace_it(tmp_path: Path) -> None:
    trees.make_files(tmp_path / "data/enterface", trees.enterface_names([1, 12]))
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        done = run("plan", "--dataset", "enterface", "--no-calibrate", "--json", "pipe", cwd=tmp_path)
        assert json.loads(reader.communicate(timeout=60)[0])["corpus"] == "enterface"
    assert done.returncode == 0
    assert (tmp_path / "pipe").is_fifo()


def test_options_of_plan_are_recorded_in_the_recipe(tmp_path: Path) -> None:
    trees.make_files(tmp_path, [*trees.enterface_names([1, 12]), *trees.SUBJECT_6])
    done = run(
        "plan", "--dataset", "enterface", "--root", tmp_path, "--include-unsegmented", "--classes", "-fear,-sadness",
        "--groups", "subject", "--length", "8", "--select", "subject*", "--no-calibrate", "--json", tmp_path / "p.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    recipe = json.loads((tmp_path / "p.json").read_text())["recipe"]
    assert recipe["include"] == ["unsegmented"]
    assert recipe["classes"] == ["-fear", "-sadness"]
    assert (recipe["groups"], recipe["clips"]["length"], recipe["select"]) == ("subject", 8, "subject*")


def test_datasets_lists_what_there_is_and_where(tmp_path: Path) -> None:
    trees.make_files(tmp_path / "data/enterface", trees.enterface_names([1]))
    trees.make_files(tmp_path / "data/ckplus", ["CK+48/anger/S010_004_00000017.png"])
    done = run("datasets", cwd=tmp_path)
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert "30 recordings" in text
    assert "this is" in text
    assert all(name in text for name in ("enterface", "ckplus", "ravdess", "cremad", "manifest", "sample"))
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_printed_recipe_can_be_changed_and_used(tmp_path: Path) -> None:
    trees.make_files(tmp_path, trees.enterface_names([1, 12]))
    text = run("recipe", "enterface").stdout
    (tmp_path / "mine.toml").write_text(text.replace("stride = 8", "stride = 4"))
    changed = make_plan(dataset="enterface", root=tmp_path, recipe=tmp_path / "mine.toml").recipe
    shipped = make_plan(dataset="enterface", root=tmp_path).recipe
    assert changed_fields(shipped.model_dump(), changed.model_dump()) == ["clips.stride: 8 -> 4"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--groups", "0"], "'0' is neither a number from 1 to 1000 nor 'subject' nor 'corpus'"),
        (["--classes", "-joy"], "--classes names 'joy'; the classes of enterface are anger, disgust"),
        (["--include", "songs"], "--include songs: what enterface leaves out unless asked is 'unsegmented'"),
        (["--select", "subject 99/*"], "matches none of 30 recordings"),
        (["--manifest", "m.csv"], "--manifest goes with --dataset manifest; enterface needs none"),
        (["--json", "nowhere/p.json"], "nowhere/p.json cannot be written"),
        (["--json", "labels.csv"], "labels.csv is there already, and holds something else; name another file"),
        (["--json", "."], ". is a directory; --json names a file"),
        (["--classes", ""], "a name is empty"),
    ],
)
def test_wrong_options_are_a_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    trees.make_files(tmp_path / "data/enterface", trees.enterface_names([1]))
    (tmp_path / "labels.csv").write_text("file,subject,label")
    done = run("plan", "--dataset", "enterface", "--no-calibrate", *arguments, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
