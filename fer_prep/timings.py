"""`timings.json`: what a build's stages took. Beside the index, but no part of the format: no two builds share it."""

import json
from pathlib import Path

from fer_prep.files import replace_text
from fer_prep.stopwatch import STAGES, Timings

FILE_NAME = "timings.json"


def write_timings(directory: Path, timings: Timings, *, n_frames: int, workers: int) -> None:
    """Replace `timings.json` in one step.

    Raises:
        FerPrepError: the file system refuses.
    """
    stages = {
        stage: {"cpu_s": round(timings.cpu_s.get(stage, 0.0), 4), "wall_s": round(timings.wall_s.get(stage, 0.0), 4)}
        for stage in STAGES
        if stage in timings.cpu_s
    }
    content = {"n_frames": n_frames, "workers": workers, "stages": stages}
    replace_text(directory / FILE_NAME, json.dumps(content, indent=1) + "\n")
