"""What `fer-train` starts: training, or, where the first word is `export`, writing a trained network for others.

A shard directory that is called `export` is given as `./export`.
"""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

EXPORT = "export"


class TrainOrExport(click.Command):
    """Training, unless the first word is `export`. A click.Group would want a word for training, too."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the command that the arguments are for; completion asks for it, too."""
        if args[:1] == [EXPORT]:
            from fer_model.export_cli import export

            return export.make_context(f"{info_name} {EXPORT}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command of the context."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


def shards_or_export(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """What the first word may become, for completion.

    Beside `export`, directories are words: in bash, click's script completes either words or paths.
    """
    if not EXPORT.startswith(incomplete):
        return [CompletionItem(incomplete, type="dir")]
    directories = sorted(path.name for path in Path().glob(f"{incomplete}*/") if not path.name.startswith("."))
    export = CompletionItem(EXPORT, help="Write a trained network for other programs.")
    return [export, *(CompletionItem(name) for name in directories)]
