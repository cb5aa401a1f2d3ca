"""Where the time of a build goes, how well two workers share it, how it compares with a plain loop, and its memory.

    python benchmarks/pipeline.py [--data ../shared/data] [--json FILE] [--frames N] [--part stages …]

Real and rendered face videos, the embedded aligner, from video files to shards, nothing cached; files were read once
before. A build is the whole command as a user types it, its start included, unless a row says otherwise. Where other
programs compete for the cores, the workers' waiting tells how much.
"""

import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
import cv2
from lib.peak import run_and_watch
from lib.pieces import cut_into_pieces
from lib.report import Measure, report

from fer_prep.clips import plan_clips
from fer_prep.decode import open_recording
from fer_prep.flow import track_flow
from fer_prep.plan import Subject, make_plan, plan_shards
from fer_prep.shards import StoredRecording, write_shard
from fer_prep.stages import align_file
from fer_prep.stopwatch import Stopwatch, Timings

ROUNDS = 3
WORKERS_FRAMES = 4000
SERIAL_FRAMES = 3000  # of short recordings: the plain loop is slow
PIECES_OF_SUBJECT = 4  # and four variants of each: 1,200 frames in a shard
SHORT = 12  # frames of a recording where memory is watched
FEW, MANY = 100, 1000  # recordings, where memory is watched
VIDEOS = {".mp4", ".mov", ".mkv", ".mpg", ".avi", ".gif"}


@dataclass(frozen=True)
class Clip:
    """A video below the data directory; all of it, or the part from `start` to `end`."""

    file: Path
    subject: str
    n_frames: int
    start: int | None = None
    end: int | None = None


def real_clips(data: Path) -> list[Clip]:
    """Real videos, each one subject."""
    files = sorted(path for path in (data / "real").rglob("*") if path.suffix in VIDEOS)
    return [Clip(path, path.stem, expected(path)) for path in files]


def rendered_clips(data: Path) -> list[Clip]:
    """Photographs that were warped into expressions: many short clips of many subjects."""
    with (data / "london" / "labels.csv").open(newline="") as file:
        return [
            Clip(data / "london" / row["file"], row["subject"], int(row["frames"]))
            for row in csv.DictReader(file)
            if row["file"].endswith(".mp4")
        ]


def pieces_of(clips: Sequence[Clip], home: Path) -> list[Clip]:
    """Recordings of three seconds, many of one subject, in a new directory: what eNTERFACE's are like."""
    home.mkdir()
    made = cut_into_pieces([clip.file for clip in clips], home)
    return [Clip(path, f"{name}-{number // PIECES_OF_SUBJECT}", n) for path, name, number, n in made]


def expected(path: Path) -> int:
    with open_recording(path) as video:
        return video.n_expected


def n_frames(clips: Iterable[Clip]) -> int:
    return sum(clip.n_frames for clip in clips)


def evenly(clips: Sequence[Clip], wanted: int) -> list[Clip]:
    """Clips spread over all, with about so many frames."""
    share = min(1.0, wanted / n_frames(clips))
    return [clip for k, clip in enumerate(clips) if int((k + 1) * share) > int(k * share)]


class Home:
    """A temporary directory in which builds are made."""

    def __init__(self, data: Path, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.data, self._home, self._n = data, home, 0

    def manifest(self, clips: Iterable[Clip]) -> Path:
        self._n += 1
        path = self._home / f"{self._n}.csv"
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file", "subject", "label", "start_frame", "end_frame"])
            for k, clip in enumerate(clips):
                rows.writerow([clip.file.relative_to(self.data), clip.subject, "ab"[k % 2], clip.start, clip.end])
        return path

    def new(self) -> Path:
        """A directory that is not there yet."""
        self._n += 1
        return self._home / str(self._n)

    def command(self, clips: Iterable[Clip], out: Path, *, workers: int) -> list[str]:
        """A build into `out`, with an empty cache."""
        return [
            sys.executable, "-m", "fer_prep", "build", "--dataset", "manifest", "--root", str(self.data),
            "--manifest", str(self.manifest(clips)), "--aligner", "mesh", "--workers", str(workers),
            "--out", str(out), "--cache", str(self.new()),
        ]  # fmt: skip

    def build(self, clips: Iterable[Clip], *, workers: int) -> tuple[float, Path]:
        """Seconds that a build took, and its shards."""
        out = self.new()
        command = self.command(clips, out, workers=workers)
        return timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)), out


def timed(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


@contextmanager
def on_one_core() -> Iterator[None]:
    """This process, and all that it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stages(home: Home, real: list[Clip]) -> dict[str, Measure]:
    """One worker and its driver on one core: real clips, and those of them that show a face in every frame."""
    nothing = [Clip(real[0].file, "x", 1, 0, 1)]
    with on_one_core():
        _, out = home.build(real, workers=1)
        whole = faces_throughout(out)
        faces = [clip for clip in real if clip.subject in whole]
        runs = {"all": real, "faces": faces, "start": nothing}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        tables: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
        frames: dict[str, int] = {}
        for _ in range(ROUNDS):
            for name, clips in runs.items():
                took, out = home.build(clips, workers=1)
                seconds[name].append(took)
                frames[name], table = stage_table(out)
                tables[name].append(table)
    median = {name: statistics.median(of) for name, of in seconds.items()}
    measures: dict[str, Measure] = {}
    for name, what in (("all", "real clips"), ("faces", "those with a face in every frame")):
        n, start = frames[name], median["start"]
        measures |= {
            f"{what}: {stage}, CPU ms per frame": (statistics.median(t[stage] for t in tables[name]), None, "lower")
            for stage in tables[name][0]
        }
        measures[f"{what}: frames/s, start included"] = (n / median[name], None, "higher")
        measures[f"{what}: frames/s end to end, one core"] = (n / (median[name] - start), 140, "higher")
    return measures | {"start and end of the command, s": (median["start"], None, "lower")}


def children_cpu_s() -> float:
    """Computing of the programs that were run and have ended, without what they left running."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def stage_table(out: Path) -> tuple[int, dict[str, float]]:
    """Frames of a build, and CPU milliseconds per frame of its stages."""
    content = json.loads((out / "timings.json").read_text())
    n, spent = content["n_frames"], {name: of["cpu_s"] for name, of in content["stages"].items()}
    return n, {name: 1000 * cpu_s / n for name, cpu_s in {**spent, "all stages": sum(spent.values())}.items()}


def waiting(out: Path) -> float:
    """Share of the stages' time in which their workers did not compute."""
    spent = json.loads((out / "timings.json").read_text())["stages"].values()
    share: float = 1 - sum(of["cpu_s"] for of in spent) / sum(of["wall_s"] for of in spent)
    return share


def faces_throughout(out: Path) -> set[str]:
    """Subjects with a face in every frame."""
    with (out / "ledger.csv").open(newline="") as file:
        return {row["subject"] for row in csv.DictReader(file) if row["n_frames"] == row["n_detected"]}


def scaling(home: Home, clips: list[Clip]) -> dict[str, Measure]:
    """Two workers against the bare stages, of which half run before the build and half after it."""
    plan = make_plan(dataset="manifest", root=home.data, manifest=home.manifest(clips), aligner="mesh")
    subjects = plan_shards(plan, home.new())
    subjects[0].path.parent.mkdir()
    bare = bare_stages(subjects[::2])
    build_s, out = home.build(clips, workers=2)
    bare += bare_stages(subjects[1::2])
    n, table = stage_table(out)
    cpu_s = sum(bare.cpu_s.values())
    return {
        "frames": (n, None, "higher"),
        **{f"bare {stage}, CPU ms per frame": (1000 * bare.cpu_s[stage] / n, None, "lower") for stage in bare.cpu_s},
        "bare stages, CPU s": (cpu_s, None, "lower"),
        "stages within the build, CPU s": (table["all stages"] * n / 1000, None, "lower"),
        "build, 2 workers, s": (build_s, None, "lower"),
        "build, 2 workers, frames/s": (n / build_s, None, "higher"),
        "build, 2 workers: time that its stages waited for a core or the disk": (waiting(out), None, "lower"),
        "build, 2 workers / half of the bare stages": (2 * build_s / cpu_s, 1.15, "lower"),
    }


def workers(home: Home, clips: list[Clip]) -> dict[str, Measure]:
    """One worker and two, in turns."""
    n, seconds = n_frames(clips), {n_workers: list[float]() for n_workers in (1, 2)}
    for _ in range(ROUNDS):
        for n_workers, of in seconds.items():
            of.append(home.build(clips, workers=n_workers)[0])
    median = {n_workers: statistics.median(of) for n_workers, of in seconds.items()}
    rates: dict[str, Measure] = {
        f"{n_workers} worker{'s' * (n_workers > 1)}, {n:,} frames: frames/s, start included": (n / s, None, "higher")
        for n_workers, s in median.items()
    }
    return rates | {"2 workers / 1 worker": (median[1] / median[2], None, "higher")}


def bare_stages(subjects: Sequence[Subject]) -> Timings:
    """The stages in this process, one recording after the other: no Dask, no cache, no ledger."""
    cv2.setNumThreads(1)
    watch = Stopwatch()

    def tracks(subject: Subject) -> Iterator[StoredRecording]:
        recipe = subject.head.recipe
        for job in subject.jobs:
            recording, aligner = job.recording, recipe.align.model_dump_json()
            made = align_file(
                recording.path, watch, "0", recording.start_frame, recording.end_frame, aligner, versions_json=""
            )
            with watch("flow"):
                flow, saturated = track_flow(made.track, recipe.flow)
                clips = plan_clips(made.track.detected_N, recipe.clips).clips
            yield StoredRecording(
                recording.id, recording.file, "0", job.label, made.fps or 0.0, made.track, flow, saturated, clips
            )

    for subject in subjects:
        with watch("write"):
            write_shard(subject.path, replace(subject.head, key="0"), tracks(subject))
    return watch.timings


def serial(home: Home, clips: list[Clip], what: str, goal: float | None) -> dict[str, Measure]:
    """The same recordings by the plain loop, between two builds with two workers."""
    before_s, _ = home.build(clips, workers=2)
    out = home.new()
    script = [sys.executable, str(Path(__file__).parent / "lib" / "serial.py"), str(out)]
    cpu_before_s = children_cpu_s()
    serial_s = timed(lambda: subprocess.run([*script, *(str(clip.file) for clip in clips)], check=True))
    cpu_s = children_cpu_s() - cpu_before_s
    after_s, shards = home.build(clips, workers=2)
    build_s = (before_s + after_s) / 2
    n, table = stage_table(shards)
    measures: dict[str, Measure] = {
        "frames, both": (n, None, "higher"),
        "plain loop, frames/s": (n / serial_s, None, "higher"),
        "2 workers, the same recordings, frames/s": (n / build_s, None, "higher"),
        "2 workers: time that their stages waited for a core or the disk": (waiting(shards), None, "lower"),
        "2 workers / plain loop": (serial_s / build_s, goal, "higher"),
        "plain loop, CPU ms per frame": (1000 * cpu_s / n, None, "lower"),
        "stages within the build, CPU ms per frame": (table["all stages"], None, "lower"),
        "bytes, shards / its file": (
            sum(p.stat().st_size for p in shards.glob("*.h5")) / out.stat().st_size,
            None,
            "lower",
        ),
    }
    return {f"{what}: {name}": measure for name, measure in measures.items()}


def memory(home: Home, clips: list[Clip]) -> dict[str, Measure]:
    """Recordings of equal length, many of them parts of one video."""
    parts = [
        replace(clip, n_frames=SHORT, start=start, end=start + SHORT)
        for start in (0, 1)
        for clip in clips
        if clip.n_frames > SHORT + 1
    ]
    seen = {n: run_and_watch(home.command(parts[:n], home.new(), workers=2)) for n in (FEW, MANY)}
    measures: dict[str, Measure] = {}
    for k, who in enumerate(("driver", "largest worker")):
        measures |= {f"{who}, {n:,} recordings, MB": (seen[n][k], None, "lower") for n in seen}
        measures[f"{who}, {MANY:,} recordings / {FEW}"] = (seen[MANY][k] / seen[FEW][k], 1.15, "lower")
    return measures


PARTS = ("stages", "scaling", "workers", "serial", "memory")


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "json_file", type=click.Path(path_type=Path))
@click.option("--frames", default=21_000, help="Frames to build with two workers; all that there are: 20,690.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, default=PARTS, help="Only this; repeatable.")
def main(data: Path, json_file: Path | None, frames: int, parts: tuple[str, ...]) -> None:
    """Measure the parts one after the other."""
    data = data.resolve()
    for name in ("real", "london"):
        if not (data / name).is_dir():
            raise click.UsageError(f"{data / name} is not there; --data names the directory of the face videos")
    real, rendered = real_clips(data), rendered_clips(data)
    everything = [*real, *evenly(rendered, max(frames - n_frames(real), 0))]
    for clip in (*real, *rendered):
        clip.file.read_bytes()
    measures: dict[str, Measure] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Home(data, Path(temporary))
        if "stages" in parts:
            measures |= stages(home, real)
        if "scaling" in parts:
            measures |= scaling(home, everything)
        if "workers" in parts:
            measures |= workers(home, evenly(rendered, WORKERS_FRAMES))
        if "serial" in parts:
            _, out = home.build(real, workers=2)
            pieces = pieces_of([clip for clip in real if clip.subject in faces_throughout(out)], home.new())
            measures |= serial(Home(pieces[0].file.parent, home.new()), pieces, "recordings of 3 s", 3)
            measures |= serial(home, evenly(rendered, SERIAL_FRAMES), "recordings of 0.7 s", None)
        if "memory" in parts:
            measures |= memory(home, rendered)
    report(measures, json_file)


if __name__ == "__main__":
    main()
