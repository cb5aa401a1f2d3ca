"""A build with fake tasks, in a process of its own: `fer_prep.build.build` as it is, but for what its workers do.

    python -m lib.simulated MANIFEST OUT CACHE --scheduler tcp://HOST:PORT [--dry-run] [--profile FILE]

Prints one JSON object of seconds.
"""

import cProfile
import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import click

from fer_prep import build as building
from fer_prep.dry_run import rehearse
from fer_prep.listener import Silent
from fer_prep.pipeline import Pipeline
from fer_prep.plan import Plan, make_plan
from fer_prep.stored import ShardEntry
from lib.fakes import SIDE, fake_align, fake_shard


class Clock(Silent):
    """Notes when things happened."""

    def __init__(self) -> None:
        self.begin, self.at = time.perf_counter(), dict[str, float]()

    def planned(self, n_recordings: int) -> None:
        self._note("work begins")

    def shard(self, outcome: Literal["built", "kept"], entry: ShardEntry) -> None:
        if "first shard" not in self.at:
            self._note("first shard")
        self._note("last shard")

    def finished(self, n_ok: int, n_skipped: int, n_failed: int, digest: str) -> None:
        self._note("finished")

    def _note(self, what: str) -> None:
        self.at[what] = time.perf_counter() - self.begin


def simulate(plan: Plan, *, out: Path, cache: Path, scheduler: str) -> dict[str, float]:
    """Seconds after the start of the build at which things happened; how large batches were, what was kept."""
    clock = Clock()

    def pipeline(*arguments: Any, batch_size: int, **others: Any) -> Pipeline:
        clock.at["batch size"] = batch_size
        return Pipeline(*arguments, batch_size=batch_size, align=fake_align, build=fake_shard, **others)

    with patch.object(building, "Pipeline", pipeline):
        result = building.build(plan, out=out, cache=cache, scheduler=scheduler, listener=clock)
    return {**clock.at, "kept": float(result.n_kept)}


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("cache", type=click.Path(path_type=Path))
@click.option("--scheduler", required=True)
@click.option("--dry-run", is_flag=True)
@click.option("--profile", "profile_file", type=click.Path(path_type=Path))
def main(manifest: Path, out: Path, cache: Path, scheduler: str, dry_run: bool, profile_file: Path | None) -> None:
    """Plan, then build or rehearse."""
    profile = cProfile.Profile() if profile_file else None
    with profile or nullcontext():
        begin = time.perf_counter()
        plan = make_plan(dataset="manifest", manifest=manifest, aligner="mesh", face_size=SIDE)
        seconds = {"plan": time.perf_counter() - begin}
        begin = time.perf_counter()
        if dry_run:
            rehearse(plan, out=out, workers=None, rebuild=False)
            seconds["dry run"] = time.perf_counter() - begin
        else:
            seconds |= simulate(plan, out=out, cache=cache, scheduler=scheduler)
    if profile is not None and profile_file is not None:
        profile.dump_stats(profile_file)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
