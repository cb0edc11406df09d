"""What a single value of a file may be. Nothing is converted silently: a number in quotes is not a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mesh_sync.findings import shown

Hook = Callable[[object], Any]
"""Given a value of the file, return what it means. ValueError (`table.Wrong` too) says what is wrong with it."""

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""What a peer may be called: a DNS label in lower case (RFC 1123, section 2.1)."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What a person who reads a text does not see, or sees elsewhere: control characters but tabs and ends of lines, line
separators, and what turns the direction of writing around (Unicode 15, sections 23.1 and 23.2)."""
LAST_MOMENT = 6e10
"""Unix seconds, before or after 1970, that no calendar of Python's reaches far beyond."""


def text(value: object) -> str:
    """A hook for text."""
    if type(value) is not str:
        raise ValueError(f"must be text in quotes, not {shown(value)}")
    return value


def one_line(most: int) -> Hook:
    """A hook for what people write on one line, of at most ``most`` characters."""

    def hook(value: object) -> str:
        if {"\n", "\t"} & set(text(value)):
            raise ValueError(f"{shown(value)} is not on one line, without tabs")
        return _seen(text(value), most)

    return hook


def prose(most: int) -> Hook:
    """A hook for what people write on any number of lines, of at most ``most`` characters together."""
    return lambda value: _seen(text(value), most)


def _seen(written: str, most: int) -> str:
    if len(written) > most:
        raise ValueError(f"has {len(written):,} characters; at most {most:,} are allowed")
    if problem := control(written):
        raise ValueError(problem)
    return written


def control(text: str) -> str:
    """What is wrong with a text that has a control character, as the end of a sentence; empty if it has none."""
    found = _CONTROL.search(text)
    if not found:
        return ""
    place = f" (line {line})" if (line := text.count("\n", 0, found.start()) + 1) > 1 else ""
    return f"has the control character U+{ord(found[0]):04X}{place}, which no reader sees; remove it"


def anything(value: object) -> Any:
    """A hook for what is looked at later."""
    return value


def truth(value: object) -> bool:
    """A hook for true and false."""
    if type(value) is not bool:
        raise ValueError(f"must be true or false, not {shown(value)}")
    return value


def whole(value: object) -> int:
    """A hook for whole numbers."""
    if type(value) is not int:
        raise ValueError(f"must be a number, not {shown(value)}")
    return value


def seconds(value: object) -> float:
    """A hook for moments and times in seconds, whole or not; what no calendar reaches is none."""
    if type(value) not in (int, float) or not abs(value) < LAST_MOMENT:  # type: ignore[arg-type]
        raise ValueError(f"must be a number of seconds, not {shown(value)}")
    return value  # type: ignore[return-value]


def peer_name(value: object) -> str:
    """A hook for the name of a peer."""
    if not LABEL.fullmatch(text(value)):
        raise ValueError(f"{shown(value)} is not a peer name (a lower-case DNS label)")
    return text(value)


def between(low: int, high: int, what: str) -> Hook:
    """A hook for whole numbers from ``low`` to ``high``; ``what`` names them in the message."""

    def hook(value: object) -> int:
        if not low <= whole(value) <= high:
            raise ValueError(f"{shown(value)} is not {what} ({low} to {high})")
        return whole(value)

    return hook


def one_of(*words: str) -> Hook:
    """A hook for a choice of words."""

    def hook(value: object) -> str:
        if text(value) not in words:
            raise ValueError(f"{shown(value)} is not one of {', '.join(map(repr, words))}")
        return text(value)

    return hook


_path = one_line(4096)


def absolute_path(value: object) -> Path:
    """A hook for paths that mean the same from everywhere."""
    path = Path(_path(value))
    if not path.is_absolute():
        raise ValueError(f"{shown(value)} is not an absolute path")
    return path
