"""Texts from outside (names, reasons) as they can be shown: nothing in them steers a terminal or a page."""

import io
import sys
import unicodedata

LONGEST = 400
# controls, formats (among them those that turn the direction of writing round), halves of characters, line ends
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def legible(text: object, *, longest: int = LONGEST) -> str:
    """A text with every character to be seen: what cannot be is written as its code, what is too long is cut.

    Joiners, which some scripts need inside of words, stay.
    """
    whole = str(text)
    seen = "".join(_seen(character) for character in whole[: longest + 1])
    return seen if len(seen) <= longest else seen[: longest - 1] + "…"


def show_any_character() -> None:
    """From here on, a character that a standard stream cannot encode is written as its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _seen(character: str) -> str:
    if unicodedata.category(character) not in UNSEEN or character in "\u200c\u200d":
        return character
    return character.encode("unicode_escape").decode()
