"""What a build looks like in a terminal: a progress line while it runs, a summary at its end."""

from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from fer_prep.build import BuildResult
from fer_prep.corpora import SAMPLE
from fer_prep.ledger import LedgerRow
from fer_prep.plan import fold_warnings
from fer_prep.stopwatch import STAGES, Timings
from fer_prep.stored import ShardEntry
from fer_prep.tables import class_table, narrow, printable, remark_table

FAILURES_SHOWN = 10
DIGEST_SHOWN = 12
SAMPLE_NOTE = (
    "The sample corpus is a warped photograph, for trying the tools: nothing about expressions can be read off it."
)


class _ProgressAndMore(Progress):
    """Progress bars, and below them, a line each, why recordings failed and what the stages have taken."""

    failures, stages = "", ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        for line, style in ((self.failures, "red"), (self.stages, "dim")):
            if line:
                yield Text(line, style=style, no_wrap=True, overflow="ellipsis")


class BuildDisplay:
    """A `Listener` that draws: recordings done, frames per second, failures, time left, seconds by stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = _ProgressAndMore(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
        )
        self._render: TaskID | None = None
        self._task: TaskID | None = None
        self._n_frames = 0
        self._failures: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress.tasks:
            self._progress.stop()

    def rendering(self, done: int, total: int) -> None:
        if self._render is None:
            self._progress.start()
            self._render = self._progress.add_task("rendering", total=total, detail="videos")
        self._progress.update(self._render, completed=done)

    def planned(self, n_recordings: int) -> None:
        self._progress.start()
        self._task = self._progress.add_task("building", total=n_recordings, detail="recordings")

    def recording(self, outcome: Literal["ok", "failed", "kept"], n_frames: int, name: str, reason: str) -> None:
        assert self._task is not None
        if outcome == "failed":
            self._failures[reason.split(":", 1)[0]] += 1
            self._progress.failures = ", ".join(f"{n} {kind}" for kind, n in self._failures.most_common())
        self._n_frames += 0 if outcome == "kept" else n_frames
        elapsed = self._progress.tasks[self._progress.task_ids.index(self._task)].elapsed or 0.0
        speed = f"{self._n_frames / elapsed:.0f} frames/s" if elapsed > 0 else ""
        self._progress.update(self._task, advance=1, detail=f"{speed}  {self._failures.total()} failed")

    def shard(self, outcome: Literal["built", "kept"], entry: ShardEntry) -> None: ...

    def spent(self, timings: Timings) -> None:
        # costliest first: where the terminal is narrow, the others are cut off
        costs = sorted(timings.cpu_s.items(), key=lambda cost: -cost[1])
        self._progress.stages = " · ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in costs)

    def note(self, sentence: str) -> None:
        self._progress.console.print(escape(sentence), highlight=False, soft_wrap=True)

    def fault(self, sentence: str) -> None:
        self.note(sentence)

    def stopped(self, sentence: str) -> None: ...

    def finished(self, n_ok: int, n_skipped: int, n_failed: int, digest: str) -> None:
        self._progress.failures = self._progress.stages = ""  # the tables at the end say more


def print_summary(console: Console, result: BuildResult) -> None:
    """Class × group table, what failed and why, and where the output lies."""
    console, plan = narrow(console), result.plan
    console.print("\nRecordings with clips, by class and group")
    built = Counter((row.label or None, row.group) for row in result.rows if row.status == "ok")
    console.print(class_table(console, built, plan.corpus.classes, plan.group_of))
    for warning in fold_warnings(plan):
        console.print(f"[yellow]{printable(warning)}[/yellow]", highlight=False)
    if plan.corpus.left_out:
        console.print(remark_table("left out, not in the ledger", plan.corpus.left_out))
    counts = Counter(row.status for row in result.rows)
    n_clips = sum(row.n_clips for row in result.rows)
    n_frames = sum(row.n_frames for row in result.rows if row.status != "failed")
    n_detected = sum(row.n_detected for row in result.rows)
    share = f"{n_detected / n_frames:.1%}" if n_frames else "none"
    _print_reasons(console, result.rows)
    console.print(
        f"{counts['ok']} recordings built, {counts['skipped']} without a clip, {counts['failed']} failed: "
        f"{n_clips:,} clips, {n_frames:,} frames, a face found in {share} of them.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    size = sum(entry.bytes for entry in result.entries) / 1e6
    kept = f" ({result.n_kept} kept from before)" if result.n_kept else ""
    speed = f", {result.n_frames_built / result.seconds:.0f} frames/s" if result.n_frames_built else ""
    console.print(
        f"{len(result.entries)} shard{'s' * (len(result.entries) != 1)}{kept}, {size:.1f} MB, in "
        f"{escape(str(result.out))}; "
        f"took {result.seconds:.0f} s{speed}. Digest {result.digest[:DIGEST_SHOWN]}.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if not n_clips:
        why = "the reasons are above, and in ledger.csv"
        console.print(f"[yellow]No clip came of it, and there is nothing to train on: {why}.[/yellow]", soft_wrap=True)
    if result.timings.cpu_s:
        console.print(_stage_table(result))
    if plan.corpus.name == SAMPLE:
        console.print(SAMPLE_NOTE, highlight=False, soft_wrap=True)


def _stage_table(result: BuildResult) -> Table:
    """Where the time of this run went; tracks from the cache cost no decoding, detecting and aligning."""
    table = Table("stage", title="computing, all workers together", title_justify="left")
    for name in ("CPU-seconds", "share", "ms per frame"):
        table.add_column(name, justify="right")
    cpu_s, n_frames = result.timings.cpu_s, result.n_frames_built
    total = sum(cpu_s.values())
    for name, seconds in [*((stage, cpu_s[stage]) for stage in STAGES if stage in cpu_s), ("all", total)]:
        share = f"{seconds / total:.0%}" if total else ""
        table.add_row(name, f"{seconds:,.1f}", share, f"{1000 * seconds / n_frames:.2f}" if n_frames else "")
    return table


def _print_reasons(console: Console, rows: tuple[LedgerRow, ...]) -> None:
    bad = [row for row in rows if row.status != "ok"]
    if not bad:
        return
    table = Table()
    table.add_column("without clips, because")
    table.add_column("recordings", justify="right")
    for (status, kind), n in Counter((row.status, row.kind) for row in bad).most_common():
        table.add_row(f"{status}: {escape(kind)}", str(n))
    console.print(table)
    for row in bad[:FAILURES_SHOWN]:
        console.print(f"  {escape(row.recording)}: {escape(row.reason)}", highlight=False, soft_wrap=True)
    if len(bad) > FAILURES_SHOWN:
        console.print(f"  … and {len(bad) - FAILURES_SHOWN} more; all are in ledger.csv", highlight=False)
