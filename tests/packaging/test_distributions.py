"""What is in the wheel and in the source distribution: all that the programs need, and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from sources import copy_of_the_project, project, source_files

import fer_prep

BUILD = "from setuptools import build_meta; print(build_meta.build_{kind}({directory!r}))"
PACKAGES = ("fer_prep/", "fer_model/")


def build(kind: str, tmp: Path) -> Path:
    """Build with the setuptools that is installed: nothing is fetched, and it takes seconds."""
    copy, out = copy_of_the_project(tmp / "copy"), tmp / "dist"
    out.mkdir()
    script = BUILD.format(kind=kind, directory=str(out))
    done = subprocess.run([sys.executable, "-c", script], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build("wheel", tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Its files, without the directory that all are in."""
    with tarfile.open(build("sdist", tmp_path_factory.mktemp("sdist"))) as archive:
        return {member.name.split("/", 1)[1] for member in archive if member.isfile()}


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: zipfile.ZipFile) -> None:
    """A template, recipe, model or package that pyproject.toml does not name is missing here."""
    packaged = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packaged == {name for name in source_files() if name.startswith(PACKAGES)}


def test_the_wheel_holds_the_licences(wheel: zipfile.ZipFile) -> None:
    licences = {name.split(".dist-info/licenses/")[1] for name in wheel.namelist() if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE", "fer_prep/align/models/LICENSE"}


def test_the_source_distribution_holds_what_the_wheel_and_a_reader_need(sdist: set[str]) -> None:
    sources = source_files()
    expected = {name for name in sources if name.startswith(PACKAGES) or Path(name).match("docs/*.md")}
    expected |= {"CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "NOTICE", "README.md", "constraints.txt"}
    made = {"PKG-INFO", "setup.cfg"}
    assert {name for name in sdist if ".egg-info/" not in name} - made == expected | {"pyproject.toml"}


def test_what_is_installed_has_the_version_of_the_source() -> None:
    """If not, fer_prep/__init__.py was changed after the installation: `make` installs again."""
    assert metadata.version(project()["name"]) == fer_prep.__version__
