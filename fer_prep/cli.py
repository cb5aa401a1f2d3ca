"""The program `fer-prep`. No logic here: each command calls one library function with the same argument names."""

import errno
import re
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_prep import __version__
from fer_prep.corpora import ADAPTERS, NAMES
from fer_prep.errors import FerPrepError
from fer_prep.legible import legible, show_any_character

FAILED_RECORDINGS, SOMETHING_WRONG, INTERRUPTED = 3, 3, 130
DIRECTORY = click.Path(path_type=Path)
SHARDS = click.Path(path_type=Path, readable=False)  # what cannot be read has our own sentence


class NameList(click.ParamType[tuple[str, ...]]):
    """`a,b,c`"""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(name.strip() for name in value.split(","))


class Groups(click.ParamType[int | str]):
    """A number, `subject` or `corpus`."""

    name = "N|subject|corpus"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value in ("subject", "corpus"):
            return str(value)
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 1000):
            self.fail(f"{value!r} is neither a number from 1 to 1000 nor 'subject' nor 'corpus'", param, ctx)
        return int(value)


class Size(click.ParamType[int]):
    """`5GB`, `500 MB`, `2GiB`; a number without a unit is rather a slip than bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from dask.utils import parse_bytes

        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})? ?([kMGT]i?)?B", value, re.IGNORECASE):
            self.fail(f"{value!r} is no size; write it as 5GB, '500 MB' or 2GiB", param, ctx)
        return int(parse_bytes(value))


class Age(click.ParamType[timedelta]):
    """`30d`, `12h`"""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        parts = re.fullmatch(r"([0-9]{1,5}) ?([dh])", value)
        if parts is None:
            self.fail(f"{value!r} is no age; write it in days or hours, as 30d or 12h", param, ctx)
        return timedelta(hours=int(parts[1]) * (24 if parts[2] == "d" else 1))


def _unsegmented_too(options: dict[str, Any]) -> None:
    """--include-unsegmented is a longer way to say --include unsegmented."""
    kinds = options["include"] + ("unsegmented",) * options.pop("include_unsegmented")
    options["include"] = kinds or None


OPTIONAL = ", ".join(kind for adapter in ADAPTERS.values() for kind in adapter.optional)

# What decides the plan; the names are those of `make_plan`'s arguments.
CORPUS_OPTIONS = (
    click.option("--dataset", required=True, type=click.Choice(NAMES), help="The corpus."),
    click.option(
        "--root", type=DIRECTORY, help="Directory of the corpus. [default: $FER_DATA/DATASET, else data/DATASET]"
    ),
    click.option(
        "--manifest", type=DIRECTORY, help="CSV with file,subject,label; below --root. [default: manifest.csv]"
    ),
    click.option("--select", metavar="GLOB", help="Only recordings whose path matches; * matches / too."),
    click.option("--include", metavar="KIND", multiple=True, help=f"Take what is left out unless asked: {OPTIONAL}."),
    click.option("--include-unsegmented", is_flag=True, help="The same as --include unsegmented (eNTERFACE'05)."),
    click.option(
        "--classes", type=NameList(), help="Only these: a,b; all but: -a; two as one: c=a+b. [default: the corpus' own]"
    ),
    click.option(
        "--recipe", type=DIRECTORY, help="TOML file, see fer-prep recipe. [default: the one shipped for the corpus]"
    ),
    click.option(
        "--groups",
        type=Groups(),
        help="Deal subjects into N groups; subject: leave one subject out; corpus: its own. [default: the recipe's]",
    ),
    click.option("--length", type=click.IntRange(1, 4096), help="Frames of a clip. [default: the recipe's]"),
    click.option("--stride", type=click.IntRange(min=1), help="Frames from clip to clip. [default: the recipe's]"),
    click.option("--face-size", type=click.IntRange(16, 1024), help="Side of the aligned face, pixels. [default: 112]"),
    click.option(
        "--aligner",
        type=click.Choice(["auto", "mesh", "openface"]),
        help="auto: OpenFace if it works, else the embedded mesh. [default: auto]",
    ),
    click.option(
        "--openface", type=DIRECTORY, help="OpenFace's FeatureExtraction. [default: $OPENFACE_BIN, else the PATH]"
    ),
    click.option(
        "--landmark-model",
        type=click.Choice(["ceclm", "clnf", "clm"]),
        help="Of OpenFace; ceclm needs its own download. [default: ceclm]",
    ),
    click.option("--mask/--no-mask", default=None, help="Of OpenFace: black outside the face. [default: mask]"),
)
CACHE_OPTION = click.option(
    "--cache", type=DIRECTORY, help="Directory of aligned tracks. [default: $FER_CACHE, or the user's]"
)
WORKERS_OPTION = click.option(
    "--workers", type=click.IntRange(min=1), help="Worker processes on this machine. [default: one per core]"
)
WORK_OPTIONS = (
    CACHE_OPTION,
    click.option("--rebuild", is_flag=True, help="Replace shards of another recipe in --out."),
)


def _with(*options: Callable[..., Any]) -> Callable[..., Any]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fer-prep")
def main() -> None:
    """Face videos to aligned faces, optical flow, clips and shards.

    Exit codes: 0 all fine, 1 could not run, 2 bad arguments, 3 finished with failed recordings, 130 interrupted (the
    same command goes on).
    """
    show_any_character()


def _system_says(error: OSError) -> str:
    """What the system refuses, where no sentence of ours was waiting for it."""
    if error.filename is None:
        return (
            f"the system refuses ({error.strerror or error}); is there room where the output goes? (--debug shows more)"
        )
    return (
        f"{legible(error.filename)} cannot be used ({error.strerror}); mend that, or name another (--debug shows more)"
    )


def _sentences(command: Callable[..., int]) -> Callable[..., None]:
    """Errors of users become their one sentence and an exit code; --debug shows the traceback."""
    usual = "interrupted" + "; finished shards are kept, the same command goes on from here" * (
        command.__name__ == "build"
    )

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
        except OSError as error:
            if debug or error.errno == errno.EPIPE:  # whoever closes a pipe has seen enough; click ends for that
                raise
            click.echo(f"fer-prep: {_system_says(error)}", err=True)
            sys.exit(1)
        except KeyboardInterrupt as interruption:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a further Ctrl-C must not spoil the exit code
            click.echo(f"fer-prep: {str(interruption) or usual}", err=True)
            sys.exit(INTERRUPTED)

    return click.option("--debug", is_flag=True, help="Show tracebacks.")(run)


@main.command()
@_with(*CORPUS_OPTIONS)
@click.option("--out", required=True, type=DIRECTORY, help="Directory for the shards.")
@WORKERS_OPTION
@click.option(
    "--scheduler", metavar="tcp://HOST:PORT", help="Use the workers of a running Dask cluster (docs/distributed.md)."
)
@_with(*WORK_OPTIONS)
@click.option("--dry-run", is_flag=True, help="Only say what would be kept, built and left, and why.")
@click.option("--log-json", type=DIRECTORY, metavar="FILE", help="Add what happens to a file of JSON lines.")
@_sentences
def build(
    *, out: Path, workers: int | None, scheduler: str | None, cache: Path | None, rebuild: bool, dry_run: bool,
    log_json: Path | None, **options: Any,
) -> int:  # fmt: skip
    """Build the shards of a corpus, or what is missing of them."""
    # imported here, so that --help is quick and Ctrl-C has a sentence from the first moment on
    from fer_prep import build as building
    from fer_prep.display import BuildDisplay, print_summary
    from fer_prep.dry_run import print_rehearsal, rehearse
    from fer_prep.log_file import listening
    from fer_prep.plan import make_plan

    _unsegmented_too(options)
    console = Console()
    with BuildDisplay(console) as display, listening(log_json, display) as listener:
        plan = make_plan(**options, rendering=listener.rendering)
        if not dry_run:
            listener.note(plan.aligner.says)
            result = building.build(
                plan, out=out, workers=workers, scheduler=scheduler, cache=cache, rebuild=rebuild, listener=listener
            )
    if dry_run:
        print_rehearsal(console, rehearse(plan, out=out, workers=workers, rebuild=rebuild), out)
        return 0
    print_summary(console, result)
    return FAILED_RECORDINGS if result.n_failed else 0


@main.command()
@_with(*CORPUS_OPTIONS)
@click.option("--out", type=DIRECTORY, help="Directory for the shards: what would be kept there?")
@WORKERS_OPTION
@_with(*WORK_OPTIONS)
@click.option("--json", "json_file", type=DIRECTORY, metavar="FILE", help="Write all of it for programs.")
@click.option("--no-calibrate", is_flag=True, help="Build nothing for trial; say nothing of time.")
@_sentences
def plan(
    *, out: Path | None, workers: int | None, cache: Path | None, rebuild: bool, json_file: Path | None,
    no_calibrate: bool, **options: Any,
) -> int:  # fmt: skip
    """Show what a build with the same options would do, and what it would cost. Writes no shards."""
    from fer_prep.display import BuildDisplay
    from fer_prep.files import check_place
    from fer_prep.forecast import forecast
    from fer_prep.plan import make_plan
    from fer_prep.plan_file import write_plan
    from fer_prep.plan_screen import print_plan

    _unsegmented_too(options)
    if json_file is not None:
        check_place(json_file, option="--json", replaces=b"{")
    console = Console()
    with BuildDisplay(console) as display:
        planned = make_plan(**options, rendering=display.rendering)
    result = forecast(planned, out=out, workers=workers, rebuild=rebuild, with_calibration=not no_calibrate)
    print_plan(console, result, out=out, cache=cache)
    if json_file is not None:
        write_plan(json_file, result)
    return 0


@main.command()
@click.argument("shards", metavar="SHARDS", type=DIRECTORY)
@click.option("--quick", is_flag=True, help="Compare index, ledger, sizes and hashes; decode nothing.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes. [default: one per core]")
@_sentences
def verify(*, shards: Path, quick: bool, workers: int | None) -> int:
    """Check a directory of shards: every byte, table and frame. Changes nothing; exit code 3: something is wrong."""
    from fer_prep.verify import run as verifying
    from fer_prep.verify_screen import VerifyDisplay, print_verification

    console = Console()
    with VerifyDisplay(console) as display:
        result = verifying.verify(shards, quick=quick, workers=workers, listener=display)
    print_verification(console, result)
    return SOMETHING_WRONG if result.findings else 0


@main.command()
@click.option(
    "--openface", type=DIRECTORY, help="OpenFace's FeatureExtraction. [default: $OPENFACE_BIN, else the PATH]"
)
@click.option(
    "--landmark-model", type=click.Choice(["ceclm", "clnf", "clm"]), default="ceclm", show_default=True,
    help="Of OpenFace.",
)  # fmt: skip
@click.option("--cache", type=DIRECTORY, help="Directory of aligned tracks. [default: $FER_CACHE, or the user's]")
@_sentences
def doctor(**options: Any) -> int:
    """Try everything that a build needs, and say what mends what does not work."""
    from fer_prep.doctor import examine
    from fer_prep.doctor_screen import print_examination

    findings = examine(**options)
    print_examination(Console(), findings)
    return 1 if any(finding.works is False for finding in findings) else 0


@main.command()
@click.argument("shards", metavar="SHARDS", type=SHARDS)
@click.option("--out", type=DIRECTORY, metavar="FILE", help="The page. [default: SHARDS/report.html]")
@click.option("--png", type=DIRECTORY, metavar="DIR", help="Write the figures as PNG files too.")
@_sentences
def report(**options: Any) -> int:
    """Describe a directory of shards on one HTML page."""
    from fer_prep.report import write_report

    click.echo(f"The report is in {write_report(**options)}")
    return 0


@main.command()
@click.argument("shard", metavar="SHARD", type=SHARDS)
@click.option("--clip", type=int, metavar="N", help="Show one clip, counted from 0.")
@click.option("--out", type=DIRECTORY, metavar="FILE", help="Write the clip as a picture (.png) or a video (.mp4).")
@_sentences
def inspect(**options: Any) -> int:
    """Show what is in one shard, an .h5 file, or one of its clips."""
    from fer_prep.inspect import inspect as look_into
    from fer_prep.inspect_screen import print_inspection

    print_inspection(Console(), look_into(**options))
    return 0


@main.command()
@_sentences
def datasets() -> int:
    """Show which corpora there are, where they are looked for, and whether they are there."""
    from fer_prep.inventory import take_stock
    from fer_prep.plan_screen import print_inventory

    print_inventory(Console(), take_stock())
    return 0


@main.command()
@click.argument("dataset", metavar="DATASET", type=click.Choice(NAMES))
@_sentences
def recipe(dataset: str) -> int:
    """Print the recipe shipped for a corpus, to be changed and given to build with --recipe."""
    from fer_prep.recipe import recipe_text

    click.echo(recipe_text(dataset), nl=False)
    return 0


@main.command()
@CACHE_OPTION
@click.option("--prune", is_flag=True, help="Remove tracks, by at least one of the following.")
@click.option("--max-size", type=Size(), help="Keep so much, as 5GB or 2GiB; the longest unused tracks go first.")
@click.option(
    "--older-than",
    type=Age(),
    help="Tracks not used for so long go: 30d, 12h. A use is a read, by any program, as the disk notes it: usually to "
    "the day; a disk mounted noatime notes none, and the making of the track counts.",
)
@click.option("--all", "everything", is_flag=True, help="All tracks go.")
@_sentences
def cache(
    *, cache: Path | None, prune: bool, max_size: int | None, older_than: timedelta | None, everything: bool
) -> int:
    """Show the cache of aligned tracks: where it is, how big, when it was used. Prune it.

    It is safe while builds run: a track that one of them misses is aligned again. What killed builds left unfinished
    goes with any pruning.
    """
    from fer_prep.cache import look_after

    look_after(Console(), cache=cache, prune=prune, max_size=max_size, older_than=older_than, everything=everything)
    return 0
