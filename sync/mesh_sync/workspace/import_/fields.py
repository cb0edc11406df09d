"""What several sources write the same way.

``notes`` gets a line for what cannot be read or is not imported; ``what`` names the place in that line.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mesh_sync.errors import ConfigError
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.workspace.import_.networks import Interface

SETTINGS_LEFT = {
    "DNS": "mesh-sync sets no resolver",
    "FwMark": "mesh-sync chooses the mark itself",
    "PostDown": "the list holds no commands",
    "PostUp": "the list holds no commands",
    "PreDown": "the list holds no commands",
    "PreUp": "the list holds no commands",
    "PresharedKey": "the list holds no secrets",
    "SaveConfig": "mesh-sync writes the file itself",
    "Table": "mesh-sync manages the routes itself",
}
"""Settings of wg-quick that are not imported, and why."""


def read_text(file: Path, most: int | None = None) -> str:
    """A file's text; none of one with more than ``most`` bytes. Raise ConfigError when it cannot be read."""
    try:
        return file.read_text("utf-8") if most is None or file.stat().st_size <= most else ""
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not a text file") from None


def note_settings(value_of: Callable[[str], object], whose: str, notes: list[str]) -> None:
    """A note for each of wg-quick's settings that has a value here and is not imported."""
    notes += (f"{whose}: {key} is not imported: {why}" for key, why in SETTINGS_LEFT.items() if value_of(key))


def interfaces(texts: Iterable[str], what: str, notes: list[str]) -> Iterator[Interface]:
    """The addresses as wg-quick writes them, with or without a prefix."""
    for text in filter(None, map(str.strip, texts)):
        try:
            yield ipaddress.ip_interface(text)
        except ValueError:
            notes.append(f"{what}: {text!r} is not an address or network")


def number(text: str, what: str, notes: list[str]) -> int | None:
    """A whole number, or None. ``off`` is wg's word for 0."""
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    if text.lower() == "off":
        return 0
    if text:
        notes.append(f"{what}: {text!r} is not a number")
    return None


def endpoint(host: str, port: str, what: str, notes: list[str]) -> tuple[str, ...]:
    """``host:port`` as the list has it, IPv6 in brackets; empty when it cannot be one."""
    host = host.strip().removeprefix("[").removesuffix("]")
    try:
        return (str(Endpoint.parse(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")),)
    except ValueError as error:
        notes.append(f"{what}: {error}")
        return ()
