"""`fer-prep verify` as a person meets it: its screen, exit codes, and processes that die, hang or are interrupted."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path

import psutil
import pytest
import small
from rich.console import Console

from fer_prep.verify import run as verifying
from fer_prep.verify import workers
from fer_prep.verify.result import Finding, Silent, Verification
from fer_prep.verify_screen import print_verification

pytest_plugins = ["small_fixtures"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fer_prep", "verify", *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=120)


def test_a_whole_directory_is_one_line_and_exit_code_0(shards: Path) -> None:
    done = run(shards, "--workers", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 shards, 7 recordings, 97 frames, 221 kB: all good (")
    assert done.stdout.count("\n") == 1
    assert "sizes and hashes as in the index" in run(shards, "--quick").stdout


def test_a_damaged_directory_is_a_list_and_exit_code_3(shards: Path) -> None:
    (shards / small.FILE).write_bytes(b"")
    done = run(shards, "--workers", 1)
    assert (done.returncode, done.stderr) == (3, "")
    lines = done.stdout.splitlines()
    assert lines[0] == small.FILE
    assert lines[1].startswith("  has 0 bytes; index.json says ")
    assert lines[-1].startswith("→ Run the same fer-prep build again: ")
    assert run(shards, "--quick").returncode == 3


def test_a_directory_that_is_not_there_is_exit_code_2(tmp_path: Path) -> None:
    done = run(tmp_path / "gone")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"fer-prep: {tmp_path}/gone is not there; name a directory that fer-prep build has made\n"


def screen(findings: tuple[Finding, ...], *, terminal: bool, remarks: tuple[str, ...] = ()) -> list[str]:
    console = Console(file=StringIO(), width=80, force_terminal=terminal, color_system=None)
    result = Verification(
        Path("shards"), False, findings, remarks, 61, 976, 17851, 938_000_000, False, False, ("a.h5",), 12.3
    )
    print_verification(console, result)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_many_findings_are_cut_short_and_fit_80_columns() -> None:
    findings = tuple(
        Finding("a.h5", f"frames {k} to {k} of rgb fail their checksum: " + "'a', " * 20) for k in range(90)
    )
    lines = screen(findings, terminal=True)
    assert max(map(len, lines)) <= 80
    assert "  … and 70 more" in lines
    assert "61 shards, 976 recordings, 17,851 frames, 938 MB: 90 findings in 1 file (12 s)" in lines
    assert " ".join(lines[-2:]).startswith("→ Delete a.h5, then run the same fer-prep build again: ")
    assert len(screen(findings, terminal=False)) == 24  # in a pipe, a finding is a line


def test_markup_and_control_characters_in_names_do_not_reach_the_terminal() -> None:
    lines = screen((Finding("[red]a.h5", "subject is '[/x]\\x1b'"),), terminal=True)
    assert lines[:2] == ["[red]a.h5", "  subject is '[/x]\\x1b'"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards that take a while: the first one 30 MB."""
    recordings = small.RECORDINGS | {"anna": {"anna/long.avi": (1, "f" * 1000)}}
    return small.write(tmp_path_factory.mktemp("large") / "shards", "none", size=64, recordings=recordings)


class Attacker(Silent):
    """Does something to the worker when the first bytes of a shard are checked."""

    def __init__(self, number: signal.Signals) -> None:
        self.number, self.hit = number, 0
        self._others = set(psutil.Process().children())  # of tests before this one

    def workers(self) -> list[psutil.Process]:
        """Processes that were started since, but for Python's tracker of resources."""
        started = set(psutil.Process().children()) - self._others
        return [worker for worker in started if "resource_tracker" not in " ".join(worker.cmdline())]

    def checked_bytes(self, n_bytes: int) -> None:
        if not self.hit:
            for worker in self.workers():
                worker.send_signal(self.number)
                self.hit += 1


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (signal.SIGSEGV, "the HDF5 library crashed on it (SIGSEGV)"),
        (
            signal.SIGKILL,
            "could not be checked: its process was killed, perhaps for want of memory; try fewer --workers",
        ),
        (signal.SIGSTOP, "the check got stuck in it, and was stopped after 0 minutes"),
    ],
)
def test_a_worker_that_dies_or_hangs_is_a_finding_and_the_rest_is_checked(
    large: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, sentence: str
) -> None:
    monkeypatch.setattr(workers, "STUCK_S", 2.0)
    attacker = Attacker(number)
    result = verifying.verify(large, workers=1, listener=attacker)
    assert attacker.hit == 1
    assert small.sentences(result) == [f"{small.FILE}: {sentence}"]
    assert attacker.workers() == []


def test_ctrl_c_is_one_sentence_and_leaves_no_process(large: Path) -> None:
    process = subprocess.Popen(
        command(large, "--workers", 2),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    driver = psutil.Process(process.pid)
    end = time.monotonic() + 60
    while len(driver.children()) < 3 and time.monotonic() < end:  # two workers and a tracker of resources
        for child in driver.children():
            child.suspend()  # so that none is ready before all are there
        time.sleep(0.01)
    children = driver.children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    for child in children:
        with suppress(psutil.NoSuchProcess):  # it is ended by then
            child.resume()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "fer-prep: interrupted\n")
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert len(gone) >= 2
