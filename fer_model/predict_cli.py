"""`fer-predict`: the command line of `fer_model.predict.run.predict_input`."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_model.failure import say_failure
from fer_model.parameters import RUN
from fer_model.stop import Interrupted
from fer_model.streams import show_any_character

UNDECIDED = 3
INTERRUPTED = 130


class Number(click.ParamType[int | None]):
    """`all`, `none` or a number."""

    name = "all|N|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value in ("all", "none"):
            return None if value == "all" else 0
        if not (str(value).isascii() and str(value).isdigit()):
            self.fail(f"{value!r} is neither a number nor 'all' nor 'none'", param, ctx)
        return int(value)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("input", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--checkpoint", type=RUN, required=True, metavar="RUN",
    help="Directory of a finished run of fer-train.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Where results go. [default: predictions/<name of INPUT>]")
@click.option("--timelines", type=Number(), default="20", help="Of how many recordings to draw a timeline.")
@click.option("--video", is_flag=True, help="Write an annotated video of each recording, too.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to compute.")
@click.option("--overwrite", is_flag=True, help="Replace the predictions that are there.")
@click.option("--debug", is_flag=True, help="On an error, show the traceback.")
@click.version_option(package_name="fer-convlstm", prog_name="fer-predict")
def main(
    input: Path,
    checkpoint: Path,
    out: Path | None,
    timelines: int | None,
    video: bool,
    device: str,
    overwrite: bool,
    debug: bool,
) -> None:
    """Apply a trained network to INPUT: a shard directory, a video, or a folder of videos.

    Videos become shards in OUT/shards first, with the recipe of the run; fer-prep must be installed.

    Exit codes: 0 all decided, 1 could not run, 2 bad arguments, 3 finished with undecided recordings (recordings.csv
    says why), 130 interrupted, 143 ended by SIGTERM.
    """
    show_any_character()
    try:
        from fer_model.predict.request import Request
        from fer_model.predict.run import predict_input  # torch takes seconds to load: --help need not wait

        request = Request(
            input=input,
            checkpoint=checkpoint,
            out=out,
            timelines=timelines,
            video=video,
            device=device,
            overwrite=overwrite,
        )
        prediction = predict_input(request, console=Console())
    except KeyboardInterrupt as interruption:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not spoil the exit code
        _end_interrupted(interruption)
    except Exception as error:
        sys.exit(say_failure(error, debug=debug))
    sys.exit(UNDECIDED if prediction.n_undecided else 0)


def _end_interrupted(interruption: KeyboardInterrupt) -> None:
    """One line, unless fer-prep has said its own."""
    code = interruption.exit_code if isinstance(interruption, Interrupted) else INTERRUPTED
    if not (isinstance(interruption, Interrupted) and interruption.said):
        what = "interrupted" if code == INTERRUPTED else "ended by SIGTERM"
        text = f"{what}: the same command predicts from the beginning; shards that were built are kept"
        Console(stderr=True).print(text, soft_wrap=True)
    sys.stdout.flush()
    os._exit(code)  # Python would end itself by SIGINT, where it came inside of an import's exec()


if __name__ == "__main__":
    main(prog_name="fer-predict")
