"""The images, really built and run: what is in them, what they do, and that shards are the same in them and outside."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path

import pytest
from buildah import EPOCH, ROOT, SOURCES, mirror
from compose import Service, services
from running import kill_all
from workplace import Workshop, lacks

from fer_prep.output import directory_digest

pytest_plugins = ["image_fixtures"]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(lacks()), reason=lacks())]

MOST_BYTES = 900_000_000
ARBITRARY = 54321  # a user that has no account in the image
NEUTRAL = {"FER_IMAGE": "", "FER_IMAGE_DIGEST": ""}


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {normal(name): version for name, _, version in (line.partition("==") for line in lines) if version}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def owned_by(directory: Path, user: int) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    os.chown(directory, user, user)
    return directory


def outside(out: Path, home: Path, *options: str) -> Path:
    """A build by this environment; its directory of shards."""
    for package in metadata.distributions(path=[p for p in sys.path if "site-packages" in p]):
        name, version = normal(package.name), package.version.partition("+")[0]
        assert version == pinned().get(name, version), f"{name} is not as constraints.txt has it"
    done = subprocess.run(
        [sys.executable, "-m", "fer_prep", "build", f"--out={out}", f"--cache={home / 'cache'}", *options],
        capture_output=True, text=True, check=False, env={**os.environ, **NEUTRAL, "XDG_CACHE_HOME": str(home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that any user of a container may enter."""
    directory = tmp_path_factory.mktemp("image")
    for place in (directory, *directory.parents):
        if place.stat().st_uid == os.geteuid():
            place.chmod(place.stat().st_mode | 0o011)
    return directory


@pytest.fixture(scope="module")
def sample(workshop: Workshop, prep: str, container: str, home: Path) -> Path:
    """What a build in the image leaves in the directory that is mounted as /work."""
    work = owned_by(home / "work", 1000)
    done = workshop.buildah.run(
        container, "fer-prep", "build", "--dataset", "sample", "--out", "shards", volumes={work: "/work"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return work / "shards"


def test_the_image_says_what_it_is(workshop: Workshop, prep: str) -> None:
    config = workshop.buildah.config(prep)
    assert config["User"] == "1000:1000"
    assert config["Entrypoint"] == ["fer-prep"]
    assert "Healthcheck" not in config
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["title"] == prep
    assert labels["licenses"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert f"FER_IMAGE={prep}:{labels['version']}" in config["Env"]
    assert not any("PIP" in value or "SOURCE_DATE_EPOCH" in value for value in config["Env"])


def test_its_times_are_those_of_source_date_epoch(workshop: Workshop, prep: str, tree: Path) -> None:
    assert json.loads(workshop.buildah.inspect(prep)["Config"])["created"] == "2026-01-01T00:00:00Z"
    late = [path for path in (tree / "opt").rglob("*") if path.lstat().st_mtime > EPOCH]
    assert late == []
    compiled = next((tree / "opt/fer/lib").rglob("fer_prep/__pycache__/build.*.pyc")).read_bytes()
    assert compiled[4:8] == (1).to_bytes(4, "little")  # hash of the source in place of its time, not compared


def test_built_again_for_the_same_date_it_is_the_same_image(workshop: Workshop, prep: str) -> None:
    workshop.buildah.build("again", "--no-cache")
    assert workshop.buildah.inspect("again")["FromImageID"] == workshop.buildah.inspect(prep)["FromImageID"]


def test_it_is_small_enough(workshop: Workshop, prep: str, capsys: pytest.CaptureFixture[str]) -> None:
    layers = workshop.buildah.layers(prep)
    with capsys.disabled():
        print_sizes(prep, layers)
    assert sum(size for _, size in layers) < MOST_BYTES


def print_sizes(tag: str, layers: list[tuple[str, int]]) -> None:
    print(f"\n{tag}, MB by layer, not compressed")  # noqa: T201
    for made_by, size in layers:
        print(f"{size / 1e6:8.1f}  {' '.join(made_by.split())[:90]}")  # noqa: T201
    print(f"{sum(size for _, size in layers) / 1e6:8.1f}  all")  # noqa: T201


def test_nothing_builds_or_installs_in_it(tree: Path) -> None:
    programs = {path.name for place in ("usr/bin", "usr/sbin", "usr/local/bin", "opt/fer/bin")
                for path in (tree / place).iterdir()}  # fmt: skip
    assert "python3" in programs
    assert {"fer-prep", "dask"} <= programs
    builders = re.compile(r"(.*-)?(gcc|g\+\+|cc|c\+\+|cpp|ld|as|make|cmake|git|pip|pip3|clang)(-?[\d.]+)?")
    assert [name for name in programs if builders.fullmatch(name)] == []
    packages = {path.name.split("-")[0] for path in (tree / "opt/fer/lib/python3.11/site-packages").iterdir()}
    assert packages.isdisjoint({"pip", "setuptools", "wheel", "torch"})


def test_packages_are_those_of_the_constraints(tree: Path) -> None:
    found = metadata.distributions(path=[str(tree / "opt/fer/lib/python3.11/site-packages")])
    versions = {normal(package.name): package.version for package in found}
    assert len(versions) > 40
    versions.pop("fer-convlstm")
    assert versions == {name: pinned()[name] for name in versions}


def test_nothing_of_this_machine_is_left_in_it(workshop: Workshop, tree: Path) -> None:
    """Where wheels and packages came from is in no file."""
    assert (tree / "etc/apt/sources.list").read_text() == SOURCES
    pip = [sys.executable, "-m", "pip", "config", "list"]
    configuration = subprocess.run(pip, capture_output=True, text=True, check=True)
    places = re.findall(r"(?:https?://|file://|/(?:opt|srv|mnt)/)[^\s']+", configuration.stdout)
    traces = [workshop.address, *places, *([] if mirror().startswith("http://deb.debian.org") else [mirror()])]
    assert len(traces) >= 1
    found = subprocess.run(
        ["grep", "--recursive", "--files-with-matches", "--fixed-strings",
         *(f"--regexp={trace.removeprefix('file://')}" for trace in traces), str(tree)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (1, ""), "1 is grep's word for: nothing found"
    assert not (tree / "etc/pip.conf").exists()


@pytest.mark.parametrize("user", [None, f"{ARBITRARY}:{ARBITRARY}"])
def test_everything_that_a_build_needs_works_in_it(
    workshop: Workshop, container: str, user: str | None, tmp_path: Path
) -> None:
    done = workshop.buildah.run(container, "fer-prep", "doctor", user=user, environment={"COLUMNS": "200"})
    assert done.returncode == 0, done.stdout
    assert "does not work" not in done.stdout
    assert "not installed; the embedded aligner is taken" in done.stdout
    who = workshop.buildah.run(container, "id", "-u", user=user).stdout.strip()
    assert who == ("1000" if user is None else str(ARBITRARY))


def test_shards_are_the_same_in_it_and_outside(workshop: Workshop, prep: str, sample: Path, home: Path) -> None:
    plain = outside(home / "plain", home, "--dataset=sample")
    assert directory_digest(sample) == directory_digest(plain)
    indexes = [json.loads((directory / "index.json").read_text()) for directory in (sample, plain)]
    identity = workshop.buildah("images", "--no-trunc", "--quiet", prep).stdout.strip()
    name = f"{prep}:{workshop.buildah.config(prep)['Labels']['org.opencontainers.image.version']}"
    assert indexes[0].pop("image") == {"name": name, "digest": identity}
    for index in indexes:
        del index["index_sha256"]
    assert indexes[0] == indexes[1]
    assert {path.stat().st_uid for path in sample.iterdir()} == {1000}


def test_it_verifies_and_reports_as_any_user(workshop: Workshop, container: str, sample: Path) -> None:
    user, volumes = f"{ARBITRARY}:{ARBITRARY}", {sample: "/shards:ro"}
    done = workshop.buildah.run(container, "fer-prep", "verify", "/shards", user=user, volumes=volumes)
    assert done.returncode == 0, done.stdout + done.stderr
    done = workshop.buildah.run(
        container, "fer-prep", "report", "/shards", "--out", "/tmp/report.html", user=user, volumes=volumes
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = workshop.buildah.run(container, "cat", "/tmp/report.html").stdout
    assert "image.digest" in page


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [("sha256:" + "0a" * 32, 0, "sha256:" + "0a" * 32), ("latest", 2, "fer-prep: $FER_IMAGE_DIGEST is 'latest'")],
)
def test_a_digest_that_is_given_goes_before_the_engines(
    workshop: Workshop, container: str, sample: Path, given: str, code: int, says: str
) -> None:
    done = workshop.buildah.run(
        container, "fer-prep", "build", "--dataset", "sample", "--out", "shards",
        volumes={sample.parent: "/work"}, environment={"FER_IMAGE_DIGEST": given},
    )  # fmt: skip
    assert done.returncode == code
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def service(workshop: Workshop, prep: str, said: Service, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A service of compose.yaml in a container of its own, as a plain process; nothing of it outlives the context."""
    buildah = workshop.buildah
    container = buildah.from_image(prep, "--add-host=scheduler:127.0.0.1")
    words = buildah.run_words(
        container, said.command, user=said.user, environment=said.environment,
        volumes={Path(directory): place for directory, place in said.volumes.items()},
    )  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            kill_all(process.pid)
            process.wait()
    buildah("rm", container)


def test_the_services_of_compose_build_the_same_shards(
    workshop: Workshop, prep: str, sample: Path, container: str, home: Path
) -> None:
    with socket.socket() as port:
        try:
            port.bind(("127.0.0.1", 8786))
        except OSError:
            pytest.skip("port 8786, which compose has to itself, is taken on this machine")
    corpus = home / "corpus"
    (videos,) = (workshop.buildah.mount(container) / "home/fer/.cache/fer-convlstm").glob(
        "sample-v*/enterface database"
    )
    rows = ["file,subject,label"]
    for subject in (1, 2, 3):
        for emotion in ("anger", "happiness"):
            name = f"{subject}_{emotion}.avi"
            corpus.mkdir(exist_ok=True)
            source = videos / f"subject {subject}" / emotion / "sentence 1" / f"s{subject}_{emotion[:2]}_1.avi"
            (corpus / name).write_bytes(source.read_bytes())
            rows.append(f"{name},{subject},{emotion}")
    (corpus / "manifest.csv").write_text("\n".join(rows) + "\n")
    shards, tracks = owned_by(home / "shards", ARBITRARY), owned_by(home / "tracks", ARBITRARY)
    variables = {
        "CORPUS": str(corpus), "SHARDS": str(shards), "TRACKS": str(tracks), "FER_USER": f"{ARBITRARY}:{ARBITRARY}",
        "FER_IMAGE_DIGEST": "sha256:" + "0a" * 32,
    }  # fmt: skip
    found = services(variables, entrypoint=workshop.buildah.config(prep)["Entrypoint"])
    assert found["worker"].replicas == 2
    with ExitStack() as running:
        running.enter_context(service(workshop, prep, found["scheduler"], home / "scheduler.log"))
        for number in range(found["worker"].replicas):
            running.enter_context(service(workshop, prep, found["worker"], home / f"worker{number}.log"))
        process = running.enter_context(service(workshop, prep, found["build"], home / "build.log"))
        begin = time.monotonic()
        while process.poll() is None and time.monotonic() - begin < 600:
            time.sleep(0.5)
        said = (home / "build.log").read_text()
        assert process.returncode == 0, said
    for number in range(2):
        assert "Registered to" in (home / f"worker{number}.log").read_text()
    plain = outside(home / "plain corpus", home, "--dataset=manifest", f"--root={corpus}")
    assert directory_digest(shards) == directory_digest(plain)
    index = json.loads((shards / "index.json").read_text())
    assert index["image"]["digest"] == "sha256:" + "0a" * 32
    assert {path.stat().st_uid for path in shards.iterdir()} == {ARBITRARY}


def test_a_date_that_is_none_ends_the_build_of_an_image_by_a_sentence(workshop: Workshop) -> None:
    done = workshop.buildah.build("bad-date", "--build-arg=SOURCE_DATE_EPOCH=abc", check=False)
    assert done.returncode
    assert "SOURCE_DATE_EPOCH is 'abc', expected seconds since 1970, such as 1767225600" in done.stderr


def test_fer_train_trains_in_its_image_on_the_shards(
    workshop: Workshop, train: str, sample: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    buildah = workshop.buildah
    with capsys.disabled():
        print_sizes(train, buildah.layers(train))
    container = buildah.from_image(train)
    assert buildah.config(train)["Entrypoint"] == ["fer-train"]
    assert buildah.run(container, "fer-train", "--help").returncode == 0
    runs = owned_by(home / "runs", ARBITRARY)
    done = buildah.run(
        container, "fer-train", "/shards", "--fold", "1", "--preset", "small", "--epochs", "1", "--out", "/runs",
        user=f"{ARBITRARY}:{ARBITRARY}", volumes={sample: "/shards:ro", runs: "/runs"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(runs.rglob("model.safetensors"))
