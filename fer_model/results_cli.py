"""`fer-results`: the command line of `fer_model.tables.write_results_page`."""

import sys
import traceback
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from fer_model.outcome import outcome_of
from fer_model.streams import show_any_character

PARTLY = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("runs", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results.html"),
    help="The page; tables and figures go into the directory of the same name beside it.",
)  # fmt: skip
@click.option("--debug", is_flag=True, help="On an error, show the traceback.")
@click.version_option(package_name="fer-convlstm", prog_name="fer-results")
def main(runs: Path, out: Path, debug: bool) -> None:
    """Tables, tests and figures of all runs below the directory RUNS (written by fer-train), on one page.

    Exit codes: 0 done, 1 could not run, 2 bad arguments, 3 done, but some directories are unfinished or damaged.
    """
    show_any_character()
    try:
        from fer_model.tables import write_results_page  # torch takes seconds to load: --help need not wait

        problems = write_results_page(runs, out=out, console=Console())
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        outcome = outcome_of(error)
        text = "interrupted" if isinstance(error, KeyboardInterrupt) else f"error: {outcome.text}"
        Console(stderr=True).print(Text(text, style="red"), soft_wrap=True)
        sys.exit(outcome.exit_code)
    sys.exit(PARTLY if problems else 0)


if __name__ == "__main__":
    main(prog_name="fer-results")
