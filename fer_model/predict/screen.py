"""What a prediction says on the terminal."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from fer_model.evaluate import Scores
from fer_model.predict.decisions import Decision, Part, Unread
from fer_model.predict.judged import meaning
from fer_model.terminal import confusion_table
from fer_model.trained import Trained

RECORDINGS_SHOWN = 20


class Screen:
    """Says in plain lines what happens, and shows how far it is where a person watches."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def line(self, text: str, *, style: str = "") -> None:
        """One line, as it is: names from files are no markup."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    @contextmanager
    def doing(self, what: str, *, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show how far something is: to be told how much more is done."""
        columns = (TextColumn(what), BarColumn(), TimeRemainingColumn())
        with Bar(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task("", total=total)
            yield lambda n: bar.advance(task, n)

    @contextmanager
    def checking(self) -> Iterator[Callable[[int, int], None]]:
        """Show how far the checking of files is: to be told how many bytes of how many."""
        columns = (TextColumn("checking shards"), BarColumn(), TimeRemainingColumn())
        with Bar(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task("", total=None)
            yield lambda n_bytes, total: bar.update(task, completed=n_bytes, total=total)

    def start(self, trained: Trained, *, device: object) -> None:
        """Which network is used."""
        self.line(
            f"{trained.config.name} network of {trained.run.path}, trained on {trained.corpus} without group "
            f"{trained.fold}, on {device}: {', '.join(trained.classes)}"
        )
        if trained.note:
            self.line(f"note of the run: {trained.note}", style="yellow")

    def decisions(self, decisions: Sequence[Decision], classes: Sequence[str]) -> None:
        """The first recordings with their decisions, and how many of each class there are."""
        decided = [d for d in decisions if d.vote is not None]
        table = Table(box=None, pad_edge=False)
        for name in ("recording", "decided", "probability", "clips"):
            table.add_column(name, justify="right" if name in ("probability", "clips") else "left")
        for decision in decided[:RECORDINGS_SHOWN]:
            vote = decision.vote
            assert vote is not None
            texts = Text(decision.recording.id), Text(classes[vote.choice])
            table.add_row(*texts, f"{vote.probability_K[vote.choice]:.2f}", str(len(decision.clips)))
        if decided:
            self.console.print(table)
        if len(decided) > RECORDINGS_SHOWN:
            counts = Counter(classes[d.vote.choice] for d in decided if d.vote is not None)
            shares = ", ".join(f"{name} {counts[name]}" for name in classes if counts[name])
            self.line(f"… and {len(decided) - RECORDINGS_SHOWN} more; of all {len(decided)} recordings: {shares}")

    def undecided(self, decisions: Sequence[Decision], unread: Sequence[Unread]) -> None:
        """What could not be decided, and why."""
        reasons = [(d.recording.id, d.reason) for d in decisions if d.vote is None]
        reasons += [(other.id, other.reason) for other in unread]
        for name, reason in reasons[:RECORDINGS_SHOWN]:
            self.line(f"not decided: {name} ({reason})", style="yellow")
        if len(reasons) > RECORDINGS_SHOWN:
            self.line(f"… and {len(reasons) - RECORDINGS_SHOWN} more, see recordings.csv", style="yellow")

    def scores(self, scores: dict[Part, Scores], classes: Sequence[str]) -> None:
        """How right the decisions are where there are labels, and what that is worth."""
        for part, of_part in scores.items():
            held_out = part is Part.TEST
            if held_out or part is Part.UNKNOWN:
                self.console.print(confusion_table(of_part.confusion_KK, classes))
            self.line(
                f"{of_part.accuracy:.1%} of {of_part.n} labelled recordings right, UAR {of_part.uar:.1%}; "
                f"{meaning(part)}",
                style="bold" if held_out else "yellow",
            )
