"""Names from files as they can be shown: nothing in them steers a terminal, a page or a figure."""

import unicodedata

LONGEST = 200
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, formats (among them those that turn the direction of writing round), halves of characters, line ends."""


def legible(text: str, *, longest: int = LONGEST) -> str:
    """A text with every character to be seen: what cannot be is written as its code, what is too long is cut."""
    seen = "".join(_seen(character) for character in text[: longest + 1])
    return seen if len(seen) <= longest else seen[: longest - 1] + "…"


def _seen(character: str) -> str:
    if unicodedata.category(character) not in UNSEEN or character in "\u200c\u200d":
        return character
    return character.encode("unicode_escape").decode()
