"""The first line of git's own protocol: which repository a client wants, for what (gitprotocol-pack(5)). Pure."""

from __future__ import annotations

HEADER = 4
"""Bytes: the length of the whole line in hexadecimal (gitprotocol-common(5), pkt-line)."""
LARGEST = 512
"""Bytes of such a line; git's own has fewer than 100."""
PATH = b"/mesh"
"""The only repository there is."""


def length(header: bytes) -> int:
    """Given its header, return how many bytes of the line follow. Raise ValueError where it is no request's."""
    if len(header) != HEADER or not all(digit in b"0123456789abcdefABCDEF" for digit in header):
        raise ValueError("no pkt-line")
    whole = int(header, 16)
    if not HEADER < whole <= LARGEST:
        raise ValueError("no request")
    return whole - HEADER


def asks_for_mesh(line: bytes) -> bool:
    """Whether a client wants to fetch from the mesh repository.

    Whatever follows the path (the host's name, the version of the protocol that the client would like) is not heeded.
    """
    return line.split(b"\0", 1)[0].removesuffix(b"\n") == b"git-upload-pack " + PATH
