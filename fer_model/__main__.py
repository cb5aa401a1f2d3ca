"""`python -m fer_model` is `fer-train`."""

from fer_model.cli import main

main(prog_name="fer-train")
