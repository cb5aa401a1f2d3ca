"""What a command says when it fails, before it ends."""

import traceback

from rich.console import Console
from rich.text import Text

from fer_model.outcome import outcome_of


def say_failure(error: Exception, *, debug: bool) -> int:
    """Say why in one sentence, on the standard error; with `debug` after the traceback. The exit code."""
    if debug:
        traceback.print_exc()
    outcome = outcome_of(error)
    Console(stderr=True).print(Text(f"error: {outcome.text}", style="red"), soft_wrap=True)
    return outcome.exit_code
