"""Names of the mesh in hosts(5): a block of lines between two marks; all other lines stay as they are. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def marks(interface: str) -> tuple[bytes, bytes]:
    """The marks around the block of this interface's mesh."""
    begin = f"# BEGIN mesh-sync {interface}: written by mesh-sync, changes are lost\n"
    return begin.encode(), f"# END mesh-sync {interface}\n".encode()


def block(interface: str, lines: Iterable[str]) -> bytes:
    """The whole block; empty without lines."""
    begin, end = marks(interface)
    body = "".join(f"{line}\n" for line in lines).encode()
    return begin + body + end if body else b""


def with_block(text: bytes, interface: str, new: bytes) -> bytes:
    """The file's text with this block in place of the present one, else at the end.

    A block without its end was cut by another program: only lines that are certainly ours are removed.
    """
    begin, end = marks(interface)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if found and closed:
        return before + new + after
    if found:
        text = before + rest
    if new and text and not text.endswith(b"\n"):
        text += b"\n"
    return text + new
