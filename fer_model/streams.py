"""What a program says is never lost because of a terminal that lacks some characters."""

import io
import sys


def show_any_character() -> None:
    """From here on, a character that a standard stream cannot encode is written as its code, as in \\u20ac."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_text(argument: str) -> bool:
    """Whether all bytes of an argument are characters in the encoding of the locale."""
    return not any("\ud800" <= character <= "\udfff" for character in argument)
