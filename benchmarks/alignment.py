"""How often the embedded aligner finds a face, and how far its eyes are off.

On 732 clips of 61 persons against true points: london/points.json (five points per frame; the eyes are means of the eye
corners). The clips are warps of real photographs, so this measures the aligner and says nothing about expressions.
On real videos against another detector, which is no truth: reference_faces.csv.

    python benchmarks/alignment.py [--data ../shared/data] [--json FILE]
"""

import csv
import json
from collections import defaultdict
from pathlib import Path

import click
import cv2
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from fer_prep.align.geometry import apply
from fer_prep.align.mesh import MeshFinder
from fer_prep.align.track import FaceTrack, make_track
from fer_prep.recipe import AlignRecipe
from fer_prep.video import open_video

EYE_CORNERS = ((36, 39), (42, 45))


def measure(video: Path, true_points: list[list[list[float]]]) -> tuple[int, NDArray[np.float64], float]:
    """Frames, eye errors in eye distances of every detected frame, and how much the aligned true eyes shake, pixels."""
    cv2.setNumThreads(1)
    with open_video(video) as opened:
        track = make_track(opened.frames(), AlignRecipe(), MeshFinder())
    truth_N52 = np.array(true_points)
    found = np.flatnonzero(track.detected_N)
    errors = np.array([eye_error(track, int(t), truth_N52[t]) for t in found])
    aligned_N22 = np.array([apply(track.transform_N2x3[t].astype(float), truth_N52[t, :2]) for t in found])
    return track.n_frames, errors, float(aligned_N22.std(axis=0).mean())


def eye_error(track: FaceTrack, t: int, truth_52: NDArray[np.float64]) -> float:
    """Mean distance of both eye centres from the true ones, in eye distances, in the frame of the video."""
    transform = track.transform_N2x3[t].astype(float)
    in_frame = np.linalg.solve(transform[:, :2], (track.landmarks_N68x2[t] - transform[:, 2]).T).T
    eyes = np.array([in_frame[list(corners)].mean(0) for corners in EYE_CORNERS])
    eye_distance = np.linalg.norm(truth_52[0] - truth_52[1])
    return float(np.linalg.norm(eyes - truth_52[:2], axis=1).mean() / eye_distance)


def compare(video: Path, faces: dict[int, int]) -> tuple[int, int, int, int]:
    """Frames where both find a face, only the reference, only we, nobody. `faces`: frame -> faces of the reference."""
    cv2.setNumThreads(1)
    with open_video(video) as opened:
        track = make_track(opened.frames(), AlignRecipe(), MeshFinder())
    pairs = [(bool(track.detected_N[t]), n > 0) for t, n in faces.items()]
    return (
        pairs.count((True, True)),
        pairs.count((False, True)),
        pairs.count((True, False)),
        pairs.count((False, False)),
    )


def reference_faces(data: Path) -> dict[str, dict[int, int]]:
    """File -> frame -> number of faces, for the videos under real/."""
    files: dict[str, dict[int, int]] = defaultdict(dict)
    with (data / "reference_faces.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["file"].startswith("real/"):
                files[row["file"]][int(row["frame"])] = int(row["n_faces"])
    return files


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(data: Path, json_file: Path | None) -> None:
    """Measure and print."""
    if not (data / "london").is_dir():
        raise click.UsageError(f"{data}/london is not there; --data names the directory of the real face videos")
    points = json.loads((data / "london" / "points.json").read_text())
    names = sorted(name for name in points if name.startswith("expr6/"))
    measured = Parallel(n_jobs=-1)(delayed(measure)(data / "london" / name, points[name]) for name in names)
    n_frames = sum(n for n, _, _ in measured)
    errors = np.concatenate([e for _, e, _ in measured])
    results = {
        "frames detected": {"value": len(errors) / n_frames, "goal": 0.995, "better": "higher"},
        "eye error, mean, in eye distances": {"value": float(errors.mean()), "goal": 0.04, "better": "lower"},
        "eye error, 95th percentile": {"value": float(np.quantile(errors, 0.95)), "goal": None, "better": "lower"},
        "shake of the aligned true eyes, px": {
            "value": float(np.mean([shake for _, _, shake in measured])), "goal": None, "better": "lower",
        },
    }  # fmt: skip
    table = Table("measure", "value", "goal", title=f"{len(names)} clips, {n_frames} frames", title_justify="left")
    for name, row in results.items():
        table.add_row(name, f"{row['value']:.4f}", "" if row["goal"] is None else str(row["goal"]))
    Console().print(table)
    reference = reference_faces(data)
    compared = Parallel(n_jobs=-1)(delayed(compare)(data / name, faces) for name, faces in reference.items())
    table = Table("real video, frames compared", "both", "only reference", "only we", "nobody")
    for name, counts in zip(reference, compared, strict=True):
        table.add_row(name.removeprefix("real/"), *map(str, counts))
    table.add_row("all", *(str(sum(column)) for column in zip(*compared, strict=True)))
    Console().print(table)
    if json_file:
        json_file.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
