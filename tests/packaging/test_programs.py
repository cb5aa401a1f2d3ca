"""Each program, as its script and as a module, says its version, and completes words in three shells."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sources import ROOT, program, project

import fer_prep

MODULES = {
    "fer-prep": "fer_prep",
    "fer-train": "fer_model",
    "fer-predict": "fer_model.predict",
    "fer-results": "fer_model.results_cli",
}
# words, the last one unfinished -> what may become of it
COMPLETIONS = {
    "fer-prep ver": ["verify"],
    "fer-prep build --dataset en": ["enterface"],
    "fer-prep cache --ol": ["--older-than"],
    "fer-train ex": ["export"],
    "fer-train ": ["export", "shards"],
    "fer-train shards --preset ": ["paper", "small"],
    "fer-train export run --format on": ["onnx"],
    "fer-predict film.mp4 --chec": ["--checkpoint"],
    "fer-results runs --o": ["--out"],
}
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
# what bash itself does when the Tab key is pressed: set these variables, call the function that `complete` registered
PRESS_TAB = """
while IFS= read -r line; do
    read -ra COMP_WORDS <<< "$line"; [[ $line == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    registered=$(complete -p "${COMP_WORDS[0]}"); registered=${registered#*-F }
    "${registered%% *}" "${COMP_WORDS[0]}"
    echo "${COMPREPLY[@]}"
done
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of all programs."""
    directory = tmp_path_factory.mktemp("bin")
    for name in project()["scripts"]:
        program(name, directory)
    return directory


def with_programs(directory: Path, **more: str) -> dict[str, str]:
    places = f"{directory}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": places, "PYTHONPATH": str(ROOT)} | more


def line_for(shell: str) -> str:
    """What docs/install.md tells the users of a shell to write."""
    found = re.search(rf"```{shell}\n(.*)\n```", PAGE)
    assert found is not None
    return found[1]


def test_no_program_is_left_out() -> None:
    assert set(project()["scripts"]) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_program_says_its_version_by_both_its_names(name: str, programs: Path) -> None:
    for command in ([str(programs / name)], [sys.executable, "-m", MODULES[name]]):
        done = subprocess.run(
            [*command, "--version"], env=with_programs(programs), capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.returncode) == (f"{name}, version {fer_prep.__version__}\n", 0), done.stderr


def test_bash_completes_after_the_line_of_the_page(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{line_for('bash')}\n{PRESS_TAB}"], input="\n".join([*COMPLETIONS, ""]),
        cwd=tmp_path, env=with_programs(programs), capture_output=True, text=True, check=False,
    )  # fmt: skip
    completed = dict(zip(COMPLETIONS, map(str.split, done.stdout.splitlines()), strict=True))
    assert (completed, done.stderr) == (COMPLETIONS, "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_given_a_script_and_words(shell: str, programs: Path) -> None:
    """What click prints for them; the lines of the page name these variables and programs."""
    assert f"_COMPLETE={shell}_source" in line_for(shell)
    for name in MODULES:
        variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
        env = with_programs(programs, **{variable: f"{shell}_source"})
        script = subprocess.run([programs / name], env=env, capture_output=True, text=True, check=True).stdout
        assert f"{variable}={shell}_complete" in script
    env = with_programs(programs, _FER_TRAIN_COMPLETE=f"{shell}_complete", COMP_WORDS="fer-train ex", COMP_CWORD="1")
    env |= {"COMP_CWORD": "ex"} if shell == "fish" else {}
    done = subprocess.run([programs / "fer-train"], env=env, capture_output=True, text=True, check=True)
    assert "export" in done.stdout
    assert "Write a trained network for other programs." in done.stdout


def test_the_help_of_training_names_export(programs: Path) -> None:
    done = subprocess.run(
        [programs / "fer-train", "--help"], env=with_programs(programs), capture_output=True, text=True, check=True
    )
    assert "fer-train export RUN writes a trained network" in " ".join(done.stdout.split())
