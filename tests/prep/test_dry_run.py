"""`fer-prep build --dry-run` as a person meets it."""

import subprocess
import sys
from pathlib import Path

from changing import SUBJECTS, Corpus, snapshot

pytest_plugins = ["changing_fixtures"]


def dry_run(corpus: Corpus, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    corpus.write()
    places = [f"--root={corpus.root}", f"--out={out}", f"--cache={out.parent / 'unused'}"]
    command = [sys.executable, "-m", "fer_prep", "build", "--dry-run", "--dataset=manifest", "--groups=corpus", *places]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False)


def test_it_says_of_every_shard_what_would_be_done_and_changes_nothing(small_copy: tuple[Corpus, Path]) -> None:
    corpus, out = small_copy
    (out / ".lock").unlink()
    before, changed = snapshot(out), out.stat().st_mtime_ns
    corpus.rows = [row for row in corpus.rows if row[1] not in ("003", "013")]
    (corpus.root / "001_anger_1.mp4").write_bytes((corpus.root / "003_anger_1.mp4").read_bytes())
    corpus.rows.append(("003_anger_1.mp4", "099", "anger", 1))
    done = dry_run(corpus, out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "build  manifest-s001.h5: input changed: 001_anger_1.mp4",
        "leave  manifest-s003.h5: removed subject; it stays, out of the index",
        *(f"keep   manifest-s{subject}.h5" for subject in SUBJECTS[2:-1]),
        "leave  manifest-s013.h5: removed subject; it stays, out of the index",
        "build  manifest-s099.h5: new subject",
        "5 shards to keep, 2 to build, 2 to leave; nothing was changed.",
    ]
    assert snapshot(out) == before
    assert out.stat().st_mtime_ns == changed
    assert not (out.parent / "unused").exists()


def test_it_names_the_field_of_the_recipe_that_makes_a_build_refuse(small_copy: tuple[Corpus, Path]) -> None:
    corpus, out = small_copy
    before = snapshot(out)
    done = dry_run(corpus, out, "--length=8", "--stride=4")
    assert done.returncode == 0
    assert "(recipe changed: clips.length: 16 -> 8; clips.stride: 8 -> 4): a build refuses" in done.stdout
    replaced = dry_run(corpus, out, "--length=8", "--stride=4", "--rebuild").stdout.splitlines()
    assert len(replaced) == len(SUBJECTS) + 1
    assert all("recipe changed: clips.length: 16 -> 8" in line for line in replaced[:-1])
    assert snapshot(out) == before


def test_a_place_that_is_not_ours_is_refused_as_a_build_would(small_corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.json").write_text('{"mine": 1}')
    done = dry_run(small_corpus, tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"fer-prep: {tmp_path / 'out' / 'index.json'} is no index of fer-prep;")
