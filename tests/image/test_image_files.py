"""What docker/ says, without building anything."""

import re

import pytest
from buildah import DOCKERFILE, ROOT
from compose import FILE, services

from fer_prep import __version__
from fer_prep.cli import main

VARIABLES = {"CORPUS": "/data/videos", "SHARDS": "/data/shards"}


def test_the_images_have_the_version_of_the_package() -> None:
    said = re.findall(r"^ARG VERSION=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert said == [__version__] * 2


def test_everything_that_is_copied_passes_the_ignore_file() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    passed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert names == passed
    assert all((ROOT / name).exists() for name in names)


def test_the_image_has_no_health_check_and_one_entry_point_each() -> None:
    text = DOCKERFILE.read_text()
    assert "HEALTHCHECK" not in text
    assert re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE) == ['["fer-train"]', '["fer-prep"]']


def test_compose_runs_a_scheduler_workers_and_a_build_on_the_same_directories() -> None:
    found = services(VARIABLES | {"WORKERS": "3", "DATASET": "enterface"}, entrypoint=["fer-prep"])
    assert set(found) == {"scheduler", "worker", "build"}
    assert found["worker"].replicas == 3
    assert found["build"].depends_on == ("worker",)
    expected = {"/data/videos": "/corpus:ro", "/data/shards": "/shards", "tracks": "/cache"}
    assert all(service.volumes == expected for service in found.values())
    assert "enterface" in found["build"].command


def test_the_build_of_compose_is_one_that_the_program_understands() -> None:
    command = services(VARIABLES, entrypoint=["fer-prep"])["build"].command
    assert command[:2] == ("fer-prep", "build")
    build = main.commands["build"]
    options = {name for parameter in build.params for name in parameter.opts}
    assert {word for word in command if word.startswith("--")} <= options


def test_the_page_names_every_variable_and_argument() -> None:
    page = (ROOT / "docs" / "image.md").read_text(encoding="utf-8")
    table = page.partition("| variable | |\n|---|---|\n")[2].partition("\n\n")[0]
    told = {name for row in table.splitlines() for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}
    assert told == set(re.findall(r"\$\{(\w+)", FILE.read_text()))
    arguments = set(re.findall(r"^ARG (\w+)", DOCKERFILE.read_text(), re.MULTILINE)) - {"VERSION"}
    assert arguments == set(re.findall(r"--build-arg (\w+)", page))


@pytest.mark.parametrize("missing", VARIABLES)
def test_compose_says_which_directory_nobody_named(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        services({name: place for name, place in VARIABLES.items() if name != missing}, entrypoint=["fer-prep"])
    assert re.search(rf"\$\{{{missing}:\?name [^}}]+\}}", FILE.read_text())
