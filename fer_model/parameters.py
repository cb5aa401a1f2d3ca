"""Directories that a command is given: what is missing of one is said in the words of this project."""

from pathlib import Path
from typing import Any

import click


class Directory(click.Path):
    """A directory that is there.

    Args:
        what: it has to be, as in: a directory of shards, as fer-prep build makes it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(file_okay=False, path_type=Path)
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if not Path(value).exists():
            self.fail(f"{value!r} is not there; name {self.what}.", param, ctx)
        if not Path(value).is_dir():
            self.fail(f"{value!r} is a file; name {self.what}.", param, ctx)
        return super().convert(value, param, ctx)


SHARDS = Directory("a directory of shards, as fer-prep build makes it")
RUN = Directory("the directory of a finished run of fer-train, such as runs/enterface/enhanced/seed0/fold1")
