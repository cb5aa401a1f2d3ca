"""Videos to shards: writes a recipe and a manifest, and has the program fer-prep build them."""

import csv
import io
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_model.errors import ArgumentError, PrepError, RunDirectoryError
from fer_model.predict.decisions import Unread
from fer_model.predict.directory import PredictionDirectory
from fer_model.rundir import replace_file
from fer_model.stop import Interrupted
from fer_model.trained import Trained

SUFFIXES = {
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts",
    ".vob", ".webm", ".wmv",
}  # fmt: skip
ALL_FINE, FAILED_RECORDINGS, INTERRUPTED = 0, 3, 130  # exit codes of fer-prep
OF_THE_CORPUS = {"corpus", "select", "include", "classes", "groups"}
"""Keys of a recipe that say which recordings there are, not how they are treated."""


@dataclass(frozen=True, kw_only=True)
class Videos:
    """Videos below a folder."""

    root: Path
    files: tuple[str, ...]
    """Relative to the folder, with `/`."""
    refused: tuple[Unread, ...]
    """Those that are empty, or whose names no manifest can hold."""
    n_others: int
    """Files that are no videos, by their names."""


def find_videos(path: Path, *, besides: Path) -> Videos:
    """The videos of an input: itself, or by their names those in a folder, also in its folders but `besides`.

    Raises:
        ArgumentError: there is none.
    """
    if path.is_file():
        return _sorted_out(path.absolute().parent, [path.name], n_others=0)
    files = (p for p in path.rglob("*") if p.is_file() and not p.resolve().is_relative_to(besides.resolve()))
    names = sorted(p.relative_to(path).as_posix() for p in files)
    videos = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    if not videos:
        raise ArgumentError(
            f"{path}: neither shards (no index.json) nor videos (among {len(names)} files none ends in "
            f"{', '.join(sorted(SUFFIXES))}); give a shard directory, a video or a folder of videos."
        )
    return _sorted_out(path.absolute(), videos, n_others=len(names) - len(videos))


def _sorted_out(root: Path, names: Sequence[str], *, n_others: int) -> Videos:
    problems = {name: problem for name in names if (problem := _problem(root, name))}
    refused = (Unread(id=_shown(name), subject="", reason=problem) for name, problem in problems.items())
    files = tuple(name for name in names if name not in problems)
    return Videos(root=root, files=files, refused=tuple(refused), n_others=n_others)


def _problem(root: Path, name: str) -> str:
    """Why a manifest cannot have this name, or why there is nothing behind it; empty if all is well."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "name: it is not UTF-8, rename the file"
    if not name.isprintable() or "\\" in name or name != name.strip():
        return "name: it has a control character, a backslash or a space at an end, rename the file"
    try:
        return "" if (root / name).stat().st_size else "empty file"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _shown(name: str) -> str:
    """The name with what cannot be printed as Python writes it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)


def build_shards(videos: Videos, trained: Trained, directory: PredictionDirectory, *, overwrite: bool) -> None:
    """Build shards of the videos, made as those that a run was trained on.

    The subject of a recording is the video itself: who is on it, nobody knows.

    Args:
        overwrite: replace shards of another recipe or of other videos; those of the same are kept.

    Raises:
        RunDirectoryError: there are such shards, and `overwrite` is not set.
        PrepError: fer-prep is not there, or could not run, and has said why.
        Interrupted: Ctrl-C or SIGTERM; finished shards are kept.
    """
    recipe, manifest = directory.path / "recipe.toml", directory.path / "manifest.csv"
    texts = {recipe: recipe_toml(trained).encode(), manifest: manifest_text(videos).encode()}
    others = [path for path, text in texts.items() if path.exists() and path.read_bytes() != text]
    if others and not overwrite:
        raise RunDirectoryError(
            f"{others[0]}: of an earlier prediction with another run or other videos; give --overwrite to replace its "
            "shards, or another --out."
        )
    program = find_prep()
    for path, text in texts.items():
        replace_file(path, text)
    command = [program, "build", "--dataset", "manifest", "--root", str(videos.root), "--manifest"]
    command += [str(manifest.absolute()), "--recipe", str(recipe), "--out", str(directory.shards)]
    code = run_prep([*command, *(["--rebuild"] if others else [])])
    if code not in (ALL_FINE, FAILED_RECORDINGS):
        raise PrepError(
            f"fer-prep could not build {directory.shards} (exit code {code}), and has said why above. "
            f"What it was to do: {shlex.join(command)}"
        )


def find_prep() -> str:
    """The program fer-prep, beside the running Python or on the PATH.

    Raises:
        PrepError: it is not installed.
    """
    beside = Path(sys.executable).parent / "fer-prep"
    found = str(beside) if beside.is_file() else shutil.which("fer-prep")
    if found is None:
        raise PrepError(
            "fer-prep is not installed, and videos need it: pip install 'fer-convlstm[prep]'; or build shards where it "
            "is installed, and give them instead."
        )
    return found


def run_prep(command: Sequence[str]) -> int:
    """The exit code of fer-prep, which speaks for itself. It is in a session of its own, and told of signals by us.

    Raises:
        Interrupted: we were asked to end, and it has ended.
    """
    asked: Interrupted | None = None
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        raise PrepError(f"{command[0]}: cannot be started ({error.strerror}); is it installed whole?") from error
    while True:
        try:
            code = child.wait()
            break
        except Interrupted as interruption:
            asked = interruption
            child.send_signal(signal.SIGINT)  # its second Ctrl-C ends it at once, as ours
    if asked is not None:
        raise Interrupted(asked.number, said=code == INTERRUPTED)
    if code == INTERRUPTED:
        raise Interrupted(signal.SIGINT, said=True)
    return code


def manifest_text(videos: Videos) -> str:
    """A manifest of unlabelled recordings."""
    text = io.StringIO()
    csv.writer(text).writerows([("file", "subject", "label"), *((file, file, "") for file in videos.files)])
    return text.getvalue()


def recipe_toml(trained: Trained) -> str:
    """The recipe of the run's shards, for videos without labels: the classes are the model's."""
    recipe = {name: value for name, value in trained.recipe.items() if name not in OF_THE_CORPUS}
    values = {"corpus": "manifest", "classes": list(trained.classes), "groups": 1}
    sections = {name: value for name, value in recipe.items() if isinstance(value, dict)}
    values |= {name: value for name, value in recipe.items() if name not in sections}
    lines = ["# Of the run whose network is used; the classes are those of its output.", *_lines(values)]
    for name, section in sections.items():
        lines += ["", f"[{name}]", *_lines(section)]
    return "\n".join([*lines, ""])


def _lines(values: dict[str, Any]) -> list[str]:
    # strings, numbers, booleans and lists of them are written alike in JSON and TOML; an absent key is TOML's null
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value is not None]
