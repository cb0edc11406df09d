"""What several sources write the same way: addresses, numbers, endpoints. A note says what could not be read."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.workspace.import_.networks import Interface


def interfaces(texts: Iterable[str], what: str, notes: list[str]) -> Iterator[Interface]:
    """The addresses as wg-quick writes them, with or without a prefix; a note for each that is not one."""
    for text in texts:
        if text.strip():
            try:
                yield ipaddress.ip_interface(text.strip())
            except ValueError:
                notes.append(f"{what}: {text.strip()!r} is not an address or network")


def number(text: str, what: str, notes: list[str]) -> int | None:
    """A whole number; None for an empty text and, with a note, for anything else. ``off`` is wg's word for 0."""
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    if text.lower() != "off":
        notes.append(f"{what}: {text!r} is not a number")
    return 0 if text.lower() == "off" else None


def endpoint(host: str, port: str, what: str, notes: list[str]) -> str:
    """``host:port`` as the list has it, IPv6 in brackets; empty, with a note, when it cannot be one."""
    host = host.strip().removeprefix("[").removesuffix("]")
    try:
        return str(Endpoint.parse(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
    except ValueError as error:
        notes.append(f"{what}: {error}")
        return ""
