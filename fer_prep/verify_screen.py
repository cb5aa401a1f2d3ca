"""What `fer-prep verify` looks like in a terminal: a progress line while it runs, then one line, or what is wrong."""

import textwrap
from itertools import groupby
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fer_prep.tables import count, narrow, printable
from fer_prep.verify.result import Verification

SENTENCES_SHOWN, REMARKS_SHOWN = 20, 10


class VerifyDisplay:
    """A `Listener` that draws: files done, MB/s, damaged ones, time left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("checking"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._n_files = self._n_done = self._n_damaged = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begun(self, n_files: int, n_bytes: int) -> None:
        self._n_files = n_files
        self._task = self._progress.add_task("", total=n_bytes, detail=self._detail())

    def checked_bytes(self, n_bytes: int) -> None:
        assert self._task is not None
        self._progress.update(self._task, advance=n_bytes, detail=self._detail())

    def checked_file(self, n_findings: int) -> None:
        assert self._task is not None
        self._n_done += 1
        self._n_damaged += n_findings > 0
        self._progress.update(self._task, detail=self._detail())

    def _detail(self) -> str:
        task = next(iter(self._progress.tasks), None)
        speed = f"  {task.completed / task.elapsed / 1e6:.0f} MB/s" if task is not None and task.elapsed else ""
        damaged = f"[red]{self._n_damaged} damaged[/red]" if self._n_damaged else "0 damaged"
        return f"{self._n_done}/{self._n_files} shards{speed}  {damaged}"


def print_verification(console: Console, result: Verification) -> None:
    """One line if all is good; else every file with what is wrong, and what mends it."""
    console = narrow(console)
    for remark in result.remarks[:REMARKS_SHOWN]:
        console.print(printable(f"Remark: {remark}."), highlight=False, soft_wrap=not console.is_terminal)
    if len(result.remarks) > REMARKS_SHOWN:
        console.print(f"… and {len(result.remarks) - REMARKS_SHOWN} more such files", highlight=False)
    extent = (
        f"{count(result.n_shards, 'shard')}, {count(result.n_recordings, 'recording')}, "
        f"{count(result.n_frames, 'frame')}, {_megabytes(result.n_bytes)}"
    )
    took = f"({result.seconds:.0f} s)"
    if not result.findings:
        what = "sizes and hashes as in the index" if result.quick else "all good"
        console.print(f"{extent}: {what} {took}", highlight=False, soft_wrap=not console.is_terminal)
        return
    n_files = len({finding.file for finding in result.findings})
    for file, of_file in groupby(result.findings, key=lambda finding: finding.file):
        sentences = [finding.sentence for finding in of_file]
        console.print(f"[bold]{printable(file)}[/bold]", highlight=False, soft_wrap=True)
        for sentence in sentences[:SENTENCES_SHOWN]:
            _print_indented(console, sentence)
        if len(sentences) > SENTENCES_SHOWN:
            _print_indented(console, f"… and {len(sentences) - SENTENCES_SHOWN} more")
    console.print(
        f"{extent}: [red]{count(len(result.findings), 'finding')}[/red] in {count(n_files, 'file')} {took}"
        if result.n_shards
        else f"[red]{count(len(result.findings), 'finding')}[/red]; no shard was checked",
        highlight=False,
        soft_wrap=not console.is_terminal,
    )  # fmt: skip
    console.print(printable(_advice(result)), highlight=False, soft_wrap=not console.is_terminal)


def _megabytes(n_bytes: int) -> str:
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:.0f} kB"
    return f"{n_bytes / 1e6:,.0f} MB" if n_bytes >= 1e7 else f"{n_bytes / 1e6:.1f} MB"


def _print_indented(console: Console, sentence: str) -> None:
    text = f"  {sentence}"
    if console.is_terminal:
        text = textwrap.fill(
            sentence, console.width, initial_indent="  ", subsequent_indent="    ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
    console.print(printable(text), highlight=False, soft_wrap=True)


def _advice(result: Verification) -> str:
    if result.newer:
        return "→ Install the fer-prep that wrote it, or a newer one."
    build = "the same fer-prep build again: what is damaged or missing is built anew, whole shards are kept."
    if result.ledger_lost:
        build = (
            "the same fer-prep build again: without a ledger it builds every shard anew, from the faces in its cache."
        )
    if not result.delete_first:
        return f"→ Run {build}"
    shown = ", ".join(result.delete_first[:5])
    more = f" and {len(result.delete_first) - 5} more" if len(result.delete_first) > 5 else ""
    return f"→ Delete {shown}{more}, then run {build}"
