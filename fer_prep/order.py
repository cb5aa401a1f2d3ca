"""The order in which a person counts: s2 before s10."""

import re


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which "s2" comes before "s10"."""
    parts = re.split(r"([0-9]+)", text)
    # every second part is a number; by its length without zeros, then digit by digit, so that any length will do
    numbers = (part.lstrip("0") for part in parts[1::2])
    keys: list[tuple[int, int, str]] = [(1, 0, part) for part in parts]
    keys[1::2] = [(0, len(number), number) for number in numbers]
    return (*keys, (1, 0, text))
