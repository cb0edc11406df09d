"""Words of a command as a person pastes them into a shell: `shlex`, and names that are no text."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable


def quote(word: str) -> str:
    """One word. What cannot be shown, such as a byte of a name that is not UTF-8, is escaped as bash reads it."""
    if word.isprintable():
        return shlex.quote(word)
    kept = {ord(char): char for char in map(chr, range(0x20, 0x7F)) if char not in "\\'"}
    return "$'" + "".join(kept.get(byte, f"\\x{byte:02x}") for byte in os.fsencode(word)) + "'"


def join(words: Iterable[str]) -> str:
    """A whole command."""
    return " ".join(map(quote, words))
