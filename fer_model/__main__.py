"""`python -m fer_model` is `fer-train`."""

from fer_model.program import main

main()
