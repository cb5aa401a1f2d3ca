"""Texts that fit into figures and videos."""


def end_of(text: str, most: int) -> str:
    """At most so many characters: the end of a path is what tells it from others."""
    return text if len(text) <= most else f"…{text[1 - most :]}"


def start_of(text: str, most: int) -> str:
    """At most so many characters, from the beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
