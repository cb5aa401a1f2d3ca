"""OpenFace comes from an image that the user names: here from one with the stand-in for OpenFace, which is none."""

import shutil
import sys
from pathlib import Path

import pytest
from standin_install import PROGRAM, install
from workplace import PREP, Workshop, lacks

pytest_plugins = ["image_fixtures"]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(lacks()), reason=lacks())]

PLACE, STAND_IN = Path("/opt/OpenFace"), "localhost/openface-standin"


@pytest.fixture(scope="module")
def openface_image(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that holds nothing but /opt/OpenFace."""
    home = tmp_path_factory.mktemp("openface")
    executable = install(home / "bin", cen_weights=True)
    shutil.copytree(PROGRAM.parent, home / "standin", ignore=shutil.ignore_patterns("test_*", "__pycache__"))
    text = executable.read_text()
    for here, there in (
        (sys.executable, "/opt/fer/bin/python"),
        (str(PROGRAM.parent), str(PLACE / "standin")),
        (str((home / "bin").resolve()), str(PLACE / "bin")),
    ):
        assert here in text
        text = text.replace(here, there)
    executable.write_text(text)
    (home / "bin").chmod(0o777)  # the stand-in notes there how often it ran
    buildah = workshop.buildah
    container = buildah("from", "scratch").stdout.strip()
    buildah("copy", "--quiet", container, home, PLACE)
    buildah("commit", "--quiet", container, STAND_IN)
    return STAND_IN


def test_openface_of_a_named_image_is_found_and_works(workshop: Workshop, prep: str, openface_image: str) -> None:
    workshop.buildah.build("with-openface", f"--build-arg=OPENFACE_IMAGE={openface_image}")
    container = workshop.buildah.from_image("with-openface")
    done = workshop.buildah.run(container, "fer-prep", "doctor", environment={"COLUMNS": "200"})
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(line for line in done.stdout.splitlines() if line.strip().startswith("OpenFace"))
    assert "works" in row
    assert str(PLACE / "bin" / "FeatureExtraction") in row


def test_an_image_without_openface_ends_the_build_by_a_sentence(workshop: Workshop, prep: str) -> None:
    done = workshop.buildah.build("without", f"--build-arg=OPENFACE_IMAGE=localhost/{PREP}", check=False)
    assert done.returncode
    assert f"localhost/{PREP} has no program /opt/OpenFace/bin/FeatureExtraction; see docs/image.md" in done.stderr
