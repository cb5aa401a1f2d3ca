"""Images of this checkout, built once for all tests: minutes, and some gigabytes that are given back at the end."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from buildah import Buildah, debian_slim, sources
from wheelhouse import fetch, serving
from workplace import PREP, TRAIN, Workshop, lacks


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Storage with `debian:bookworm-slim`, made of Debian's packages, for no registry is asked."""
    if reason := lacks():
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("workshop")
    wheels, configuration = home / "wheels", home / "pip.conf"
    done = fetch("prep", wheels)
    if done.returncode:
        pytest.skip(f"the wheels of constraints.txt cannot be had: {done.stderr[-300:]}")
    buildah = Buildah(home / "buildah")
    try:
        debian_slim(buildah, home)
        buildah.of_this_machine = (
            f"--secret=id=pip.conf,src={configuration}",
            f"--volume={sources(home)}:/etc/apt/sources.list:ro",
        )
        with serving(wheels, configuration) as address:
            yield Workshop(buildah, home, wheels, address)
    finally:
        buildah.clear()
        shutil.rmtree(wheels)


@pytest.fixture(scope="session")
def prep(workshop: Workshop) -> str:
    """Name of the image with fer-prep."""
    workshop.buildah.build(PREP)
    return PREP


@pytest.fixture(scope="session")
def container(workshop: Workshop, prep: str) -> str:
    return workshop.buildah.from_image(prep)


@pytest.fixture(scope="session")
def tree(workshop: Workshop, prep: str) -> Path:
    """The files of the image, before anything ran in it."""
    return workshop.buildah.mount(workshop.buildah.from_image(prep))


@pytest.fixture(scope="session")
def train(workshop: Workshop) -> str:
    """Name of the image with fer-train."""
    done = fetch("train", workshop.wheels)
    if done.returncode:
        pytest.skip(f"the wheels of torch cannot be had: {done.stderr[-300:]}")
    workshop.buildah.build(TRAIN, "--target=train")
    return TRAIN
