"""What running several recordings in one OpenFace process saves, by processes and by seconds.

OpenFace itself is not needed: the tests' stand-in sleeps for a start-up of known length and replays recorded output. So
the share of the start-up is measured, and the speed of the alignment itself is not.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from fer_prep.align.mesh import MeshFinder
from fer_prep.align.openface.batch import Wanted, align_batch
from fer_prep.align.openface.program import with_model
from fer_prep.plan import best_batch_size
from fer_prep.recipe import AlignRecipe

TESTS = Path(__file__).parents[1] / "tests" / "openface"
STARTUPS_S = {"CLNF": 0.8, "CE-CLM": 8.0}  # CLNF: measured on OpenFace 2.0.6; CE-CLM: assumed, it was not measured
CORPUS, MEASURED = 1287, 24  # recordings
WORKERS = 2


def measure(home: Path, data: Path, startup_s: float) -> dict[str, float]:
    """Processes and seconds of MEASURED recordings, one by one and in batches, on one core."""
    sys.path.insert(0, str(TESTS))
    from standin_install import install, runs

    golden = data.parent / "openface" / "golden"
    program = install(home / f"of{startup_s}", golden=golden, data=data, play={"startup_s": startup_s})
    openface = with_model(program.resolve(), "clnf")
    # one frame is hardly any work: what is left is the start-up
    clips = [Wanted(Path(shutil.copy(data / "edge/one_frame.mp4", home / f"{k}.mp4"))) for k in range(MEASURED)]
    recipe, finder = AlignRecipe(backend="openface", landmark_model="clnf"), MeshFinder()
    align_batch(clips[:1], openface, recipe, finder)
    n_before = len(runs(program))
    begin = time.perf_counter()
    for clip in clips:
        align_batch([clip], openface, recipe, finder)
    singly_s, n_singly = time.perf_counter() - begin, len(runs(program)) - n_before
    size = min(best_batch_size(startup_s, CORPUS, WORKERS), MEASURED)
    begin = time.perf_counter()
    for first in range(0, MEASURED, size):
        align_batch(clips[first : first + size], openface, recipe, finder)
    batched_s, n_batched = time.perf_counter() - begin, len(runs(program)) - n_before - n_singly
    whole = best_batch_size(startup_s, CORPUS, WORKERS)
    processes = -(-CORPUS // whole)
    return {
        "recordings in a batch of the corpus": whole,
        f"processes for {MEASURED} recordings, one by one": n_singly,
        f"processes for {MEASURED} recordings, in batches": n_batched,
        f"seconds for {MEASURED} recordings, one by one": singly_s,
        f"seconds for {MEASURED} recordings, in batches": batched_s,
        f"processes for {CORPUS} recordings": processes,
        f"CPU minutes of starting saved on {CORPUS} recordings": (CORPUS - processes) * startup_s / 60,
    }


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared/data"))
@click.option("--json", "json_file", type=click.Path(path_type=Path))
def main(data: Path, json_file: Path | None) -> None:
    """Measure both start-ups and print the table."""
    if not (data.parent / "openface").is_dir():
        raise click.UsageError(f"{data.parent}/openface is not there; it holds the recorded output of OpenFace")
    os.environ.pop("STANDIN_PLAY", None)
    table = Table("measure", *STARTUPS_S)
    with tempfile.TemporaryDirectory() as home:
        results = {name: measure(Path(home), data.resolve(), startup_s) for name, startup_s in STARTUPS_S.items()}
    for measured in next(iter(results.values())):
        table.add_row(measured, *(f"{results[name][measured]:,.1f}" for name in STARTUPS_S))
    Console().print(table)
    if json_file:
        values = {
            f"{name}: {measured}": {"value": value, "goal": None, "better": "lower"}
            for name, measures in results.items()
            for measured, value in measures.items()
        }
        json_file.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
