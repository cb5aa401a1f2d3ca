"""How the embedded aligner agrees with OpenFace, clip by clip: faces found, landmarks, aligned faces.

OpenFace's side is recorded output of OpenFace 2.0.6 (CLNF model) in ../shared/openface/golden: the opinion of another
program, no truth. The clips show four persons, and nine of the fourteen are one clip and what was made from it, so no
average over clips is taken.

    python benchmarks/openface_agreement.py [--data ../shared/data] [--json FILE]
"""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from fer_prep.align.geometry import apply, scale_of
from fer_prep.align.mesh import MeshFinder
from fer_prep.align.track import FaceTrack, make_track
from fer_prep.errors import RecordingError
from fer_prep.recipe import AlignRecipe
from fer_prep.sequence import open_sequence
from fer_prep.video import open_video

Floats = NDArray[np.float64]
Frame = NDArray[np.uint8]

JAW, INNER = slice(0, 17), slice(17, 68)
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
# Inner faces further apart than this, in % of the distance between the eyes, are not two views of one face.
ELSEWHERE = 50.0
UPRIGHT, SIDEWAYS = "lbax4n", "really_sideways_no_tag"  # the second is the first, turned clockwise by 90°
REMARKS = {
    "face_noface": "158, 159, 162-165 are false detections of OpenFace: the letters of a cartoon title",
    "two_faces": "two equal faces side by side: each program follows one of them, and not the same one",
    "space_unicode": "the bytes of lbax4n under another name",
}
# Title -> heading -> name of the value and its format.
TABLES = {
    "Frames with a face": {
        name: (name, ".0f") for name in ("frames", "both", "not the same", "only mesh", "only OpenFace", "none")
    },
    "Distance between landmarks, % of the distance between the eyes": {
        name: (name, ".1f") for name in ("inner", "inner 95 %", "jaw", "jaw 95 %", "all", "all 95 %")
    },
    "The same inner points in both aligned faces, pixels of 112; rest: after one similarity for the clip": {
        "pixels": ("shift", ".2f"),
        "95 %": ("shift 95 %", ".2f"),
        "in x": ("shift x", "+.2f"),
        "in y": ("shift y", "+.2f"),
        "rest": ("rest", ".2f"),
    },
    "The two transforms, ours against OpenFace's": {
        "scale": ("scale", ".3f"),
        "turn, °": ("turn", "+.2f"),
        "most, °": ("turn, most", ".2f"),
    },
    "Grey levels between the aligned faces": {
        "images": ("images", ".0f"),
        "ours - OpenFace's": ("grey", ".1f"),
        "by decoding alone": ("grey, decoding", ".2f"),
    },
}


@dataclass(frozen=True)
class OpenFace:
    """What OpenFace wrote for one clip of N frames; frames are counted from 0.

    Attributes:
        success_N: what its CSV says.
        points_N68x2: pixels of the frame.
        transforms: frame -> (2,3), frame pixels -> pixels of its aligned face.
        images: frame -> its aligned face without mask, (112,112,3) RGB; of some frames.
    """

    success_N: NDArray[np.bool_]
    points_N68x2: Floats
    transforms: dict[int, Floats]
    images: dict[int, Floats]


@dataclass(frozen=True)
class Agreement:
    """One clip of N frames; K of them where both programs have a face, and the same one.

    Attributes:
        mesh_N: the mesh finds a face.
        openface_N: OpenFace says success.
        same_N: both have a face, and the same one: their inner points are near each other.
        points_N68x2: the mesh's landmarks, pixels of the frame; NaN where it finds no face.
        distance_K68: from landmark to landmark, % of the distance between OpenFace's eye centres.
        shift_K51x2: where our transform puts OpenFace's inner points, less where its own does; aligned pixels.
        rest_K: mean length of a frame's shifts after the one similarity that suits the whole clip best; 0 if K is 1.
        scale_K: our scale over OpenFace's.
        turn_K: our rotation less OpenFace's, degrees.
        grey: mean absolute difference between our aligned face and OpenFace's, one number per image.
        grey_decoded: the same for our decoded frame under OpenFace's transform: what decoding alone does.
    """

    mesh_N: NDArray[np.bool_]
    openface_N: NDArray[np.bool_]
    same_N: NDArray[np.bool_]
    points_N68x2: Floats
    distance_K68: Floats
    shift_K51x2: Floats
    rest_K: Floats
    scale_K: Floats
    turn_K: Floats
    grey: list[float]
    grey_decoded: list[float]


def read_openface(golden: Path, clip: str, stem: str) -> OpenFace:
    """The recorded output for one clip."""
    with (golden / clip / f"{stem}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    matrix = (("a00", "a01", "t0"), ("a10", "a11", "t1"))
    with (golden / "landmark_alignment.csv").open(newline="") as file:
        transforms = {
            int(row["frame"]) - 1: np.array([[float(row[key]) for key in keys] for keys in matrix])
            for row in csv.DictReader(file)
            if row["clip"] == clip and row["a00"]
        }
    images = {}
    for path in sorted((golden / clip / f"{stem}_aligned_nomask").glob("*.png")):
        images[int(path.stem[-6:]) - 1] = np.asarray(cv2.imread(str(path)), np.float64)[..., ::-1]
    return OpenFace(
        np.array([row["success"] == "1" for row in rows]),
        np.array([[(float(row[f"x_{k}"]), float(row[f"y_{k}"])) for k in range(68)] for row in rows]),
        transforms,
        images,
    )


def measure(video: Path, openface: OpenFace) -> Agreement | str:
    """Align as a build does, and compare; a few words if a build refuses the file."""
    cv2.setNumThreads(1)
    frames: dict[int, Frame] = {}
    try:
        with open_sequence(video) if video.is_dir() else open_video(video) as opened:
            track = make_track(
                keep(opened.frames(), frames, openface.images), AlignRecipe(backend="mesh"), MeshFinder()
            )
    except RecordingError as error:
        return error.kind
    return compare(track, openface, frames)


def keep(frames: Iterable[Frame], kept: dict[int, Frame], wanted: dict[int, Floats]) -> Iterator[Frame]:
    """The frames as they come; those that are wanted are also put aside."""
    for t, frame in enumerate(frames):
        if t in wanted:
            kept[t] = frame
        yield frame


def compare(track: FaceTrack, openface: OpenFace, frames: dict[int, Frame]) -> Agreement:
    points_N68x2, theirs_N68x2 = in_frame(track), openface.points_N68x2
    distance_N68 = lengths(points_N68x2 - theirs_N68x2)
    distance_N68 *= 100 / np.maximum(eye_distance(theirs_N68x2), 1e-9)[:, None]  # before a first face all points are 0
    near_N = distance_N68[:, INNER].mean(1) <= ELSEWHERE  # False for NaN
    same_N = track.detected_N & openface.success_N & near_N
    same = [int(t) for t in np.flatnonzero(same_N)]
    ours = [track.transform_N2x3[t].astype(np.float64) for t in same]
    theirs = [openface.transforms[t] for t in same]
    ours_K51x2 = aligned_inner(ours, theirs_N68x2[same])
    theirs_K51x2 = aligned_inner(theirs, theirs_N68x2[same])
    shown = [t for t in openface.images if same_N[t]]
    decoded = {t: cv2.warpAffine(frames[t], openface.transforms[t], (112, 112)) for t in shown}
    return Agreement(
        track.detected_N,
        openface.success_N,
        same_N,
        points_N68x2,
        distance_N68[same],
        ours_K51x2 - theirs_K51x2,
        lengths(best_similarity(ours_K51x2, theirs_K51x2) - theirs_K51x2).mean(1) if same else np.empty(0),
        np.array([scale_of(a) / scale_of(b) for a, b in zip(ours, theirs, strict=True)]),
        np.array([turn(a, b) for a, b in zip(ours, theirs, strict=True)]),
        [float(np.abs(track.rgb_NHWC[t] - openface.images[t]).mean()) for t in shown],
        [float(np.abs(decoded[t] - openface.images[t]).mean()) for t in shown],
    )


def in_frame(track: FaceTrack) -> Floats:
    """Landmarks (N,68,2) in pixels of the frames; NaN where there is no face."""
    points = np.full((track.n_frames, 68, 2), np.nan)
    for t in np.flatnonzero(track.detected_N):
        transform = track.transform_N2x3[t].astype(float)
        points[t] = np.linalg.solve(transform[:, :2], (track.landmarks_N68x2[t] - transform[:, 2]).T).T
    return points


def aligned_inner(transforms: list[Floats], points_K68x2: Floats) -> Floats:
    """Inner points (K,51,2) in pixels of the aligned face."""
    aligned = [apply(transform, points[INNER]) for transform, points in zip(transforms, points_K68x2, strict=True)]
    return np.array(aligned).reshape(-1, 51, 2)


def best_similarity(from_K51x2: Floats, to_K51x2: Floats) -> Floats:
    """The points after the one rotation, scale and shift that bring all of them closest, in least squares."""
    a, b = (points.reshape(-1, 2) @ np.array([1, 1j]) for points in (from_K51x2, to_K51x2))
    factor = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean())
    moved = factor * (a - a.mean()) + b.mean()
    return np.stack([moved.real, moved.imag], axis=1).reshape(from_K51x2.shape)


def turn(a: Floats, b: Floats) -> float:
    """How much further transform `a` turns than `b`, degrees."""
    degrees = np.degrees(np.arctan2(a[1, 0], a[0, 0]) - np.arctan2(b[1, 0], b[0, 0]))
    return float((degrees + 180) % 360 - 180)


def lengths(vectors: Floats) -> Floats:
    return np.asarray(np.linalg.norm(vectors, axis=-1), np.float64)


def eye_distance(points_N68x2: Floats) -> Floats:
    """From eye centre to eye centre (N,)."""
    return lengths(points_N68x2[:, RIGHT_EYE].mean(1) - points_N68x2[:, LEFT_EYE].mean(1))


def numbers(agreement: Agreement) -> dict[str, float]:
    """Everything measured on one clip; what needs a common face is left out where there is none."""
    mesh_N, openface_N = agreement.mesh_N, agreement.openface_N
    values: dict[str, float] = {
        "frames": len(mesh_N),
        "both": (mesh_N & openface_N).sum(),
        "only mesh": (mesh_N & ~openface_N).sum(),
        "only OpenFace": (~mesh_N & openface_N).sum(),
        "none": (~mesh_N & ~openface_N).sum(),
        "not the same": (mesh_N & openface_N & ~agreement.same_N).sum(),
    }
    if agreement.same_N.any():
        for name, part in {"all": slice(0, 68), "inner": INNER, "jaw": JAW}.items():
            values[name] = agreement.distance_K68[:, part].mean()
            values[f"{name} 95 %"] = float(np.quantile(agreement.distance_K68[:, part], 0.95))
        shift_K = lengths(agreement.shift_K51x2).mean(1)
        values |= {
            "shift": shift_K.mean(),
            "shift 95 %": float(np.quantile(shift_K, 0.95)),
            "shift x": agreement.shift_K51x2[..., 0].mean(),
            "shift y": agreement.shift_K51x2[..., 1].mean(),
            "rest": agreement.rest_K.mean(),
            "scale": agreement.scale_K.mean(),
            "turn": agreement.turn_K.mean(),
            "turn, most": np.abs(agreement.turn_K).max(),
            "images": len(agreement.grey),
            "grey": float(np.mean(agreement.grey)),
            "grey, decoding": float(np.mean(agreement.grey_decoded)),
        }
    return {name: float(value) for name, value in values.items()}


def table(measured: dict[str, dict[str, float]], title: str, columns: dict[str, tuple[str, str]]) -> Table:
    """A row per clip that has the values; `columns`: heading -> name and format of the value."""
    printed = Table(
        Column("clip", no_wrap=True), *columns, title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for clip, values in measured.items():
        if all(name in values for name, _ in columns.values()):
            printed.add_row(clip, *(format(values[name], form) for name, form in columns.values()))
    return printed


def remarks(compared: dict[str, Agreement | str]) -> Iterator[str]:
    """What the numbers do not say by themselves."""
    for clip, agreement in compared.items():
        if isinstance(agreement, str):
            yield f"{clip}: not compared; fer-prep does not read it ({agreement})"
            continue
        only = np.flatnonzero(agreement.openface_N & ~agreement.mesh_N) + 1
        if len(only):
            yield f"{clip}: only OpenFace in frames {', '.join(map(str, only))}, counted from 1"
        if clip in REMARKS:
            yield f"{clip}: {REMARKS[clip]}"


def off_when_turned(upright_N68x2: Floats, sideways_N68x2: Floats, height: int) -> Floats:
    """Distance (N,) of inner points from those of the upright clip, turned; % of the distance between the eyes."""
    turned = np.stack([height - 1 - upright_N68x2[..., 1], upright_N68x2[..., 0]], axis=-1)
    return np.asarray(100 * lengths(turned - sideways_N68x2)[:, INNER].mean(1) / eye_distance(turned), np.float64)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(data: Path, json_file: Path | None) -> None:
    """Measure and print."""
    golden = data.parent / "openface" / "golden"
    if not golden.is_dir():
        click.echo(f"Nothing is measured: recorded output of OpenFace is not at {golden}.")
        return
    clips = {clip["clip"]: clip for clip in json.loads((golden / "clips.json").read_text())}
    openface = {name: read_openface(golden, name, clip["stem"]) for name, clip in clips.items()}
    videos = [golden / clip["input"].replace("../../data", str(data.resolve())) for clip in clips.values()]
    results = Parallel(n_jobs=-1)(delayed(measure)(*pair) for pair in zip(videos, openface.values(), strict=True))
    compared: dict[str, Agreement | str] = dict(zip(clips, results, strict=True))
    measured = {name: numbers(a) for name, a in compared.items() if isinstance(a, Agreement)}
    console = Console()
    for title, columns in TABLES.items():
        console.print(table(measured, title, columns))
    for remark in remarks(compared):
        console.print(f"* {remark}", highlight=False)
    upright, sideways = compared[UPRIGHT], compared[SIDEWAYS]
    if isinstance(upright, Agreement) and isinstance(sideways, Agreement):
        height = clips[UPRIGHT]["height"]
        ours = off_when_turned(upright.points_N68x2, sideways.points_N68x2, height)[sideways.mesh_N]
        theirs = off_when_turned(openface[UPRIGHT].points_N68x2, openface[SIDEWAYS].points_N68x2, height)
        console.print(
            f"* {SIDEWAYS} is {UPRIGHT} turned by 90°. Inner points off each program's own of {UPRIGHT}, turned: "
            f"mesh at most {ours.max():.1f} % of the distance between the eyes in {len(ours)} frames, OpenFace at "
            f"least {theirs[sideways.openface_N].min():.0f} % in its {sideways.openface_N.sum()}: wrong fits",
            highlight=False,
        )
    if json_file:
        flat = {f"{clip}: {name}": value for clip, values in measured.items() for name, value in values.items()}
        rows = {name: {"value": value, "goal": None, "better": None} for name, value in flat.items()}
        json_file.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
