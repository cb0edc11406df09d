"""Lines on a terminal, and the words for numbers in them. Without click: the timer's run has no time to import it."""

from __future__ import annotations

import sys

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold red": "1;31"}


def say(text: str, colour: str = "", *, err: bool = False, end: str = "\n") -> None:
    """Print a text at once, in colour where it is read on a terminal; ``err``: on stderr."""
    stream = sys.stderr if err else sys.stdout
    if colour and stream.isatty():
        text = f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"
    print(text, end=end, file=stream, flush=True)


def count(number: int, noun: str) -> str:
    """``1 peer``, ``2 peers``."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def duration(seconds: float) -> str:
    """``4.2 s``, ``3 min``, ``2 h``, ``5 d``: one unit, rounded down."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * (2 if size < 86400 else 1):
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
