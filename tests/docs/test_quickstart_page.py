"""What docs/quickstart.md tells a user to type runs as it stands there, from the first line to the last.

What is not run: the making of a virtual environment (this one is used), and `pip`, which does nothing here (the extras
named are checked by tests/docs/test_readme_page.py).
"""

import shutil
from pathlib import Path

from pages import DOCS, blocks, languages
from typing_in import own_videos, take, type_in

PAGE = DOCS / "quickstart.md"
ENVIRONMENT = ["python3 -m venv .venv\n", "source .venv/bin/activate\n"]


def test_every_block_is_known_here() -> None:
    assert languages(PAGE) == ["bash", "csv", "bash", "bash", "bash", "bash", "bash"]


def test_quickstart_from_the_first_line_to_the_last(shared_data: Path, tmp_path: Path) -> None:
    install, *steps = blocks(PAGE, "bash")
    lines = install.splitlines(keepends=True)
    assert lines[:2] == ENVIRONMENT
    own_videos(tmp_path, shared_data, blocks(PAGE, "csv")[0])
    shutil.copy(take(shared_data, "010", "surprise"), tmp_path / "party.mp4")
    type_in(tmp_path, "".join(lines[2:-1]))
    assert lines[-1] == "fer-prep doctor\n"  # it fails where a disk is nearly full
    for step in steps:
        type_in(tmp_path, step)
    run = "runs/manifest/enhanced/seed0/fold1"
    for made in (
        "shards/report.html",
        "clip.png",
        f"{run}/confusion.png",
        "results.html",
        "predictions/party/clips.csv",
    ):
        assert (tmp_path / made).is_file(), made
