"""The program fer-prep as a person meets it: options, sentences, exit codes."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fer_prep import __version__
from fer_prep.cli import main

CORPUS_OPTIONS = [
    "--aligner", "--classes", "--dataset", "--face-size", "--groups", "--include", "--include-unsegmented",
    "--landmark-model", "--length", "--manifest", "--mask", "--openface", "--recipe", "--root", "--select", "--stride",
]  # fmt: skip
WORK_OPTIONS = ["--cache", "--out", "--rebuild", "--workers"]


def test_options_change_only_on_purpose() -> None:
    of = {
        name: sorted(parameter.opts[0] for parameter in command.params if isinstance(parameter, click.Option))
        for name, command in main.commands.items()
    }
    assert of == {
        "build": sorted([*CORPUS_OPTIONS, *WORK_OPTIONS, "--debug", "--dry-run", "--log-json", "--scheduler"]),
        "plan": sorted([*CORPUS_OPTIONS, *WORK_OPTIONS, "--debug", "--json", "--no-calibrate"]),
        "datasets": ["--debug"],
        "doctor": ["--cache", "--debug", "--landmark-model", "--openface"],
        "recipe": ["--debug"],
        "report": ["--debug", "--out", "--png"],
        "inspect": ["--clip", "--debug", "--out"],
        "cache": ["--all", "--cache", "--debug", "--max-size", "--older-than", "--prune"],
        "verify": ["--debug", "--quick", "--workers"],
    }


def test_version_and_help_are_there() -> None:
    assert __version__ in CliRunner().invoke(main, ["--version"]).output
    assert "Build the shards of a corpus" in CliRunner().invoke(main, ["build", "--help"]).output


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fer_prep", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--dataset", "manifest"], "data/manifest is not there; name the directory"),
        (["--dataset", "manifest", "--root", "nowhere"], "nowhere is not there; name the directory"),
        (["--dataset", "manifest", "--root", "."], "manifest.csv: manifest cannot be read"),
        (["--dataset", "sample", "--recipe", "no.toml"], "no.toml: recipe cannot be read"),
        (["--dataset", "fer2013"], "'fer2013' is not one of"),
        (["--dataset", "sample", "--length", "0"], "0 is not in the range 1<=x<=4096"),
    ],
)
def test_bad_arguments_are_a_sentence_and_exit_code_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = run("build", *arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,subject,label\na.mp4,s,joy\n")
    (tmp_path / "a.mp4").write_text("no video")
    (tmp_path / "out").write_text("precious")
    done = run(
        "build", "--dataset", "manifest", "--root", tmp_path, "--out", tmp_path / "out", "--cache", tmp_path / "c"
    )
    assert done.returncode == 2
    assert "is a file; --out must be a directory" in done.stderr
    assert (tmp_path / "out").read_text() == "precious"
