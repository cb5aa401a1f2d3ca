"""100,000 recordings through the real graph with fake tasks: what planning, the driver, the scheduler and a rerun cost.

    python benchmarks/simulation.py [--json FILE] [--recordings N] [--profile DIR]

Files are real and tiny, subjects uneven: the largest of 2,000 has some ninety times the recordings of the smallest.
Nothing is aligned, a shard holds one black frame for each recording; all else is a build on a Dask cluster of this
machine. Memory is measured in fresh processes.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
from lib.own_cluster import ENVIRONMENT, HERE, Watch, own_cluster
from lib.report import Measure, report

PER_SUBJECT = 50  # on average
LINKS = 20_000  # of one file: file systems allow so many names
WORKERS = 4  # of one thread each
SMALLER = 10  # times: what grows is seen by comparing
LOOK_S = 0.05
ROUNDTRIP_S = 1.0  # a scheduler that answers slower feels dead


@dataclass(frozen=True)
class Run:
    """One driver process.

    Attributes:
        seconds: what it says of itself.
        peak_mb: of its memory, as seen from outside.
        cpu_s: computing of all its threads.
    """

    seconds: dict[str, float]
    peak_mb: float
    cpu_s: float


def uneven(n_recordings: int) -> list[int]:
    """Recordings of each subject; many for a few, few for many."""
    n_subjects = max(1, n_recordings // PER_SUBJECT)
    weights = [(k + 1) ** -0.5 for k in range(n_subjects)]
    total = sum(weights)
    sizes = [max(1, int(n_recordings * weight / total)) for weight in weights]
    return [sizes[0] + n_recordings - sum(sizes), *sizes[1:]]


def corpus(home: Path, n_recordings: int) -> Path:
    """A manifest, and its files: many names for few tiny files."""
    home.mkdir()
    rows = [
        (f"{subject:05}/{k:05}.avi", f"p{subject}") for subject, n in enumerate(uneven(n_recordings)) for k in range(n)
    ]
    with (home / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "subject", "label"))
        for number, (name, subject) in enumerate(rows):
            original, path = home / f"{number // LINKS}.avi", home / name
            if number % LINKS == 0:
                original.write_bytes(bytes([number // LINKS]) * 2000)
            path.parent.mkdir(exist_ok=True)
            path.hardlink_to(original)
            writer.writerow((name, subject, ("anger", "fear", "joy")[number % 3]))
    return home / "manifest.csv"


def drive(manifest: Path, home: Path, address: str, profile: Path | None, *options: str) -> Run:
    """Run the driver and watch its memory."""
    words: Sequence[object] = [sys.executable, "-m", "lib.simulated", manifest, home / "out", home / "cache"]
    command = [*map(str, words), "--scheduler", address, *options]
    if profile is not None:
        command += ["--profile", str(profile)]
    peak_mb = cpu_s = 0.0
    with subprocess.Popen(command, env=ENVIRONMENT, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        driver = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.Error):
                peak_mb = max(peak_mb, driver.memory_info().rss / 1e6)
                cpu_s = sum(driver.cpu_times()[:2])
            time.sleep(LOOK_S)
        output = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
    return Run(json.loads(output), peak_mb, cpu_s)


def simulate(n: int, home: Path, profiles: Path | None) -> tuple[dict[str, Measure], float]:
    """Build, build again, rehearse; what it took, and the driver's memory in the first build."""
    manifest = corpus(home, n)

    def profile(what: str) -> Path | None:
        return profiles / f"{what.replace(' ', '-')}-{n}.prof" if profiles else None

    with own_cluster(workers=WORKERS) as (address, pid):
        with Watch(address, pid) as watch:
            first = drive(manifest, home, address, profile("build"))
        again = drive(manifest, home, address, profile("build again"))
        rehearsal = drive(manifest, home, address, profile("dry run"), "--dry-run")
    seconds, out = first.seconds, home / "out"
    working_s = seconds["last shard"] - seconds["work begins"]
    n_tasks = -(-n // seconds["batch size"]) + len(uneven(n))
    measures: dict[str, Measure] = {
        "subjects": (len(uneven(n)), None, "higher"),
        "plan, s": (seconds["plan"], None, "lower"),
        "build, s": (seconds["finished"], None, "lower"),
        "recordings/s": (n / working_s, None, "higher"),
        "tasks/s": (n_tasks / working_s, None, "higher"),
        "computing of the driver, ms per task": (1000 * first.cpu_s / n_tasks, None, "lower"),
        "computing of the scheduler, ms per task": (1000 * watch.cpu_s / n_tasks, None, "lower"),
        "until work begins, s": (seconds["work begins"], None, "lower"),
        "first shard after, s": (seconds["first shard"], None, "lower"),
        "ledger, index and digest at the end, s": (seconds["finished"] - seconds["last shard"], None, "lower"),
        "tasks that the scheduler knows, most": (max(watch.tasks), 8.0 * WORKERS, "lower"),
        "roundtrip to the scheduler meanwhile, median s": (watch.median_s, None, "lower"),
        "roundtrip to the scheduler meanwhile, worst s": (max(watch.roundtrips_s), ROUNDTRIP_S, "lower"),
        "memory of the driver, MB": (first.peak_mb, None, "lower"),
        "memory of the scheduler, MB": (max(watch.memory_mb), None, "lower"),
        "index.json, MB": ((out / "index.json").stat().st_size / 1e6, None, "lower"),
        "ledger.csv, MB": ((out / "ledger.csv").stat().st_size / 1e6, None, "lower"),
        "all kept: build again, s": (again.seconds["finished"], None, "lower"),
        "all kept: memory of the driver, MB": (again.peak_mb, None, "lower"),
        "all kept: dry run, s": (rehearsal.seconds["dry run"], None, "lower"),
    }
    if again.seconds["kept"] != len(uneven(n)):
        raise RuntimeError(f"{again.seconds['kept']:.0f} shards were kept, not {len(uneven(n))}")
    return {f"{n:,}: {name}": measure for name, measure in measures.items()}, first.peak_mb


@click.command()
@click.option("--json", "json_file", type=click.Path(path_type=Path))
@click.option("--recordings", default=100_000, help="How many; a tenth of it is measured too.")
@click.option("--profile", "profiles", type=click.Path(path_type=Path), help="Leave profiles of the drivers there.")
def main(json_file: Path | None, recordings: int, profiles: Path | None) -> None:
    """Simulate, and print what came out."""
    if profiles is not None:
        profiles.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        few, few_mb = simulate(recordings // SMALLER, Path(temporary, "few"), profiles)
        many, many_mb = simulate(recordings, Path(temporary, "many"), profiles)
    kb = 1000 * (many_mb - few_mb) / (recordings - recordings // SMALLER)
    report(few | many | {"memory of the driver that a recording adds, kB": (kb, None, "lower")}, json_file)


if __name__ == "__main__":
    main()
