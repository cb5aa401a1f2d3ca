"""What README.md tells a user to type runs as it stands there, on small real videos.

What is not run: `pip`, which does nothing here (the extras named are checked), and `make` (its targets are checked; the
recipes are run by whoever runs the tests).
"""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import trees
from pages import DOCS, README, ROOT, blocks, languages
from typing_in import SUBJECTS, own_videos, take, type_in


def test_every_block_is_known_here() -> None:
    assert languages(README) == ["bash", "bash", "csv", "bash", "bash"]


def test_targets_of_make_are_in_the_makefile() -> None:
    named = re.findall(r"`?make (\w+)", README.read_text(encoding="utf-8"))
    assert {"demo", "test", "docs", "lint", "bench"} <= {*named}
    makefile = (ROOT / "Makefile").read_text()
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", [README, *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_extras_that_are_to_be_installed_exist(page: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for named in re.findall(r"'(?:\.|fer-convlstm)\[([\w,]+)\]'", page.read_text(encoding="utf-8")):
        assert {*named.split(",")} <= {*extras}, named


def test_readme_from_a_corpus_to_a_prediction(shared_data: Path, tmp_path: Path) -> None:
    _, corpus, _, prediction = blocks(README, "bash")
    names = [name for name in trees.enterface_names((1, 12, 21)) if "/sentence 1/" in name]  # of three groups
    for name, subject in zip(names, [s for s in SUBJECTS[:3] for _ in trees.EMOTIONS], strict=True):
        place = tmp_path / "downloads" / name
        place.parent.mkdir(parents=True)
        place.symlink_to(take(shared_data, subject, name.split("/")[2]))
    type_in(tmp_path, corpus)
    index = json.loads((tmp_path / "shards" / "index.json").read_text())
    assert [shard["n_recordings"] for shard in index["shards"]] == [6, 6, 6]
    shutil.copy(take(shared_data, "010", "surprise"), tmp_path / "party.mp4")
    type_in(tmp_path, prediction)
    made = {path.name for path in (tmp_path / "predictions" / "party").iterdir()}
    assert {"clips.csv", "recordings.csv", "timelines", "videos"} <= made


@pytest.mark.slow
def test_readme_with_own_videos(shared_data: Path, tmp_path: Path) -> None:
    own_videos(tmp_path, shared_data, blocks(README, "csv")[0])
    type_in(tmp_path, blocks(README, "bash")[2])
    assert (tmp_path / "runs/manifest/enhanced/seed0/fold1/summary.json").is_file()
