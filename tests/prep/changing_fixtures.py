"""The small corpus of `changing`, and what a build of it brings."""

import shutil
from pathlib import Path

import pytest
from changing import SUBJECTS, Corpus, build


@pytest.fixture(scope="session")
def small_corpus(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """One recording each; two of subject 006."""
    made = Corpus(tmp_path_factory.mktemp("resume"))
    for k, subject in enumerate(SUBJECTS):
        made.add(shared_data, subject, "anger", 1 + k % 2)
    made.add(shared_data, "006", "fear", 2)
    return made


@pytest.fixture(scope="session")
def small_built(small_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "out"
    assert build(small_corpus, out, out.parent / "cache") == []
    return out


@pytest.fixture
def small_copy(small_corpus: Corpus, small_built: Path, tmp_path: Path) -> tuple[Corpus, Path]:
    """A corpus and a directory that may be changed."""
    shutil.copytree(small_built, tmp_path / "out")
    return Corpus(
        Path(shutil.copytree(small_corpus.root, tmp_path / "root")), list(small_corpus.rows)
    ), tmp_path / "out"
