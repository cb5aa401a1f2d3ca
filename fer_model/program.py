"""What `fer-train` starts: training, or, where the first word is `export`, writing a trained network for others.

A shard directory that is called `export` is given as `./export`.
"""

import sys


def main() -> None:
    """Run the command of the first word."""
    if sys.argv[1:2] == ["export"]:
        from fer_model.export_cli import export

        export.main(args=sys.argv[2:], prog_name="fer-train export")
    from fer_model.cli import main as train

    train.main(prog_name="fer-train")
