"""TOML that strangers wrote: the one place in which the files of the mesh repository are read as TOML. Pure."""

from __future__ import annotations

import re
import tomllib
from typing import Any

MAX_DOTS = 32
"""Dots on one line, outside quotes and comments; no file of the mesh has more than a few."""
_QUOTED = re.compile(  # no possessive quantifiers: those of Python 3.11.2 (Debian 12) lose matches
    r"""
    \"\"\" (?: [^"\\] | \\.? | "(?!"") )* (?: "{3,5} )?
    | ''' (?: [^'] | '(?!'') )* (?: '{3,5} )?
    | " (?: [^"\\\n] | \\[^\n]? )* "?
    | ' [^'\n]* '?
    | \# [^\n]*
    """,
    re.DOTALL | re.VERBOSE,
)


def loads(content: bytes) -> dict[str, Any]:
    """What the file says. Raise ValueError (UnicodeDecodeError, TOMLDecodeError) or RecursionError for what is no TOML.

    A key of thousands of parts would keep tomllib busy for half a minute: its time grows with their square.
    """
    text = content.decode("utf-8-sig")
    if text.count(".") > MAX_DOTS and any(line.count(".") > MAX_DOTS for line in _QUOTED.sub("_", text).split("\n")):
        raise tomllib.TOMLDecodeError(f"a line has more than {MAX_DOTS} dots outside quotes")
    return tomllib.loads(text)
