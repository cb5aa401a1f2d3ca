"""A directory is written to by one process at a time."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from fer_model.errors import RunDirectoryError
from fer_model.holding import Holding, check_free, lock_file
from fer_model.rundir import replace_file

HOLDER = "import sys; from pathlib import Path; from fer_model.holding import Holding\n"
HOLDER += "with Holding() as holding: holding.take(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_a_directory_that_another_process_holds_is_refused_until_that_is_killed(tmp_path: Path) -> None:
    run = tmp_path / "seed0" / "fold1"
    command = [sys.executable, "-c", HOLDER, str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunDirectoryError, match=r"fold1: another process writes there now; wait for its end"):
            check_free(run)
        with Holding() as holding:
            with pytest.raises(RunDirectoryError, match="another process writes there now"):
                holding.take(run)
            holding.take(run.with_name("fold2"))
        other.kill()
    check_free(run)
    with Holding() as holding:
        holding.take(run)


def test_what_nobody_holds_is_free_and_nothing_is_made_to_see_that(tmp_path: Path) -> None:
    check_free(tmp_path / "seed0" / "fold1")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Holding() as holding, pytest.raises(RunDirectoryError, match=r"cannot be made \(.+\); choose another --out"):
        holding.take(tmp_path / "file" / "seed0" / "fold1")


def test_where_the_file_system_has_no_locks_nobody_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def acquire(lock: FileLock) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "__enter__", acquire)
    with Holding() as holding:
        holding.take(tmp_path / "fold1")
    assert not lock_file(tmp_path / "fold1").exists()


def test_a_directory_that_is_there_is_enough_where_nothing_may_be_made_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acquire(lock: FileLock) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FileLock, "__enter__", acquire)
    (tmp_path / "there").mkdir()
    with Holding() as holding:
        holding.take(tmp_path / "there")
        with pytest.raises(RunDirectoryError, match="cannot be made"):
            holding.take(tmp_path / "not there")


def test_a_directory_is_the_same_by_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    monkeypatch.chdir(tmp_path / "a")
    assert lock_file(Path()) == lock_file(tmp_path / "link") == lock_file(Path("../a")) == tmp_path / ".a.lock"


def test_a_file_that_finds_no_room_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.csv").write_text("old")
    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(RunDirectoryError, match=r"a\.csv: cannot be written \(No space left on device\); make room"):
        replace_file(tmp_path / "a.csv", b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
