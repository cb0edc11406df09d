"""What a single value of a TOML file may be. Nothing is converted silently: a number in quotes is not a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mesh_sync.findings import shown

Hook = Callable[[object, object], Any]
"""Given a value of the file (and its type, as cattrs passes it), return what it means. ValueError if it is wrong."""

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""What a peer may be called: a DNS label in lower case (RFC 1123, section 2.1)."""


def text(value: object) -> str:
    """Given a value of the file, return it if it is text; else ValueError."""
    if type(value) is not str:
        raise ValueError(f"must be text in quotes, not {shown(value)}")
    return value


def words(value: object, _: object) -> str:
    """`text` as a hook."""
    return text(value)


def peer_name(value: object, _: object) -> str:
    """A hook for the name of a peer."""
    if not LABEL.fullmatch(text(value)):
        raise ValueError(f"{shown(value)} is not a peer name (a lower-case DNS label)")
    return text(value)


def between(low: int, high: int, what: str) -> Hook:
    """A hook for whole numbers from ``low`` to ``high``; ``what`` names them in the message."""

    def hook(value: object, _: object) -> object:
        if type(value) is not int:
            raise ValueError(f"must be a number, not {shown(value)}")
        if not low <= value <= high:
            raise ValueError(f"{shown(value)} is not {what} ({low} to {high})")
        return value

    return hook


def one_of(*words: str) -> Hook:
    """A hook for a choice of words."""

    def hook(value: object, _: object) -> object:
        if text(value) not in words:
            raise ValueError(f"{shown(value)} is none of {', '.join(map(repr, words))}")
        return value

    return hook


def exactly(kind: type, name: str) -> Hook:
    """A hook for values of one type; ``name`` is what messages call it."""

    def hook(value: object, _: object) -> object:
        if type(value) is not kind:
            raise ValueError(f"must be {name}, not {shown(value)}")
        return value

    return hook


def absolute_path(value: object, _: object) -> Path:
    """A hook for paths that mean the same from everywhere."""
    path = Path(text(value))
    if not path.is_absolute():
        raise ValueError(f"{shown(value)} is not an absolute path")
    return path
