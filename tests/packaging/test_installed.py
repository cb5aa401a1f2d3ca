"""The wheel in environments of its own, away from the checkout, as a user has it: what works, and what is said."""

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sources import ROOT, copy_of_the_project

import fer_prep

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory, with caches of its own."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` leaves."""
    pytest.importorskip("build", reason="the package `build` is not installed; `make` installs it")
    copy = copy_of_the_project(tmp_path_factory.mktemp("copy"))
    done = subprocess.run([sys.executable, "-m", "build", str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return copy / "dist"


def installed(wheel: Path, extra: str, *, to: Path, home: Path) -> Run:
    """Install the wheel, and then an extra, "" for none, as docs/install.md says; what runs programs in the home."""
    venv.create(to, with_pip=True)
    pip = [str(to / "bin" / "python"), "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    for requirement in [str(wheel), *([f"fer-convlstm{extra}"] if extra else [])]:
        subprocess.run([*pip, requirement], check=True)
    path = f"{to / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PATH": path, "HOME": str(home)}
    env |= {"XDG_CACHE_HOME": str(home / ".cache")}

    def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(to / "bin" / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def bare(dist: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return installed(next(dist.glob("*.whl")), "", to=tmp_path_factory.mktemp("bare"), home=home)


@pytest.fixture(scope="module")
def prep(dist: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return installed(next(dist.glob("*.whl")), "[prep]", to=tmp_path_factory.mktemp("prep"), home=home)


@pytest.fixture(scope="module")
def train(dist: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return installed(next(dist.glob("*.whl")), "[train]", to=tmp_path_factory.mktemp("train"), home=home)


@pytest.fixture(scope="module")
def shards(prep: Run, home: Path) -> Path:
    done = prep("fer-prep", "build", "--dataset", "sample", "--out", "shards")
    assert done.returncode == 0, done.stderr
    return home / "shards"


@pytest.fixture(scope="module")
def trained(train: Run, shards: Path, home: Path) -> Path:
    done = train("fer-train", shards, "--fold", "1", "--preset", "small", "--epochs", "1", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return home / "runs" / "sample" / "enhanced" / "seed0" / "fold1"


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_source_distribution_and_the_checkout_give_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    """`build` has made the wheel of the source distribution; this one is of the checkout."""
    copy = copy_of_the_project(tmp_path / "copy")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(copy)]
    subprocess.run(command, capture_output=True, check=True)
    (mine,), (of_sdist,) = tmp_path.glob("*.whl"), dist.glob("*.whl")
    assert contents(mine) == contents(of_sdist)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["fer-prep", "build", "--dataset", "sample", "--out", "shards"], "prep"),
        (["fer-prep", "doctor"], "prep"),
        (["fer-train", ".", "--fold", "1"], "train"),
        (["fer-train", "export", "."], "train"),
        (["fer-predict", ".", "--checkpoint", "."], "train"),
        (["fer-results", "."], "train"),
    ],
)
def test_without_an_extra_programs_say_which_they_miss(bare: Run, command: list[str], extra: str) -> None:
    assert bare(command[0], "--version").stdout == f"{command[0]}, version {fer_prep.__version__}\n"
    done = bare(*command)
    assert done.returncode == 1
    assert f"is not installed; pip install 'fer-convlstm[{extra}]'" in done.stderr


def test_prep_builds_the_sample_corpus_in_an_empty_directory(prep: Run, shards: Path) -> None:
    assert len(list(shards.glob("sample-s*.h5"))) == 10
    assert prep("fer-prep", "verify", shards).returncode == 0
    assert prep("fer-prep", "report", shards).returncode == 0
    assert (shards / "report.html").exists()
    assert "pip install 'fer-convlstm[train]'" in prep("fer-train", shards, "--fold", "1").stderr


def test_train_trains_predicts_and_compares_on_those_shards(
    train: Run, trained: Path, shards: Path, home: Path
) -> None:
    assert (trained / "model.safetensors").exists()
    assert train("fer-results", "runs").returncode == 0
    assert (home / "results.html").exists()
    done = train("fer-predict", shards, "--checkpoint", trained)
    assert done.returncode == 0, done.stderr
    assert (home / "predictions" / "shards" / "recordings.csv").exists()


def test_train_says_what_videos_and_onnx_need(train: Run, trained: Path, home: Path) -> None:
    video = next((home / ".cache").rglob("*.avi"))
    done = train("fer-predict", video, "--checkpoint", trained)
    assert done.returncode == 1
    assert "is not installed; pip install 'fer-convlstm[prep]'" in done.stderr
    done = train("fer-train", "export", trained, "--format", "onnx")
    assert done.returncode == 1
    assert "pip install 'fer-convlstm[export]'" in done.stderr
