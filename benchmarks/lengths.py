"""How much memory a worker needs for long recordings.

    python benchmarks/lengths.py [--data ../shared/data] [--json FILE]

A real clip, played again and again, becomes videos of several lengths; each is built alone, by one worker.
"""

import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import click
import numpy as np
from lib.peak import run_and_watch
from lib.report import Measure, report
from numpy.typing import NDArray

from fer_prep.decode import open_recording

LENGTHS = (75, 1000, 4000)  # frames


def pictures(clip: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames of a clip, RGB, without end."""
    with open_recording(clip) as video:
        yield from itertools.cycle(list(video.frames(0, None)))


def film(clip: Path, path: Path, n_frames: int) -> None:
    """Write a video of so many frames."""
    frames = pictures(clip)
    first = next(frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = first.shape[:2]
        for rgb in itertools.islice(itertools.chain([first], frames), n_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


def worker_mb(home: Path, clip: Path, n_frames: int) -> float:
    """The most that a worker had while it built one recording."""
    home.mkdir()
    film(clip, home / "film.mp4", n_frames)
    (home / "manifest.csv").write_text("file,subject,label\nfilm.mp4,one,joy\n")
    options = ["--dataset=manifest", f"--root={home}", "--aligner=mesh", "--workers=1"]
    command = [
        sys.executable,
        "-m",
        "fer_prep",
        "build",
        *options,
        f"--out={home / 'out'}",
        f"--cache={home / 'cache'}",
    ]
    return run_and_watch(command)[1]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(data: Path, json_file: Path | None) -> None:
    """Make the videos, build each, and print what came out."""
    clips = sorted((data / "real" / "grid").glob("*.mpg"))
    if not clips:
        raise click.UsageError(f"{data}/real/grid holds no clip; --data names the directory of real face videos")
    with tempfile.TemporaryDirectory() as temporary:
        seen = {n: worker_mb(Path(temporary, str(n)), clips[0], n) for n in LENGTHS}
    measures: dict[str, Measure] = {f"worker, {n:,} frames, MB": (mb, None, "lower") for n, mb in seen.items()}
    grown = (seen[LENGTHS[-1]] - seen[LENGTHS[1]]) / (LENGTHS[-1] - LENGTHS[1])
    report(measures | {"worker, MB for 1,000 further frames": (1000 * grown, None, "lower")}, json_file)


if __name__ == "__main__":
    main()
