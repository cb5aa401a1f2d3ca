"""`python -m fer_model.predict` is `fer-predict`."""

from fer_model.predict_cli import main

main(prog_name="fer-predict")
