"""The program `fer-prep`. No logic here: each command calls one library function with the same argument names."""

import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_prep import __version__
from fer_prep.corpora import NAMES
from fer_prep.errors import FerPrepError

FAILED_RECORDINGS, INTERRUPTED = 3, 130
DIRECTORY = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fer-prep")
def main() -> None:
    """Face videos to aligned faces, optical flow, clips and shards.

    Exit codes: 0 all fine, 1 could not run, 2 bad arguments, 3 finished with failed recordings, 130 interrupted (the
    same command goes on).
    """


def _sentences(command: Callable[..., int]) -> Callable[..., None]:
    """Errors of users become their one sentence and an exit code; --debug shows the traceback."""

    @wraps(command)
    def run(*, debug: bool, **options: Any) -> None:
        try:
            sys.exit(command(**options))
        except FerPrepError as error:
            if debug:
                raise
            click.echo(f"fer-prep: {error}", err=True)
            sys.exit(error.exit_code)
        except ModuleNotFoundError as error:
            if debug:
                raise
            click.echo(f"fer-prep: {error.name} is not installed; pip install 'fer-convlstm[prep]'", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not spoil the exit code
            click.echo("fer-prep: interrupted; finished shards are kept, the same command goes on from here", err=True)
            sys.exit(INTERRUPTED)

    return run


@main.command()
@click.option("--dataset", required=True, type=click.Choice(NAMES), help="The corpus.")
@click.option("--out", required=True, type=DIRECTORY, help="Directory for the shards.")
@click.option("--root", type=DIRECTORY, help="Directory of the corpus.")
@click.option("--manifest", type=DIRECTORY, help="CSV with file,subject,label; below --root. [default: manifest.csv]")
@click.option("--select", metavar="GLOB", help="Only recordings whose path matches; * matches / too.")
@click.option("--recipe", type=DIRECTORY, help="TOML file. [default: the one shipped for the corpus]")
@click.option("--groups", type=click.IntRange(min=1), help="Groups that subjects are dealt into. [default: 5]")
@click.option("--length", type=click.IntRange(min=1), help="Frames of a clip. [default: 16]")
@click.option("--stride", type=click.IntRange(min=1), help="Frames from clip to clip. [default: 8]")
@click.option("--face-size", type=click.IntRange(16, 1024), help="Side of the aligned face, pixels. [default: 112]")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes. [default: one per core]")
@click.option("--cache", type=DIRECTORY, help="Directory of aligned tracks. [default: $FER_CACHE, or the user's cache]")
@click.option("--rebuild", is_flag=True, help="Replace shards of another recipe in --out.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@_sentences
def build(**options: Any) -> int:
    """Build the shards of a corpus, or what is missing of them."""
    # imported here, so that --help is quick and Ctrl-C has a sentence from the first moment on
    from fer_prep import build as building
    from fer_prep.display import BuildDisplay, print_summary

    console = Console()
    with BuildDisplay(console) as display:
        result = building.build(**options, listener=display)
    print_summary(console, result)
    return FAILED_RECORDINGS if result.n_failed else 0
