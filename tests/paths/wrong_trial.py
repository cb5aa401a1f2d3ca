"""Tries a wrong command as a stranger would, and notes what it answers.

`PYTHONPATH=tests/verify python tests/paths/wrong_trial.py > docs/wrong-commands.md` writes that page anew.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import wrong_commands
import wrong_files
from wrong_commands import Wrong
from wrong_scene import ROOT, make_programs, make_scene, python_without

CHAPTERS = {
    "Arguments": wrong_commands.ARGUMENTS,
    "What the machine lacks": wrong_commands.MACHINE,
    "Places and places exchanged": wrong_commands.PLACES,
    "Manifests and recipes": wrong_files.MANIFESTS,
    "Videos": wrong_files.VIDEOS,
    "Shards": wrong_files.SHARDS,
    "Runs": wrong_files.RUNS,
    "Disks": wrong_files.DISKS,
    "Two at once": wrong_files.BUSY,
    "Terminals": wrong_files.TERMINALS,
}
ALL = tuple(wrong for chapter in CHAPTERS.values() for wrong in chapter)
PLAIN_USER = ("--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
TIMEOUT_S = 180


class CannotTryError(Exception):
    """This machine or this user cannot make a command wrong in that way."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command has answered."""

    code: int
    text: str
    """All that it printed, on the standard output and then on the standard error."""

    def sentence(self, wrong: Wrong) -> str:
        """The line that says it."""
        lines = self.text.splitlines()
        return next((line for line in lines if wrong.says[0] in line), lines[-1] if lines else "")


def attempt(wrong: Wrong, *, scene: Path, programs: Path, home: Path) -> Answer:
    """Run a wrong command in a copy of the scene below `home`, an empty directory.

    Raises:
        CannotTryError: it cannot be tried here.
        TimeoutExpired: it does not end.
    """
    here = home / "here"
    shutil.copytree(scene, here)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "200",
        "HOME": str(home), "FER_CACHE": str(home / "cache"),
    }  # fmt: skip
    for name in ("FER_DATA", "OPENFACE_BIN"):
        environment.pop(name, None)
    if wrong.without:
        environment["PYTHON"] = str(python_without(wrong.without, home / "python"))
    (home / "command").write_text(f'{{ {wrong.command}; }} >"{home}/out" 2>"{home}/err"\n')
    user = plain_user() if wrong.plain else []
    script = f"{wrong.before}\n{' '.join(user)} bash {home}/command\nrc=$?\n{wrong.after}\nexit $rc\n"
    disk = here / "disk"
    try:
        if wrong.disk:
            mount(disk, size=wrong.disk)
        code = run(script, here=here, environment=environment)
    finally:
        if disk.is_mount():
            subprocess.run(["umount", "--lazy", disk], check=True)
    return Answer(code=code, text=(home / "out").read_text() + (home / "err").read_text())


def run(script: str, *, here: Path, environment: dict[str, str]) -> int:
    """The exit code of a script of bash; nothing that it has started outlives it."""
    process = subprocess.Popen(
        ["bash", "-c", script], cwd=here, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(timeout=TIMEOUT_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def mount(disk: Path, *, size: str) -> None:
    """A small file system.

    Raises:
        CannotTryError: this user may not.
    """
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
    if sys.platform != "linux" or subprocess.run(command, check=False, capture_output=True).returncode:
        raise CannotTryError("this user may not mount")


def plain_user() -> list[str]:
    """The words that go before a command, so that files of others are not to be read or written.

    Raises:
        CannotTryError: root cannot be made a plain user.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotTryError("root may write everywhere, and there is no setpriv")
    return [setpriv, *PLAIN_USER]


def table(home: Path) -> str:
    """All commands that can be tried here, and what each answers, in Markdown."""
    scene, programs = make_scene(home / "scene", trained=True), make_programs(home / "bin")
    parts = [HEAD]
    number = 0
    for chapter, commands in CHAPTERS.items():
        parts.append(f"\n## {chapter}\n\n| what is wrong | command | what it says | exit code |\n|---|---|---|---|\n")
        for wrong in commands:
            number += 1
            place = home / str(number)
            place.mkdir()
            answer = attempt(wrong, scene=scene, programs=programs, home=place)
            said = cell(answer.sentence(wrong).replace(f"{place}/here/", ""))
            parts.append(f"| {cell(wrong.what)} | `{code_cell(wrong.command)}` | {said} | {answer.code} |\n")
            shutil.rmtree(place)
    return "".join(parts)


def cell(text: str) -> str:
    """A text as the cell of a table."""
    return code_cell(re.sub(r"x{100,}", "xxx…", text)).replace("<", "&lt;").replace("*", r"\*")


def code_cell(text: str) -> str:
    """The same, between backticks."""
    return " ".join(text.replace(wrong_commands.RUN, "RUN").split()).replace("|", r"\|")


HEAD = """# Wrong commands

What each of these commands says, and its exit code: 2 for arguments, 1 for what cannot run, 3 for what ran and is not
complete. No file is lost by any of them. The tests type them all.

There are `shards` of two groups, in `runs` a run of fold 1 that was trained on them, whose directory is RUN below, and
two `videos` with a manifest.
"""


def main() -> None:
    """Write the page to the standard output."""
    with tempfile.TemporaryDirectory() as home:
        sys.stdout.write(table(Path(home)))


if __name__ == "__main__":
    main()
