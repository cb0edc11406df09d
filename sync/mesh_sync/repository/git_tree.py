"""A tree object as git keeps it, read strictly: the one place where bytes of a repository become names. Pure.

git's own commands take names that no working copy could hold: an entry of the root that is literally named
`peers/b.toml` is listed, and compared, just like the file `b.toml` in `peers`. What git would not write is refused.
"""

from __future__ import annotations

import re

FOLDER, SUBMODULE = b"40000", b"160000"
_ENTRY = re.compile(rb"(100[0-7]{3}|120000|160000|40000) ([^\0]+)\0(.{20})", re.DOTALL)
_FIXED = 22
"""Bytes of an entry beside its mode and name: a blank, NUL, and the object's SHA-1."""
_IGNORED = "[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]*"
"""What HFS+ leaves out of a name (git's utf8.c): with it, `.git` has more spellings than can be listed."""
_GIT = _IGNORED.join(("", r"\.", "g", "i", "t", ""))
_BAD = re.compile(
    rf"\.\.?\Z|(?:{_GIT}|git~1)[. ]*(?:[:\\]|\Z)|.*[\x01-\x1f\x7f-\x9f/]", re.IGNORECASE | re.DOTALL
).match
"""A name that is `.`, `..`, or `.git` in any spelling (NTFS drops dots and blanks at the end), or has a slash or a
control character in it."""
_DOUBTFUL = re.compile(rb"\0\.|~1|[^\0 -~]|/", re.IGNORECASE)
"""What every bad name has somewhere; few good ones do, so that a thousand names are checked at once."""

Entry = tuple[bytes, bytes]
"""The mode in octal digits, and the object's hash in binary."""
Listing = dict[bytes, Entry]


class BadTree(Exception):
    """A tree that git does not write: the name that is wrong, if it is one, and why, as the end of a sentence."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name


def parse(content: bytes) -> Listing:
    """Given a tree object (SHA-1), return what the directory has under each name. Raise BadTree."""
    found = _ENTRY.findall(content)
    names = [name for _, name, _ in found]
    joined = b"\0".join([b"", *names])
    if len(joined) + sum([len(mode) for mode, _, _ in found]) + (_FIXED - 1) * len(found) != len(content):
        raise BadTree("", "has an entry that git does not write")
    if _DOUBTFUL.search(joined) and (bad := next(filter(_BAD, map(text, names)), None)):
        raise BadTree(bad, "has a name that no file of a mesh repository can have")
    order = [name + b"/" if mode == FOLDER else name for mode, name, _ in found]
    listing = {name: (mode, thing) for mode, name, thing in found}
    if len(listing) != len(found) or order != sorted(order):
        raise BadTree("", "has names twice or out of order")
    return listing


def text(name: bytes) -> str:
    """A name, or a path, as Python and a message have it."""
    return name.decode(errors="backslashreplace")
