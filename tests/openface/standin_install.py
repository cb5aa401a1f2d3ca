"""Make a folder that looks like an OpenFace install and holds the stand-in. See `install`."""

import functools
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from standin_inputs import digest, image_files
from standin_play import Act, as_acts

PROGRAM = Path(__file__).with_name("standin.py")
DUMMY = "A dummy for the tests: no OpenFace model, no numbers of one.\n"
MAIN = {name: f"main_{name}_general.txt" for name in ("clnf", "clm", "ceclm")}
CEN = [f"cen_patches_{scale}_of.dat" for scale in ("0.25", "0.35", "0.50", "1.00")]


def install(
    directory: Path,
    *,
    dialect: Literal["2.0", "2.2"] = "2.0",
    models: Sequence[str] = ("clnf", "clm", "ceclm"),
    cen_weights: bool = False,
    golden: Path | None = None,
    data: Path | None = None,
    play: Act | Sequence[Act] | None = None,
    one_cpu_hang: bool = True,
) -> Path:
    """Write the executable `directory/FeatureExtraction`, `directory/model/...`, and return the executable's path.

    Args:
        models: which of clnf, clm, ceclm have their `main_*_general.txt`; a real install has all three.
        cen_weights: the weights that OpenFace's default model ceclm needs (`cen_patches_*_of.dat`, dummies).
        golden: shared/openface/golden; inputs with the same bytes as its clips are replayed. None: all is synthetic.
        data: shared/data, where those inputs are; by default beside golden.
        play: one act or several, see `standin_play.Act`. The environment variable STANDIN_PLAY (JSON) goes before it.
        one_cpu_hang: dialect 2.0 hangs if only one CPU is visible, as OpenFace 2.0 does.

    Raises:
        ValueError: an unknown word in `play`.
    """
    folder = directory / "model" / "patch_experts"
    folder.mkdir(parents=True, exist_ok=True)
    for name in models:
        (directory / "model" / MAIN[name]).write_text(DUMMY)
    for name in CEN if cen_weights else ():
        (folder / name).write_text(DUMMY)
    config = {"dialect": dialect, "one_cpu_hang": one_cpu_hang, "golden": str(golden) if golden else None}
    known = _index(golden, data) if golden else {"files": {}, "sequences": []}
    config_file = directory.resolve() / "standin.json"
    config_file.write_text(json.dumps({**config, **known, "play": as_acts(play)}))
    executable = directory / "FeatureExtraction"
    command = shlex.join([sys.executable, "-Es", "-X", "utf8", str(PROGRAM), str(config_file)])
    title = "STAND-IN for OpenFace FeatureExtraction - not OpenFace"
    executable.write_text(f'#!/bin/sh\n# {title}\nexec {command} "$0" "$@"\n')
    executable.chmod(0o755)
    return executable


def runs(executable: Path) -> list[dict[str, Any]]:
    """The starts of this executable, in order.

    Keys: run (from 1), pid, argv, cwd, cpus, at (seconds since 1970), rc and ended; the last two are None for a run
    that was killed, aborted or is still alive.
    """
    path = executable.with_name("runs.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    ends = {line["run"]: line for line in lines if line["event"] == "end"}
    keys = ("run", "pid", "argv", "cwd", "cpus", "at")
    starts = sorted((line for line in lines if line["event"] == "start"), key=lambda line: int(line["run"]))
    return [
        {key: line[key] for key in keys}
        | {"rc": ends.get(line["run"], {}).get("rc"), "ended": ends.get(line["run"], {}).get("at")}
        for line in starts
    ]


@functools.cache
def _index(golden: Path, data: Path | None) -> dict[str, Any]:
    """The recorded clips by the sha256 of their input's bytes; a sequence by those of its images."""
    files: dict[str, Any] = {}
    sequences: list[Any] = []
    for clip in json.loads((golden / "clips.json").read_text()):
        given: str = clip["input"]
        path = data / given.removeprefix("../../data/") if data and given.startswith("../../data/") else golden / given
        if path.is_dir():
            sequences.append({"clip": clip, "images": [digest(image) for image in image_files(str(path))]})
        elif path.is_file():
            files.setdefault(digest(path), clip)
    return {"files": files, "sequences": sequences}
