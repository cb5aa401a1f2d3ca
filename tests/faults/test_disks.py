"""Disks that are full, read-only, or gone: a sentence, no damage, and the next run ends with the same bytes."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import command, digest, run, start, wait_for

from fer_prep.ledger import read_ledger
from fer_prep.stored import file_sha256

pytest_plugins = ["faults_fixtures"]

Mount = Callable[..., None]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """`mount OPTIONS DIRECTORY`, until the test ends."""
    mounted: list[str] = []

    def do(*words: str) -> None:
        if sys.platform != "linux" or subprocess.run(["mount", *words], check=False, capture_output=True).returncode:
            pytest.skip("this user may not mount")
        mounted.append(words[-1])

    yield do
    for place in dict.fromkeys(reversed(mounted)):
        subprocess.run(["umount", "--lazy", place], check=True)


def small_disk(mount: Mount, directory: Path, size: str) -> Path:
    directory.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "none", str(directory))
    return directory


def one_sentence(done: "subprocess.CompletedProcess[str]") -> str:
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("fer-prep: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_full_output_disk_keeps_what_is_whole_and_goes_on_when_there_is_room(
    root: Path, undisturbed: Path, expected: str, tmp_path: Path, mount: Mount
) -> None:
    out = small_disk(mount, tmp_path / "out", "10m")  # two of four shards
    command_line = command(root, out, tmp_path / "cache", "--workers=1")
    done = run(command_line)
    assert done.returncode == 1
    assert "shard cannot be written (No space left on device); is the disk full?" in one_sentence(done)
    assert not (out / "index.json").exists()
    shards = sorted(out.glob("*.h5"))
    assert len(shards) == 2
    assert [file_sha256(path) for path in shards] == [file_sha256(undisturbed / path.name) for path in shards]
    mount("-o", "remount,size=64m", str(out))
    done = run(command_line)
    assert done.returncode == 0, done.stderr
    assert "(2 kept from before)" in done.stdout
    assert digest(out) == expected


def test_an_output_disk_that_is_full_from_the_start_is_a_sentence(root: Path, tmp_path: Path, mount: Mount) -> None:
    out = small_disk(mount, tmp_path / "out", "64k")
    with pytest.raises(OSError, match="No space left"):
        (out / "ballast").write_bytes(bytes(1 << 20))
    done = run(command(root, out, tmp_path / "cache", "--workers=1"))
    assert done.returncode == 1
    assert "No space left on device" in one_sentence(done)
    (out / "ballast").unlink()
    assert not list(out.glob("*.h5"))


@pytest.mark.slow
def test_a_full_cache_disk_costs_time_and_nothing_else(root: Path, expected: str, tmp_path: Path, mount: Mount) -> None:
    cache = small_disk(mount, tmp_path / "cache", "4m")  # a few of 16 tracks
    out = tmp_path / "out"
    done = run(command(root, out, cache, "--workers=2"))
    assert done.returncode == 0, done.stderr
    assert f"the cache {cache} cannot be written: " in done.stdout.replace("\n", "")
    assert digest(out) == expected
    shutil.rmtree(out)
    mount("-o", "remount,size=64m", str(cache))
    done = run(command(root, out, cache, "--workers=2"))
    assert done.returncode == 0, done.stderr
    assert "cannot be written" not in done.stdout
    assert digest(out) == expected


def test_a_log_that_cannot_be_written_is_noted_and_the_build_goes_on(root: Path, expected: str, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    out = tmp_path / "out"
    done = run(command(root, out, tmp_path / "cache", "--workers=2", "--log-json=/dev/full"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("/dev/full cannot be written (No space left on device); the build goes on without") == 1
    assert digest(out) == expected


@pytest.mark.parametrize("what", ["out", "cache"])
def test_a_directory_on_a_read_only_disk_is_a_sentence(root: Path, tmp_path: Path, mount: Mount, what: str) -> None:
    places = {"out": tmp_path / "out", "cache": tmp_path / "cache"}
    small_disk(mount, places[what], "1m")
    mount("-o", "remount,ro", str(places[what]))
    done = run(command(root, places["out"], places["cache"], "--workers=1"))
    assert done.returncode == 1
    sentence = one_sentence(done)
    assert str(places[what]) in sentence
    assert "Read-only file system" in sentence
    assert f"choose another --{what}" in sentence


@pytest.mark.slow
def test_an_output_directory_that_is_removed_meanwhile_ends_the_build_with_a_sentence(
    root: Path, expected: str, tmp_path: Path
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    process = start(command(root, out, cache, "--workers=2"))
    wait_for(lambda: read_ledger(out) or process.poll() is not None)
    out.rename(tmp_path / "removed")
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1, output
    assert "Traceback" not in output
    (sentence,) = [line for line in output.splitlines() if line.startswith("fer-prep:")]
    assert str(out) in sentence
    assert "No such file or directory" in sentence
    assert not out.exists()
    assert run(command(root, out, cache, "--workers=2")).returncode == 0
    assert digest(out) == expected


@pytest.mark.slow
def test_a_corpus_on_a_read_only_disk_is_built(root: Path, expected: str, tmp_path: Path, mount: Mount) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    mount("--bind", str(root), str(corpus))
    mount("-o", "remount,ro,bind", str(corpus))
    done = run(command(corpus, tmp_path / "out", tmp_path / "cache", "--workers=2"))
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "out") == expected
