"""How a run ended, in one sentence and an exit code."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fer_model.errors import FerModelError, RankError
from fer_model.stop import Interrupted

INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is printed at the end of a run that did not finish, and its exit code."""

    text: str
    exit_code: int
    is_error: bool = True
    """Not of an interruption."""
    alone: bool = True
    """Whether this process alone knows of it; the processes of a run agree on its interruption, for example."""
    lost: bool = False
    """Whether it only tells that another process ended."""
    unexpected: bool = False
    """Not foreseen by fer_model.errors."""

    def said_by(self, rank: int, *, called: str = "rank") -> "Outcome":
        """The same, saying of which process it is."""
        return replace(self, text=f"{called} {rank}: {self.text}")

    def write(self, path: Path) -> None:
        """Keep it for another process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


class EndedError(RankError):
    """The processes of a run ended.

    Args:
        outcome: what one of them, or the one that started them, says of it.
        died: whether it came upon the run from outside, so that what is kept of it is to be said.
    """

    def __init__(self, outcome: Outcome, *, died: bool) -> None:
        super().__init__(outcome.text)
        self.outcome, self.died = outcome, died


def read_outcome(path: Path) -> Outcome | None:
    """What `write` has kept; None if it was not called."""
    return Outcome(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def outcome_of(error: BaseException) -> Outcome:
    """The sentence and the code of an exception."""
    if isinstance(error, EndedError):
        return error.outcome
    if isinstance(error, Interrupted):
        return Outcome(text=str(error), exit_code=error.exit_code, is_error=False, alone=False)
    if isinstance(error, KeyboardInterrupt):
        text = "interrupted: the same command with --resume (and no --overwrite) goes on after the last checkpoint"
        return Outcome(text=text, exit_code=INTERRUPTED, is_error=False, alone=False)
    if isinstance(error, FerModelError):
        return Outcome(text=str(error), exit_code=error.exit_code, alone=error.alone, lost=error.lost)
    if isinstance(error, ModuleNotFoundError):
        return Outcome(text=f"{error.name} is not installed; pip install 'fer-convlstm[train]'", exit_code=1)
    if isinstance(error, OSError):
        if error.filename is None:
            text = f"the system refuses ({error.strerror or error}); is there room where the output goes?"
        else:
            text = f"{error.filename}: cannot be used ({error.strerror}); mend that, or name another."
        return Outcome(text=text, exit_code=1, unexpected=True)
    text = f"{type(error).__name__}: {' '.join(str(error).split())} (--debug shows where)"
    return Outcome(text=text, exit_code=1, unexpected=True)
