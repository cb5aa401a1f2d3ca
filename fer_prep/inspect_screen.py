"""What `fer-prep inspect` looks like in a terminal of 80 columns."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_prep.clip_reader import UNLABELLED, RecordingRow
from fer_prep.inspect import ClipSummary, DatasetFacts, ShardSummary
from fer_prep.legible import legible
from fer_prep.tables import count, narrow

RECORDINGS_SHOWN, LONGEST_ID, LONGEST_CLASS = 20, 60, 24


def print_inspection(console: Console, summary: ShardSummary | ClipSummary) -> None:
    """All of a shard that fits a screen, or the facts of a clip."""
    console = narrow(console)
    if isinstance(summary, ClipSummary):
        _print_clip(console, summary)
    else:
        _print_shard(console, summary)


def _print_shard(console: Console, summary: ShardSummary) -> None:
    facts = summary.facts
    every = f"{count(facts.clip_length, 'frame')} every {facts.clip_stride}"
    tools = [f"{name} {value}" for name, value in facts.versions.items() if not isinstance(value, dict)]
    tools += [count(len(files), "model file") for files in facts.versions.values() if isinstance(files, dict)]
    _print_pairs(
        console,
        [
            ("shard", summary.path.name),
            ("corpus", facts.corpus),
            ("subject", f"{legible(facts.subject)}, in group {facts.group}"),
            ("classes", ", ".join(facts.classes)),
            ("aligner", facts.aligner),
            ("clips", f"{summary.n_clips:,} of {every}"),
            ("tools", ", ".join(tools)),
            ("key", facts.key),
        ],
    )
    console.print(_dataset_table(summary.datasets))
    unchecked = [legible(dataset.name) for dataset in summary.datasets if not dataset.checked]
    console.print(
        f"Without checksums: {escape(', '.join(unchecked))}." if unchecked else "All have checksums (fletcher32).",
        highlight=False,
    )
    console.print(_recording_table(summary.recordings, facts.classes))
    if len(summary.recordings) > RECORDINGS_SHOWN:
        console.print(f"… and {len(summary.recordings) - RECORDINGS_SHOWN:,} more recordings", highlight=False)


def _print_pairs(console: Console, pairs: list[tuple[str, str]]) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(f"[bold]{name}[/bold]", escape(legible(value)))
    console.print(grid, highlight=False)


def _dataset_table(datasets: tuple[DatasetFacts, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("dataset", overflow="fold")
    table.add_column("type", overflow="fold")
    table.add_column("shape", justify="right", overflow="fold")
    table.add_column("chunk", justify="right", no_wrap=True)
    table.add_column("filter", overflow="fold")
    for name in ("MB", "raw MB", "ratio"):
        table.add_column(name, justify="right", no_wrap=True)
    for dataset in datasets:
        ratio = f"{dataset.stored_bytes / dataset.raw_bytes:.0%}" if dataset.raw_bytes else "–"
        table.add_row(
            escape(legible(dataset.name.removeprefix("frames/"))), dataset.type, "×".join(map(str, dataset.shape)),
            str(dataset.chunk or "–"), dataset.filter, f"{dataset.stored_bytes / 1e6:,.2f}",
            f"{dataset.raw_bytes / 1e6:,.2f}", ratio,
        )  # fmt: skip
    return table


def _recording_table(recordings: tuple[RecordingRow, ...], classes: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("recording", overflow="fold")
    table.add_column("class", overflow="fold")
    for name in ("frames", "seconds", "faces", "clips"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in recordings[:RECORDINGS_SHOWN]:
        name = classes[row.label] if row.label >= 0 else UNLABELLED
        table.add_row(
            escape(legible(row.id, longest=LONGEST_ID)), escape(legible(name, longest=LONGEST_CLASS)),
            f"{row.n_frames:,}", f"{row.n_frames / row.fps:.1f}" if row.fps > 0 else "–",
            f"{int(100 * row.n_detected / max(row.n_frames, 1))}%", f"{row.n_clips:,}",
        )  # fmt: skip
    return table


def _print_clip(console: Console, summary: ClipSummary) -> None:
    clip, row = summary.clip, summary.clip.recording
    last = clip.first_frame + clip.n_valid - 1
    frames = f"{clip.first_frame} to {last} of 0 to {row.n_frames - 1}"
    padded = len(clip.rgb_THWC) - clip.n_valid
    if padded:
        frames += f"; the last one is repeated {count(padded, 'time')}"
    time = f"{clip.first_frame / row.fps:.2f} to {(last + 1) / row.fps:.2f} s, at {row.fps:g} frames per second"
    pairs = [
        ("clip", str(clip.number)),
        ("recording", row.id),
        ("class", summary.class_name),
        ("frames", frames),
        ("time", time if row.fps > 0 else "not known: the recording does not say its frames per second"),
        ("faces", f"found in {summary.n_detected} of {count(clip.n_valid, 'frame')}"),
        ("flow", f"{summary.mean_flow_px:.3f} pixels per frame on average"),
    ]
    if summary.out is not None:
        pairs.append(("written", f"{summary.out}; full colour: {summary.full_px:g} pixels per frame"))
    _print_pairs(console, pairs)
