"""What the compared models cannot do, said before anything is written."""

from fer_model.arguments import Arguments
from fer_model.build import LBP_RADIUS_FRAMES
from fer_model.config import Model
from fer_model.errors import ArgumentError

_LBP_LENGTH = 2 * LBP_RADIUS_FRAMES + 1


def check_model(arguments: Arguments, *, n_processes: int, clip_length: int) -> None:
    """Refuse arguments that a model has no use for.

    Raises:
        ArgumentError: there is one; the message says which, and what to do.
    """
    model = Model(arguments.model)
    if model is Model.TWO_STREAM:
        return
    refused = {
        "--compile on": (arguments.compile == "on", "only the time step of two-stream is compiled"),
        "--checkpoint-layers": (arguments.checkpoint_layers, "only layers of two-stream are computed again"),
        "--log-gradients": (arguments.log_gradients, "only two-stream has hidden states h[t]"),
    }
    if model is Model.LBP_TOP:
        no_steps = "an SVM is fitted at once, in no steps"
        refused |= {
            "--epochs": (arguments.epochs is not None, no_steps),
            "--batch-size": (arguments.batch_size is not None, no_steps),
            "--lr": (arguments.lr is not None, no_steps),
            "--precision bf16": (arguments.precision == "bf16", "it has no convolutions"),
            "--weights": (arguments.weights is not None, "it has no weights that others could have trained"),
            "--report-best-epoch": (arguments.report_best_epoch, no_steps),
            "--devices": (n_processes > 1, "an SVM is fitted by one process"),
        }
        if clip_length < _LBP_LENGTH:
            raise ArgumentError(
                f"--model lbp-top: these shards have clips of {clip_length} frames, expected at least {_LBP_LENGTH}: "
                "a pattern takes the frame before and the one after; build the shards with longer clips."
            )
    for option, (given, why) in refused.items():
        if given:
            raise ArgumentError(f"{option}: not for --model {model}: {why}; leave it out.")
