"""What is known of the container image from the inside, and what of it stands in the index."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from changing import Corpus, build, snapshot

from fer_model.index import read_index as trainers_index
from fer_prep.doctor import examine
from fer_prep.errors import UsageError
from fer_prep.image import Image, running_image
from fer_prep.output import directory_digest
from fer_prep.report.index import read_index as reports_index
from fer_prep.verify.run import verify

pytest_plugins = ["changing_fixtures"]

NAME, DIGEST, OTHER = "fer-convlstm-prep:0.1.0", "sha256:" + "0a" * 32, "sha256:" + "1b" * 32
BUILDAH = f'''
engine="buildah-1.28.2"
name="prep-working-container"
id="{"2c" * 32}"
image="localhost/prep:latest"
imageid="{OTHER.removeprefix("sha256:")}"
rootless=0
'''


@pytest.fixture
def no_engine(tmp_path: Path) -> Path:
    return tmp_path / "absent"


def test_outside_of_an_image_there_is_none(tmp_path: Path) -> None:
    engine = tmp_path / "containerenv"
    engine.write_text(BUILDAH)
    assert running_image({}, engine) is None
    assert running_image({"FER_IMAGE": "", "FER_IMAGE_DIGEST": "nonsense"}, engine) is None


@pytest.mark.parametrize("given", [DIGEST, f"localhost:5000/prep@{DIGEST}"])
def test_the_digest_is_what_the_command_said(given: str, no_engine: Path) -> None:
    assert running_image({"FER_IMAGE": NAME, "FER_IMAGE_DIGEST": given}, no_engine) == Image(NAME, DIGEST)


def test_the_engine_is_believed_where_the_command_said_nothing(tmp_path: Path) -> None:
    engine = tmp_path / "containerenv"
    engine.write_text(BUILDAH)
    assert running_image({"FER_IMAGE": NAME, "FER_IMAGE_DIGEST": ""}, engine) == Image(NAME, OTHER)
    assert running_image({"FER_IMAGE": NAME, "FER_IMAGE_DIGEST": DIGEST}, engine) == Image(NAME, DIGEST)


@pytest.mark.parametrize("noted", ["", 'imageid="sha256:12"', 'image="x"\nimageid=""', "\0" * 20_000])
def test_what_the_engine_notes_without_a_digest_is_none(noted: str, tmp_path: Path) -> None:
    engine = tmp_path / "containerenv"
    engine.write_text(noted)
    image = running_image({"FER_IMAGE": NAME}, engine)
    assert image == Image(NAME, None)
    assert "without its digest" in image.says
    assert "FER_IMAGE_DIGEST" in image.says


@pytest.mark.parametrize("given", ["latest", DIGEST[:-1], DIGEST.upper(), f"@{DIGEST}", f"{DIGEST}\n", "0a" * 32])
def test_a_digest_that_is_none_is_refused(given: str, no_engine: Path) -> None:
    with pytest.raises(UsageError, match=r"FER_IMAGE_DIGEST is .* expected sha256: and 64 hex digits"):
        running_image({"FER_IMAGE": NAME, "FER_IMAGE_DIGEST": given}, no_engine)


def test_the_index_names_the_image_and_nothing_else_depends_on_it(
    small_copy: tuple[Corpus, Path], small_built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, out = small_copy
    monkeypatch.setenv("FER_IMAGE", NAME)
    monkeypatch.setenv("FER_IMAGE_DIGEST", DIGEST)
    before = snapshot(out)
    said = build(corpus, out, small_built.parent / "cache")
    assert said == [f"The index names the image {NAME}, {DIGEST}."]
    assert directory_digest(out) == directory_digest(small_built)
    assert {name: content for name, content in snapshot(out).items() if name.endswith(".h5")} == {
        name: content for name, content in before.items() if name.endswith(".h5")
    }
    index, plain = (json.loads((directory / "index.json").read_text()) for directory in (out, small_built))
    assert index.pop("image") == {"name": NAME, "digest": DIGEST}
    assert index.pop("index_sha256") != plain.pop("index_sha256")
    assert index == plain
    assert verify(out).findings == ()
    assert trainers_index(out).shards == trainers_index(small_built).shards
    assert reports_index(out).tools["image"] == {"name": NAME, "digest": DIGEST}
    assert "image" not in reports_index(small_built).tools


def test_the_index_names_an_image_whose_digest_nobody_said(
    small_copy: tuple[Corpus, Path], small_built: Path, no_engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, out = small_copy
    monkeypatch.setattr("fer_prep.image.ENGINE", no_engine)
    monkeypatch.setenv("FER_IMAGE", NAME)
    monkeypatch.delenv("FER_IMAGE_DIGEST", raising=False)
    said = build(corpus, out, small_built.parent / "cache")
    assert len(said) == 1
    assert "without its digest" in said[0]
    assert json.loads((out / "index.json").read_text())["image"] == {"name": NAME, "digest": None}
    assert verify(out).findings == ()


def test_a_bad_digest_ends_the_command_by_one_sentence(
    small_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FER_IMAGE", NAME)
    monkeypatch.setenv("FER_IMAGE_DIGEST", "latest")
    small_corpus.write()
    places = ["--dataset=manifest", f"--root={small_corpus.root}", f"--out={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-m", "fer_prep", "build", *places, f"--cache={tmp_path / 'cache'}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fer-prep: $FER_IMAGE_DIGEST is 'latest', expected sha256:")
    assert not (tmp_path / "out" / "index.json").exists()


@pytest.mark.parametrize(
    ("digest", "works", "says"),
    [(DIGEST, True, f"{NAME}, {DIGEST}"), ("", None, f"{NAME}, digest not known in here"), ("v1", False, "is 'v1'")],
)
def test_doctor_tells_which_image_it_is(
    digest: str, works: bool | None, says: str, no_engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fer_prep.image.ENGINE", no_engine)
    monkeypatch.setenv("FER_IMAGE", NAME)
    monkeypatch.setenv("FER_IMAGE_DIGEST", digest)
    finding = examine(cache=no_engine)[-1]
    assert (finding.name, finding.works) == ("image", works)
    assert says in finding.says
