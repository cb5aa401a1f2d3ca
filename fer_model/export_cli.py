"""`fer-train export`: the command line of `export_run`."""

import sys
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from fer_model.failure import say_failure
from fer_model.outcome import INTERRUPTED
from fer_model.parameters import RUN, SHARDS
from fer_model.streams import show_any_character


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("run", type=RUN)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Where to.  [default: RUN/export]")
@click.option(
    "--format", "format_", type=click.Choice(["torch", "onnx", "both"]), default="both",
    help="model.pt2 for torch.export.load, model.onnx for ONNX runtimes.",
)  # fmt: skip
@click.option(
    "--shards", type=SHARDS,
    help="Check on clips of this directory, which also says how large faces are.  [default: random frames]",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace the files that are there.")
@click.option("--debug", is_flag=True, help="On an error, show the traceback.")
def export(
    run: Path,
    out: Path | None,
    format_: Literal["torch", "onnx", "both"],
    shards: Path | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Write the network of the finished run RUN for programs without fer-convlstm.

    It takes clips as shards store them (rgb uint8, flow int16) in batches of any size, and gives class probabilities;
    a JSON file beside each says the classes and all else. What is written is compared with the network, and kept if
    it is the same.

    Exit codes: 0 written and checked, 1 could not be, 2 bad arguments, 130 interrupted: then nothing is left behind.
    """
    show_any_character()
    console = Console()
    try:
        from fer_model.export.run import export_run  # torch takes seconds to load: --help need not wait

        formats: tuple[Literal["torch", "onnx"], ...] = ("torch", "onnx") if format_ == "both" else (format_,)
        export_run(run, out=out or run / "export", formats=formats, shards=shards, overwrite=overwrite, console=console)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: nothing was written")
        sys.exit(INTERRUPTED)
    except Exception as error:
        sys.exit(say_failure(error, debug=debug))
