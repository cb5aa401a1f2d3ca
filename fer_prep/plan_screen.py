"""What `fer-prep plan` and `fer-prep datasets` look like in a terminal."""

import shutil
from collections import Counter
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from fer_prep.corpora import usual_root
from fer_prep.forecast import Existing, Forecast
from fer_prep.inventory import Finding
from fer_prep.plan import Plan, fold_warnings
from fer_prep.stages import track_cache
from fer_prep.tables import class_table, count, narrow, printable, remark_table

REASONS_SHOWN = 10


def print_plan(console: Console, forecast: Forecast, *, out: Path | None, cache: Path | None) -> None:
    """All of a plan that fits a screen; `--json` has the rest."""
    console, plan = narrow(console), forecast.plan
    corpus = plan.corpus

    def say(sentence: str) -> None:
        console.print(sentence, highlight=False)

    say(f"{printable(corpus.name)} in {printable(str(corpus.root))}: {_size(plan)}")
    n_of = Counter((recording.label, plan.group_of[recording.subject]) for recording in corpus.recordings)
    console.print(class_table(console, n_of, corpus.classes, plan.group_of))
    for warning in fold_warnings(plan):
        say(f"[yellow]{printable(warning)}[/yellow]")
    for heading, remarks in (
        ("irregularities, taken as said", corpus.irregularities),
        ("left out", corpus.left_out),
        ("[red]will fail[/red]", forecast.will_fail),
    ):
        if remarks:
            console.print(remark_table(heading, remarks))
    say("")
    for sentence in (
        printable(plan.aligner.says),
        _extent(forecast),
        _disk(forecast, out, track_cache(cache)),
        _time(forecast),
    ):
        say(sentence)
    if forecast.existing is not None and out is not None:
        _print_existing(console, forecast.existing, out)


def print_inventory(console: Console, findings: list[Finding]) -> None:
    """Which corpora there are, and where they are."""
    console = narrow(console)
    place = printable(str(usual_root("DATASET")))
    console.print(
        f"Looked for in {place}; --root names another directory, $FER_DATA another home for all.", highlight=False
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("--dataset", "corpus", "found"):
        table.add_column(name)
    for finding in findings:
        colour = "green" if finding.found else "yellow"
        table.add_row(
            finding.name, printable(finding.title), f"[{colour}]{printable(finding.found or finding.not_found)}"
        )
    console.print(table)
    for finding in findings:
        if finding.complaint:
            console.print(printable(f"{finding.name}: {finding.complaint}"), highlight=False)


def _size(plan: Plan) -> str:
    corpus = plan.corpus
    return (
        f"{count(len(corpus.recordings), 'recording')} of {count(len(plan.group_of), 'subject')} "
        f"in {count(plan.n_groups, 'group')}, {len(corpus.classes)} classes"
    )


def _extent(forecast: Forecast) -> str:
    extent, clips = forecast.extent, forecast.plan.recipe.clips
    n = len(forecast.plan.corpus.recordings)
    if extent.n_read == 0:
        return "No recording says how long it is: clips, disk and time cannot be foretold."
    read = "all recordings" if extent.n_read == n else f"{extent.n_read} of {n:,} recordings"
    return (
        f"Expected: {extent.n_clips:,} clips of {clips.length} frames every {clips.stride}, from {extent.n_frames:,} "
        f"frames, by the declared lengths of {read}, if every frame has a face."
    )


def _disk(forecast: Forecast, out: Path | None, cache: Path) -> str:
    compressed = "" if forecast.calibration and forecast.calibration.n_frames else " at most, uncompressed"
    shards = f"{_gigabytes(forecast.shard_bytes)} of shards{compressed}"
    place = f" in {out} ({_free(out)})" if out is not None else ""
    faces = f"{_gigabytes(forecast.cache_bytes)} of aligned faces in the cache {cache} ({_free(cache)})"
    return printable(f"Disk: {shards}{place}; {faces}.")


def _time(forecast: Forecast) -> str:
    trial = forecast.calibration
    if trial is None:
        return "Time: not measured."
    if forecast.seconds is None:
        return f"Time: not known; none of {count(len(trial.will_fail), 'recording')} could be built for trial."
    per_frame_ms = 1000 * trial.seconds / trial.n_frames
    return (
        f"Time: about {_duration(forecast.seconds)} on {count(forecast.workers, 'worker')}, less where the cache "
        f"helps; {count(trial.n_recordings, 'recording')} built for trial took {per_frame_ms:.1f} ms a frame on one "
        "core."
    )


def _print_existing(console: Console, existing: Existing, out: Path) -> None:
    def say(sentence: str) -> None:
        console.print(printable(sentence), highlight=False)

    if existing.other_recipe:
        say(
            f"{out} holds shards of another recipe ({'; '.join(existing.other_recipe)}): a build refuses, "
            "or replaces them all with --rebuild."
        )
        return
    say(
        f"{out}: {count(len(existing.kept), 'shard')} kept, {len(existing.rebuilt):,} built anew, "
        f"{len(existing.new):,} new."
    )
    for name in existing.orphaned[:REASONS_SHOWN]:
        say(f"  {name} belongs to no recording any more; it stays, and will not be in the index")
    for name, reason in existing.rebuilt[:REASONS_SHOWN]:
        say(f"  {name} is built anew: {reason}")
    if len(existing.rebuilt) > REASONS_SHOWN:
        say(f"  … and {len(existing.rebuilt) - REASONS_SHOWN} more; --json FILE has them all")


def _free(directory: Path) -> str:
    """Free space where a directory is, or will be."""
    there = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    return f"{_gigabytes(shutil.disk_usage(there).free)} free"


def _gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
