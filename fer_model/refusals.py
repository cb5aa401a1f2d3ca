"""What the compared models cannot do, said before anything is written."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fer_model.arguments import Arguments
from fer_model.build import LBP_RADIUS_FRAMES
from fer_model.config import Model
from fer_model.errors import ArgumentError

_LBP_LENGTH = 2 * LBP_RADIUS_FRAMES + 1
_NO_STEPS = "an SVM is fitted at once, in no steps"


@dataclass(frozen=True, kw_only=True)
class Useless:
    """An option that a model has no use for."""

    option: str
    """As a user types it."""
    argument: str
    fine: tuple[object, ...]
    """Values of the argument that any model takes; the first is that of an option left out."""
    why: str


_NOT_TWO_STREAM = (
    Useless(
        option="--compile on", argument="compile", fine=("auto", "off"),
        why="only the time step of two-stream is compiled",
    ),
    Useless(
        option="--checkpoint-layers", argument="checkpoint_layers", fine=(False,),
        why="only layers of two-stream are computed again",
    ),
    Useless(
        option="--log-gradients", argument="log_gradients", fine=(False,),
        why="only two-stream has hidden states h[t]",
    ),
)  # fmt: skip
_LBP_TOP = (
    Useless(option="--epochs", argument="epochs", fine=(None,), why=_NO_STEPS),
    Useless(option="--batch-size", argument="batch_size", fine=(None,), why=_NO_STEPS),
    Useless(option="--lr", argument="lr", fine=(None,), why=_NO_STEPS),
    Useless(option="--precision bf16", argument="precision", fine=("fp32",), why="it has no convolutions"),
    Useless(
        option="--weights", argument="weights", fine=(None,), why="it has no weights that others could have trained"
    ),
    Useless(option="--report-best-epoch", argument="report_best_epoch", fine=(False,), why=_NO_STEPS),
)


def useless_options(arguments: Arguments) -> list[Useless]:
    """What is given and the model of `arguments` has no use for."""
    model = Model(arguments.model)
    options = (*_NOT_TWO_STREAM, *(_LBP_TOP if model is Model.LBP_TOP else ())) if model is not Model.TWO_STREAM else ()
    return [option for option in options if getattr(arguments, option.argument) not in option.fine]


def without(arguments: Arguments, useless: Collection[Useless]) -> Arguments:
    """The same arguments with those options left out."""
    unset: dict[str, Any] = {option.argument: option.fine[0] for option in useless}
    return dataclasses.replace(arguments, **unset)


def check_model(arguments: Arguments, *, n_processes: int, clip_length: int) -> None:
    """Refuse arguments that a model has no use for.

    Raises:
        ArgumentError: there is one; the message says which, and what to do.
    """
    for option in useless_options(arguments):
        raise ArgumentError(f"{option.option}: not for --model {arguments.model}: {option.why}; leave it out.")
    if Model(arguments.model) is not Model.LBP_TOP:
        return
    if n_processes > 1:
        raise ArgumentError("--devices: not for --model lbp-top: an SVM is fitted by one process; leave it out.")
    if clip_length < _LBP_LENGTH:
        raise ArgumentError(
            f"--model lbp-top: these shards have clips of {clip_length} frames, expected at least {_LBP_LENGTH}: "
            "a pattern takes the frame before and the one after; build the shards with longer clips."
        )
