"""Groups that were dealt once stay, whoever joins the corpus or leaves it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from changing import Corpus, Notes

from fer_prep import build as building
from fer_prep.build import BuildResult
from fer_prep.errors import FerPrepError
from fer_prep.kept_groups import read_groups
from fer_prep.plan import make_plan

pytest_plugins = ["changing_fixtures"]


def deal_and_build(corpus: Corpus, out: Path, cache: Path) -> tuple[BuildResult, list[str]]:
    corpus.write()
    notes = Notes()
    plan = make_plan(dataset="manifest", root=corpus.root, groups=3)
    return building.build(plan, out=out, cache=cache, workers=1, listener=notes), notes.sentences


def groups(out: Path) -> dict[str, int]:
    return {shard["subject"]: shard["group"] for shard in json.loads((out / "index.json").read_text())["shards"]}


@pytest.fixture(scope="module")
def dealt_once(
    small_corpus: Corpus, small_built: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Corpus, Path, Path]:
    """Half of the subjects, built in three dealt groups; corpus, shards and cache."""
    corpus = Corpus(small_corpus.root, [row for row in small_corpus.rows if row[1] < "008"])
    out, cache = tmp_path_factory.mktemp("dealt") / "out", small_built.parent / "cache"
    deal_and_build(corpus, out, cache)
    return corpus, out, cache


@pytest.fixture
def dealt(dealt_once: tuple[Corpus, Path, Path], tmp_path: Path) -> tuple[Corpus, Path, Path]:
    """The same, with shards that may be changed."""
    corpus, out, cache = dealt_once
    return corpus, Path(shutil.copytree(out, tmp_path / "out")), cache


def test_new_subjects_are_built_alone_and_move_nobody(dealt: tuple[Corpus, Path, Path], small_corpus: Corpus) -> None:
    corpus, out, cache = dealt
    before, times = groups(out), {path.name: path.stat().st_mtime_ns for path in out.glob("*.h5")}
    result, notes = deal_and_build(Corpus(corpus.root, small_corpus.rows), out, cache)
    assert (result.n_kept, notes) == (4, [])
    assert {name: (out / name).stat().st_mtime_ns for name in times} == times
    after = groups(out)
    assert len(after) == 8
    assert {subject: after[subject] for subject in before} == before
    sizes = [list(after.values()).count(group) for group in (1, 2, 3)]
    assert max(sizes) - min(sizes) <= 1


def test_a_subject_that_was_away_comes_back_into_its_group(dealt: tuple[Corpus, Path, Path]) -> None:
    corpus, out, cache = dealt
    before = groups(out)
    away = Corpus(corpus.root, [row for row in corpus.rows if row[1] != "003"])
    deal_and_build(away, out, cache)
    assert groups(out) == {subject: group for subject, group in before.items() if subject != "003"}
    result, notes = deal_and_build(corpus, out, cache)
    assert groups(out) == before
    assert result.n_kept == 3
    assert notes == ["manifest-s003.h5 is built anew: row in ledger.csv is gone: 003_anger_1.mp4"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not enough values to unpack"),
        ("subject,group\n001,1\n001,2\n", "a subject is in it twice"),
        ("subject,group\n001,one\n", "invalid literal for int"),
        ("subject,group\n001,0\n", "groups are numbered from 1 to 1000"),
        ("subject,fold\n001,1\n", "its columns are subject,fold, expected: subject,group"),
        ("subject,group\n001\n", "not enough values to unpack"),
        ("subject,group\n\udcff,1\n", "can't decode byte 0xff"),
    ],
)
def test_a_damaged_list_of_groups_is_a_sentence_and_nothing_is_touched(
    dealt: tuple[Corpus, Path, Path], text: str, sentence: str
) -> None:
    corpus, out, cache = dealt
    (out / "groups.csv").write_bytes(text.encode(errors="surrogateescape"))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(FerPrepError, match="is no list of groups") as raised:
        deal_and_build(corpus, out, cache)
    assert sentence in str(raised.value)
    assert str(raised.value).startswith(str(out / "groups.csv"))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_lost_list_of_groups_is_made_again(dealt: tuple[Corpus, Path, Path]) -> None:
    corpus, out, cache = dealt
    before = read_groups(out)
    (out / "groups.csv").unlink()
    result, notes = deal_and_build(corpus, out, cache)
    assert (result.n_kept, notes) == (4, [])
    assert read_groups(out) == before


def test_the_command_says_it_in_one_line(dealt: tuple[Corpus, Path, Path]) -> None:
    corpus, out, cache = dealt
    (out / "groups.csv").write_text("mine")
    options = [f"--root={corpus.root}", f"--out={out}", f"--cache={cache}", "--groups=3", "--workers=1"]
    for dry in ([], ["--dry-run"]):
        done = subprocess.run(
            [sys.executable, "-m", "fer_prep", "build", "--dataset=manifest", *options, *dry],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith(f"fer-prep: {out / 'groups.csv'} is no list of groups (")
        assert done.stderr.count("\n") == 1
