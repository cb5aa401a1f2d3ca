"""What a training run says on the terminal, or in a log file."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text
from torch import nn

from fer_model.build import computes_bf16
from fer_model.checkpoint import Progress
from fer_model.config import TrainConfig
from fer_model.folds import ClipRef, Fold, absent_classes
from fer_model.index import Index
from fer_model.memory import FramesPlace
from fer_model.network import flops_per_clip, n_parameters
from fer_model.results import BestEpoch, Epoch, Result

CPU_GFLOP = 20.0
"""Above this, per clip forward, an epoch of a small corpus takes hours on a CPU."""


class Terminal:
    """Says in plain lines what happens; where a person watches, a progress bar takes the place of most of them."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def line(self, text: str, *, style: str = "") -> None:
        """One line, as it is: names from files are no markup."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def start(
        self,
        index: Index,
        parts: Fold,
        config: TrainConfig,
        network: nn.Module,
        *,
        fold: int,
        device: torch.device,
        note: str | None,
    ) -> None:
        """What will be trained on what, and which classes are missing."""
        gflop = flops_per_clip(network, clip_length=index.clip_length) / 1e9
        self.line(
            f"{index.corpus}, fold {fold} of {index.n_groups}: {config.name} network, preset {config.preset}, "
            f"{n_parameters(network):,} parameters, {gflop:.2f} GFLOP per clip forward, on {device}"
        )
        self.too_slow(config, gflop=gflop, device=device)
        if note:
            self.line(f"note: {note}", style="yellow")
        sets = {"training": parts.train, "validation": parts.validation, "test": parts.test}
        sets = {name: refs for name, refs in sets.items() if refs}
        self.console.print(class_table(sets, index.classes))
        for name, refs in sets.items():
            absent = absent_classes(refs, index.classes)
            if absent:
                self.line(f"warning: no {name} clip of {', '.join(absent)}", style="yellow")

    def too_slow(self, config: TrainConfig, *, gflop: float, device: torch.device) -> None:
        """Warn of a network that takes `gflop` per clip forward, where that is too much for the device."""
        if device.type == "cpu" and gflop > CPU_GFLOP:
            self.line("warning: this network is too large for a CPU; --preset small is made for one", style="yellow")
        if config.precision == "bf16" and not computes_bf16(device):
            self.line(
                f"warning: {device} has no 16-bit arithmetic and is very slow at it; take --precision fp32",
                style="yellow",
            )

    def step(self, *, n_clips: int, step_bytes: int, free_bytes: int, compiled: bool, has_layers: bool) -> None:
        """Say what a step will take on this device."""
        self.line(
            f"a step of {n_clips} clips takes about {step_bytes / 1e6:,.0f} MB"
            + ("; the first one compiles, which takes minutes" if compiled else "")
        )
        if step_bytes > free_bytes:
            take = "--checkpoint-layers or a smaller --batch-size" if has_layers else "a smaller --batch-size"
            self.line(f"warning: {free_bytes / 1e6:,.0f} MB are free; take {take}", style="yellow")

    def devices(self, *, batch_size: int, n_devices: int) -> None:
        """Say how the clips of a step are divided among devices, where there are several."""
        if n_devices == 1:
            return
        parts = [len(part) for part in torch.tensor_split(torch.arange(batch_size), n_devices)]  # as Ranks.share
        self.line(f"batch {batch_size}: {' + '.join(map(str, parts))} clips on {n_devices} devices")
        if 0 in parts:
            self.line(
                f"warning: {parts.count(0)} of {n_devices} devices have no clip; give a larger --batch-size "
                "or fewer devices",
                style="yellow",
            )

    def data(self, place: FramesPlace, *, needed_bytes: int) -> None:
        """Say where the clips come from."""
        size = f"{needed_bytes / 1e6:,.0f} MB"
        self.line(
            {
                "device": f"clips come from the memory of the training device, {size}",
                "ram": f"clips come from memory, {size}",
                "disk": f"clips come from disk; in memory, they are {size}",
            }[place]
        )

    @contextmanager
    def checking(self) -> Iterator[Callable[[int, int], None]]:
        """Show how far the checking of files is: to be told how many bytes of how many."""
        with self._bar("checking shards") as bar:
            task = bar.add_task("", total=None)
            yield lambda n_bytes, total: bar.update(task, completed=n_bytes, total=total)

    def loading(self, frames: Iterable[int], *, n_frames: int) -> None:
        """Show how far the reading of frames is."""
        with self._bar("reading frames") as bar:
            task = bar.add_task("", total=n_frames)
            for n in frames:
                bar.advance(task, n)

    def _bar(self, what: str) -> Bar:
        return Bar(
            TextColumn(what), BarColumn(), TimeRemainingColumn(),
            console=self.console, transient=True, disable=not self.console.is_terminal,
        )  # fmt: skip

    @contextmanager
    def training(self, progress: Progress, *, n_epochs: int) -> Iterator["TrainingBar"]:
        """Show how far the training is."""
        n_done = progress.epoch * progress.n_steps + progress.step
        with Bar(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[n_epochs]}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:.1f} clips/s "),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as bar:
            task = bar.add_task(
                "", total=n_epochs * progress.n_steps, completed=n_done,
                epoch=progress.epoch + 1, n_epochs=n_epochs, loss=float("nan"), rate=0.0,
            )  # fmt: skip
            yield TrainingBar(self, bar, task, n_epochs=n_epochs)

    def finish(self, result: Result) -> None:
        """The result and where it lies."""
        video, clip = result.video, result.clip
        frequent = max(sum(row) for row in video.confusion_KK) / video.n
        self.console.print(confusion_table(video.confusion_KK, result.classes))
        self.line(f"recordings  {video.accuracy:6.1%} of {video.n} right, UAR {video.uar:.1%}", style="bold")
        self.line(f"clips       {clip.accuracy:6.1%} of {clip.n} right, UAR {clip.uar:.1%}")
        if result.best_epoch is not None:
            self.line(best_epoch_line(result.best_epoch), style="yellow")
        self.line(
            f"chance      {1 / len(result.classes):6.1%}; always the most frequent of the test classes: {frequent:.1%}"
        )
        if result.note:
            self.line(f"note: {result.note}", style="yellow")
        self.line(f"trained in {result.seconds:.0f} s; figures, predictions and weights: {result.run.path}")


def best_epoch_line(best: BestEpoch) -> str:
    """What the best epoch on the test fold is, and is not."""
    return (
        f"best epoch on the test fold: {best.epoch}, {best.video_accuracy:.1%}: "
        "not a result, it is chosen on what it is measured on"
    )


class TrainingBar:
    """Takes reports from the training loop; in a log file, each epoch is a line."""

    def __init__(self, terminal: Terminal, bar: Bar, task: TaskID, *, n_epochs: int) -> None:
        self.terminal, self.bar, self.task, self.n_epochs = terminal, bar, task, n_epochs

    def step_done(self, progress: Progress, *, n_clips: int) -> None:
        """A step was made; `n_clips` are done in this epoch."""
        self.bar.update(
            self.task, advance=1, epoch=progress.epoch + 1,
            loss=progress.loss_sum / n_clips, rate=n_clips / progress.seconds,
        )  # fmt: skip

    def epoch_done(self, row: Epoch) -> None:
        """An epoch is complete and saved."""
        if row.validation_video_accuracy is None:
            validation = ""
        else:
            validation = f"  validation loss {row.validation_loss:.3f}, right {row.validation_video_accuracy:.1%}"
        left_s = (self.n_epochs - row.epoch) * row.seconds
        self.terminal.line(
            f"epoch {row.epoch:3}/{self.n_epochs}  loss {row.loss:.3f}{validation}  {row.clips_per_s:.1f} clips/s, "
            f"waited {row.waited_s:.1f} of {row.seconds:.1f} s for clips  "
            f"{int(left_s) // 60}:{int(left_s) % 60:02} left"
        )


def class_table(sets: Mapping[str, Sequence[ClipRef]], classes: Sequence[str]) -> Table:
    """Recordings and clips of each class in each set."""
    table = Table(box=None, pad_edge=False)
    table.add_column("recordings/clips")
    for name in sets:
        table.add_column(name, justify="right")
    clips = {name: Counter(ref.label for ref in refs) for name, refs in sets.items()}
    recordings = {
        name: Counter(label for _, label in {(ref.clip.recording.id, ref.label) for ref in refs})
        for name, refs in sets.items()
    }
    for i, class_ in enumerate(classes):
        table.add_row(Text(class_), *(f"{recordings[name][i]}/{clips[name][i]}" for name in sets))
    table.add_row("all", *(f"{recordings[name].total()}/{clips[name].total()}" for name in sets), style="bold")
    return table


def confusion_table(confusion_KK: Sequence[Sequence[int]], classes: Sequence[str]) -> Table:
    """Counts of recordings: rows are true classes, columns decisions."""
    table = Table(box=None, pad_edge=False)
    table.add_column("true \\ decided")
    for class_ in classes:
        table.add_column(Text(class_), justify="right")
    for class_, row in zip(classes, confusion_KK, strict=True):
        table.add_row(Text(class_), *map(str, row))
    return table
