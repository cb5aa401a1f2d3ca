"""The files of the project as a release is made of them, and the programs as an installation has them."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def source_files() -> list[str]:
    """All files that belong to the project, new ones too, relative to its root; skips where git cannot tell."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("which files belong to the project is asked of git, and this is no clone")
    return [name for name in done.stdout.split("\0") if (ROOT / name).is_file()]


def copy_of_the_project(to: Path) -> Path:
    """Where setuptools may leave what it leaves, and finds nothing of earlier builds."""
    for name in source_files():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, to / name)
    return to


def program(name: str, to: Path) -> Path:
    """A script as pip makes it of [project.scripts], without installing."""
    module, function = project()["scripts"][name].split(":")
    to.mkdir(parents=True, exist_ok=True)
    path = to / name
    start = f"import sys; from {module} import {function}; sys.exit({function}())"
    path.write_text(f"#!{sys.executable}\n{start}\n", encoding="utf-8")
    path.chmod(0o755)
    return path
