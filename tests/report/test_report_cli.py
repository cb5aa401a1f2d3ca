"""The commands report and inspect as a person meets them: sentences, exit codes, 80 columns."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import golden
import pytest
from shard_trees import Take, write_directory


def run(*arguments: object, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fer_prep", *map(str, arguments)], capture_output=True, text=True, check=False,
        cwd=where, env=os.environ | {"COLUMNS": "80", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return Path(shutil.copytree(golden.GOLDEN, tmp_path / "shards"))


def test_report_says_where_the_page_is(shards: Path) -> None:
    done = run("report", "shards", "--png", "pictures", where=shards.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "The report is in shards/report.html\n", "")
    assert (shards / "report.html").stat().st_size > 10_000
    assert (shards.parent / "pictures" / "flow.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["report", "nowhere"], 2, "nowhere is not there; a directory of shards"),
        (["report", "shards/index.json"], 2, "is a file; name the directory that it is in"),
        (["report", "."], 1, "holds no index.json"),
        (["report", "shards", "--out", "shards"], 2, "shards is a directory; --out names a file"),
        (["report", "shards", "--out", "shards/ledger.csv"], 2, "is there already, and holds something else"),
        (["report", "shards", "--out", "no/page.html"], 2, "there is no directory no"),
        (["report", "shards", "--png", "shards/index.json"], 2, "is a file; --png names a directory"),
        (["inspect", "nowhere.h5"], 2, "nowhere.h5 is not there"),
        (["inspect", "shards"], 2, "shards is a directory; name one file in it, as shards/manifest-s7.h5"),
        (["inspect", "shards/ledger.csv"], 2, "is no HDF5 file"),
        (["inspect", "shards/manifest-s7.h5", "--clip", "5"], 2, "has no clip 5; its clips are 0 to 4"),
        (["inspect", "shards/manifest-s7.h5", "--clip", "x"], 2, "'x' is not a valid integer"),
        (["inspect", "shards/manifest-s7.h5", "--out", "a.png"], 2, "--out needs --clip N"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(shards: Path, arguments: list[str], code: int, sentence: str) -> None:
    before = sorted(path.name for path in shards.parent.rglob("*"))
    done = run(*arguments, where=shards.parent)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(path.name for path in shards.parent.rglob("*")) == before


def test_a_damaged_shard_ends_both_commands_with_1(shards: Path) -> None:
    path = shards / "manifest-s7.h5"
    path.write_bytes(path.read_bytes()[:-100])
    for arguments in (("report", shards), ("inspect", path)):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(f"fer-prep: {path} is damaged (")
        assert done.stderr.count("\n") == 1


def test_inspect_fits_80_columns_and_tells_the_tables(tmp_path: Path) -> None:
    takes = [Take("a", 1, f"folder/recording {k}.avi", k % 2 - 1, fps=0 if k else 25.0) for k in range(23)]
    shards = write_directory(tmp_path / "shards", takes, classes=("joy",), n_groups=1)
    done = run("inspect", shards / "s0.h5")
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    lines = [line.split() for line in done.stdout.splitlines()]
    assert next(line[:5] for line in lines if line[:1] == ["rgb"]) == [
        "rgb",
        "uint8",
        "184×16×16×3",
        "64",
        "bitshuffle-lz4",
    ]
    assert ["folder/recording", "0.avi", "(unlabelled)", "8", "0.3", "100%", "2"] in lines
    assert ["folder/recording", "1.avi", "joy", "8", "–", "100%", "2"] in lines
    assert "… and 3 more recordings" in done.stdout
    assert done.stdout.count("folder/recording") == 20
    assert "All have checksums (fletcher32)." in done.stdout


def test_inspect_tells_of_a_clip_and_writes_it(shards: Path) -> None:
    done = run("inspect", "shards/manifest-s7.h5", "--clip", "4", "--out", "clip.png", where=shards.parent)
    assert done.returncode == 0
    assert "frames     0 to 2 of 0 to 2; the last one is repeated 5 times" in done.stdout
    assert "time       0.00 to 0.12 s, at 25 frames per second" in done.stdout
    assert "faces      found in 3 of 3 frames" in done.stdout
    assert (shards.parent / "clip.png").is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_shard_that_may_not_be_read_is_a_sentence(shards: Path) -> None:
    (shards / "manifest-s7.h5").chmod(0)
    done = run("inspect", shards / "manifest-s7.h5")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot be read (Permission denied); check its permissions" in done.stderr
