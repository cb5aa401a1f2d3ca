"""`fer-train`: the command line of `train_fold`."""

import math
import signal
import sys
import traceback
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from fer_model.errors import FerModelError

VARIANTS = ["a", "b", "c", "d", "convlstm", "spatial", "temporal", "enhanced"]
INTERRUPTED = 130


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("shards", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--fold", type=click.IntRange(min=1), required=True, help="Group to test on; train on all others.")
@click.option(
    "--variant", type=click.Choice(VARIANTS), default="d", help="Cell of the paper: a convlstm ... d enhanced."
)
@click.option(
    "--preset", type=click.Choice(["paper", "small"]),
    help="paper: the published network. small: a much smaller one. [default: paper with a GPU, small without]",
)  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), help="In place of the preset's.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Clips per step, in place of the preset's.")
@click.option(
    "--lr", type=click.FloatRange(min=0, max=1000, min_open=True), help="Learning rate, in place of the preset's."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Decides weights, order and flips.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to train.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"),
    help="Results go to OUT/<corpus>/<variant>/fold<K>.",
)  # fmt: skip
@click.option(
    "--validation-group", type=click.IntRange(min=1), metavar="G",
    help="Leave training group G out and measure it after every epoch; it chooses nothing.",
)  # fmt: skip
@click.option(
    "--data", type=click.Choice(["auto", "ram", "disk"]), default="auto",
    help="Read all frames into memory first, or clips from disk. auto: memory, if they take at most half of it.",
)  # fmt: skip
@click.option(
    "--readers", type=click.IntRange(1, 256), help="Threads that read and decode. [default: one per core, at most 8]"
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Delete the run that is there and train again.")
@click.option("--debug", is_flag=True, help="On an error, show the traceback.")
def main(
    shards: Path,
    fold: int,
    variant: str,
    preset: str | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int,
    device: str,
    out: Path,
    validation_group: int | None,
    data: str,
    readers: int | None,
    resume: bool,
    overwrite: bool,
    debug: bool,
) -> None:
    """Train the Enhanced ConvLSTM on the directory SHARDS (made by fer-prep) and test it on fold K.

    Exit codes: 0 finished, 1 could not run, 2 bad arguments, 130 interrupted (go on with --resume).
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    if lr is not None and not math.isfinite(lr):
        raise click.BadParameter("a finite number was expected.", param_hint="'--lr'")
    errors = Console(stderr=True)
    try:
        from fer_model.train import train_fold  # torch takes seconds to load: --help need not wait

        train_fold(
            shards=shards,
            fold=fold,
            variant=variant,
            preset=preset,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            seed=seed,
            device=device,
            out=out,
            validation_group=validation_group,
            data=data,
            readers=readers,
            resume=resume,
            overwrite=overwrite,
            console=Console(),
        )
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not spoil the exit code
        errors.print("interrupted: the same command with --resume (and no --overwrite) goes on after the last epoch")
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        if debug:
            raise
        errors.print(Text(f"error: {error.name} is not installed; pip install 'fer-convlstm[train]'", style="red"))
        sys.exit(1)
    except Exception as error:
        if debug:
            traceback.print_exc()
        known = isinstance(error, FerModelError | OSError)
        text = str(error) if known else f"{type(error).__name__}: {error} (--debug shows where)"
        errors.print(Text(f"error: {text}", style="red"), soft_wrap=True)
        sys.exit(error.exit_code if isinstance(error, FerModelError) else 1)
