"""`fer-train`: the command line of `launch`."""

import math
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import click
from rich.console import Console
from rich.text import Text

from fer_model.config import Model, Variant
from fer_model.experiments.selection import chosen_folds, chosen_models, chosen_networks, chosen_variants
from fer_model.outcome import outcome_of
from fer_model.parameters import SHARDS
from fer_model.program import TrainOrExport, shards_or_export
from fer_model.streams import is_text, show_any_character

T = TypeVar("T")


def _choosing(parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """What click calls for an option whose words `parse` understands; None if it was not given."""

    def chosen(context: click.Context, parameter: click.Parameter, text: str | None) -> T | None:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return chosen


@click.command(cls=TrainOrExport, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("shards", type=SHARDS, shell_complete=shards_or_export)
@click.option(
    "--fold", "folds", required=True, metavar="K", callback=_choosing(chosen_folds),
    help="Group to test on; train on all others. A list, 1,3, or all: a run for each.",
)  # fmt: skip
@click.option(
    "--model", "models", default=str(Model.TWO_STREAM), metavar="M", callback=_choosing(chosen_models),
    help=f"two-stream: the paper's network. What it is compared with: {', '.join(list(Model)[1:])}. A list, or all.",
)  # fmt: skip
@click.option(
    "--variant", "variants", metavar="V", callback=_choosing(chosen_variants),
    help="Cell of two-stream: a convlstm, b spatial, c temporal, d enhanced. A list, a,d, or all: a run for each. "
    "[default: d]",
)  # fmt: skip
@click.option(
    "--weights", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Begin with the weights of a .pth or .safetensors file, but for the last layer. [default: drawn]",
)  # fmt: skip
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
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=1, metavar="N", help="Runs with N seeds, from --seed on."
)
@click.option(
    "--jobs", type=click.IntRange(1, 1024), default=1, metavar="N",
    help="Of several runs, train N at a time, each in a process with a GPU of its own, or its part of the cores.",
)  # fmt: skip
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to train.")
@click.option(
    "--devices", type=click.IntRange(1, 1024), default=1, metavar="N",
    help="Train with N processes, one per device, on this machine. Each step's clips are divided among them.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"),
    help="Results go to OUT/<corpus>/<variant or model>/seed<S>/fold<K>.",
)  # fmt: skip
@click.option("--note", metavar="TEXT", help="Said beside every number and in every title, as in: warped real faces.")
@click.option(
    "--validation-group", type=click.IntRange(min=1), metavar="G",
    help="Leave training group G out and measure it after every epoch; it chooses nothing.",
)  # fmt: skip
@click.option(
    "--report-best-epoch", is_flag=True,
    help="Measure the test fold after every epoch too, and report its best one beside the result: "
    "what peers report; it chooses nothing.",
)  # fmt: skip
@click.option(
    "--data", type=click.Choice(["auto", "device", "ram", "disk"]), default="auto",
    help="Read all frames into the memory of the device or the machine first, or clips from disk. "
    "auto: the GPU's, if they take at most half of it, then the machine's.",
)  # fmt: skip
@click.option(
    "--readers", type=click.IntRange(1, 256), help="Threads that read and decode. [default: one per core, at most 8]"
)
@click.option(
    "--checkpoint-every", type=click.FloatRange(min=0), default=60.0, metavar="SECONDS",
    help="Keep the state of the run after that time, and after each epoch. 0: after each step.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16"]), default="fp32",
    help="Of the convolutions; bf16 needs a processor that computes in 16 bits.",
)  # fmt: skip
@click.option(
    "--compile", type=click.Choice(["auto", "on", "off"]), default="auto",
    help="Compile the time step of the layers, in the first step. auto: on a GPU; on a CPU it gains little.",
)  # fmt: skip
@click.option(
    "--checkpoint-layers", is_flag=True, help="Less memory, more time: compute each layer again on the way back."
)
@click.option(
    "--log-gradients", is_flag=True,
    help="Record the norms of the gradients that reach h[t], by stream, layer and t, in gradients.csv.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with interrupted runs, from their last checkpoints.")
@click.option("--overwrite", is_flag=True, help="Delete the runs that are there, finished ones too, and train again.")
@click.option("--debug", is_flag=True, help="On an error, show the traceback.")
@click.version_option(package_name="fer-convlstm", prog_name="fer-train")
def main(
    shards: Path,
    folds: tuple[int, ...] | None,
    models: tuple[Model, ...],
    variants: tuple[Variant, ...] | None,
    weights: Path | None,
    preset: str | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int,
    seeds: int,
    jobs: int,
    device: str,
    devices: int,
    out: Path,
    note: str | None,
    validation_group: int | None,
    report_best_epoch: bool,
    data: str,
    readers: int | None,
    checkpoint_every: float,
    precision: Literal["fp32", "bf16"],
    compile: str,
    checkpoint_layers: bool,
    log_gradients: bool,
    resume: bool,
    overwrite: bool,
    debug: bool,
) -> None:
    """Train the Enhanced ConvLSTM, or a --model it is compared with, on the directory SHARDS (made by fer-prep) and
    test it on fold K.

    Several folds, networks or seeds are a set of runs: what is finished of it is kept, and a table is its end.

    Exit codes: 0 finished, 1 could not run, 2 bad arguments, 3 finished but for runs that diverged, 130 interrupted,
    143 ended by SIGTERM; the last two go on with --resume.

    fer-train export RUN writes a trained network for other programs; see fer-train export --help.
    """
    show_any_character()
    if note is not None and not is_text(note):
        raise click.BadParameter(f"{note!a} is no text in this locale; set LC_ALL=C.UTF-8.", param_hint="'--note'")
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    if lr is not None and not math.isfinite(lr):
        raise click.BadParameter("a finite number was expected.", param_hint="'--lr'")
    if math.isnan(checkpoint_every):
        raise click.BadParameter("a number was expected.", param_hint="'--checkpoint-every'")
    if seed + seeds > 2**63:
        raise click.BadParameter("the last seed is more than 2^63 - 1.", param_hint="'--seeds'")
    try:
        from fer_model.arguments import Arguments
        from fer_model.experiments.schedule import Experiment
        from fer_model.experiments.training import train_experiment
        from fer_model.launch import launch  # torch takes seconds to load: --help need not wait
        from fer_model.processes import leave
        from fer_model.ranks import torchrun_ranks

        networks = chosen_networks(models, variants)
        arguments = Arguments(
            shards=shards,
            fold=1 if folds is None else folds[0],
            model=networks[0].model,
            variant=networks[0].variant,
            weights=weights,
            preset=preset,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            seed=seed,
            device=device,
            devices=devices,
            out=out,
            note=note,
            validation_group=validation_group,
            report_best_epoch=report_best_epoch,
            data=data,
            readers=readers,
            checkpoint_every=checkpoint_every,
            precision=precision,
            compile=compile,
            checkpoint_layers=checkpoint_layers,
            log_gradients=log_gradients,
            resume=resume,
            overwrite=overwrite,
        )
        if folds is not None and len(folds) == len(networks) == seeds == jobs == 1:
            launch(arguments, console=Console(), debug=debug)
        else:
            experiment = Experiment(common=arguments, folds=folds, networks=networks, n_seeds=seeds, jobs=jobs)
            train_experiment(experiment, console=Console(), debug=debug)
        if torchrun_ranks() is not None:
            leave(0)
    except (Exception, KeyboardInterrupt) as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not spoil the exit code
        if debug:
            traceback.print_exc()
        outcome = outcome_of(error)
        text = Text(f"error: {outcome.text}", style="red") if outcome.is_error else Text(outcome.text)
        Console(stderr=True).print(text, soft_wrap=True)
        if not outcome.is_error:
            sys.stdout.flush()
            os._exit(outcome.exit_code)  # Python would end itself by SIGINT, where it came inside of an import's exec()
        sys.exit(outcome.exit_code)
