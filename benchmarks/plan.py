"""How long planning takes on whole corpora, and how far a forecast is from the build that follows.

The trees have the real names, and real clips behind those of eNTERFACE'05; the others are only scanned.
"""

import csv
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from lib.report import Measure, report

from fer_prep import corpora
from fer_prep.build import build
from fer_prep.forecast import forecast
from fer_prep.listener import Silent
from fer_prep.plan import make_plan

REPEATS = 5
PART = "subject [12345]/*"  # built in earnest
CREMAD_SENTENCES = ("DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")


def touch(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def enterface(root: Path, facts: Path, data: Path) -> Path:
    """All published names, links to real clips behind them."""
    clips = itertools.cycle(sorted((data / "real" / "grid").glob("*.mpg")))
    with (facts / "enterface05_1287.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            path = root / row["path_in_archive"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(next(clips).resolve())
    return root


def ckplus(root: Path, facts: Path) -> Path:
    """593 sequences of 18 images, 327 of them labelled."""
    with (facts / "ckplus_327_labelled.csv").open(newline="") as file:
        labelled = {(row["subject"], row["sequence"]): row["code"] for row in csv.DictReader(file)}
    unlabelled = [(f"S{number:03}", "001") for number in range(1000 - 266, 1000)]
    sequences = [*labelled, *[key for key in unlabelled if key not in labelled]]
    touch(root, (f"cohn-kanade-images/{s}/{q}/{s}_{q}_{k:08}.png" for s, q in sequences for k in range(1, 19)))
    for (s, q), code in labelled.items():
        touch(root, [path := f"Emotion/{s}/{q}/{s}_{q}_00000018_emotion.txt"])
        (root / path).write_text(f"   {float(code):.7e}\n")
    return root


def ravdess(root: Path) -> Path:
    """1,440 takes, each with and without sound."""
    takes = [
        f"{channel:02}-{emotion:02}-{strength:02}-{statement:02}-{repetition:02}"
        for channel, emotion, strength, statement, repetition in itertools.product(
            (1,), range(1, 9), (1, 2), (1, 2), (1, 2)
        )
        if (emotion, strength) != (1, 2)
    ]
    actors = range(1, 25)
    return touch(root, (f"Actor_{a:02}/{m}-{take}-{a:02}.mp4" for a in actors for take in takes for m in ("01", "02")))


def cremad(root: Path) -> Path:
    """91 actors; eleven sentences at one level, one at three."""
    emotions = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    endings = [f"{sentence}_{emotion}_XX" for sentence in CREMAD_SENTENCES for emotion in emotions]
    endings += [f"IEO_{emotion}_{level}" for emotion in emotions for level in ("LO", "MD", "HI") if emotion != "NEU"]
    return touch(root, (f"VideoFlash/{actor}_{ending}.flv" for actor in range(1001, 1092) for ending in endings))


def median_s(action: Callable[[], object]) -> float:
    """Median seconds; the first run is for the directory cache."""
    times = []
    for _ in range(1 + REPEATS):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def scans(home: Path, facts: Path, data: Path) -> dict[str, float]:
    roots = {
        "enterface": enterface(home / "enterface", facts, data),
        "ckplus": ckplus(home / "ckplus", facts),
        "ravdess": ravdess(home / "ravdess"),
        "cremad": cremad(home / "cremad"),
    }
    seconds = {}
    for name, root in roots.items():
        n = len(corpora.find(name, root=root).recordings)
        seconds[f"scan {name}, {n:,} recordings, seconds"] = median_s(lambda: corpora.find(name, root=root))  # noqa: B023
    return seconds


def forecast_and_build(home: Path) -> dict[str, float]:
    """Forecast over fact for 150 recordings; the tracks are not in the cache."""
    plan = make_plan(dataset="enterface", root=home / "enterface", select=PART, groups=5)
    told = forecast(plan, out=None, workers=None, rebuild=False, with_calibration=True)
    built = build(plan, out=home / "out", cache=home / "cache", listener=Silent())
    assert told.seconds is not None
    return {
        "frames, forecast / built": told.extent.n_frames / sum(row.n_frames for row in built.rows),
        "clips, forecast / built": told.extent.n_clips / sum(row.n_clips for row in built.rows),
        "bytes, forecast / built": told.shard_bytes / sum(entry.bytes for entry in built.entries),
        "seconds, forecast / built": told.seconds / built.seconds,
    }


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(data: Path, json_file: Path | None) -> None:
    """Make the trees, scan, plan, build a part, and print what came out."""
    facts = data.parent / "facts"
    if not (data / "real").is_dir() or not facts.is_dir():
        raise click.UsageError(f"{data}/real or {facts} is not there; --data names the directory of real face videos")
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        results: dict[str, Measure] = {
            name: (seconds, 1.0, "lower") for name, seconds in scans(home, facts, data).items()
        }
        whole = median_s(
            lambda: forecast(
                make_plan(dataset="enterface", root=home / "enterface"),
                out=None, workers=None, rebuild=False, with_calibration=False,
            )
        )  # fmt: skip
        results["plan of all of enterface without calibration, seconds"] = (whole, 5.0, "lower")
        results |= {name: (ratio, None, "lower") for name, ratio in forecast_and_build(home).items()}
    report(results, json_file)


if __name__ == "__main__":
    main()
