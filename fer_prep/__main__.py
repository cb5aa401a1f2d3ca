"""`python -m fer_prep`."""

from fer_prep.cli import main

main(prog_name="fer-prep")
