"""What several sources write the same way.

``notes`` gets a line for what cannot be read or is not imported; ``what`` names the place in that line.
"""

from __future__ import annotations

import codecs
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mesh_sync.errors import ConfigError
from mesh_sync.mesh.schema import MAX_NAMESERVERS, nameserver
from mesh_sync.wireguard.endpoint import Endpoint, address_in
from mesh_sync.workspace.import_.machine import Endpoints
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
_OUTPUT = re.compile(r"(?<!! )(?:-o|--out-interface|oif|oifname) +[\"']?([\w.@-]+)")
"""The interface of a rule, as iptables and nft write it."""
PRESHARED = (
    "preshared keys are not imported: `mesh-sync secret new` gives all pairs new ones; a client whose config has an "
    "old one, such as a phone's, must be exported again"
)


def read_text(file: Path, notes: list[str], most: int | None = None) -> str:
    """A file's text: UTF-8, UTF-16 with a byte order mark, else Latin-1; none of one with more than ``most`` bytes.

    Raise ConfigError when it cannot be read.
    """
    try:
        data = file.read_bytes() if most is None or file.stat().st_size <= most else b""
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        if wide or b"\0" in data:
            raise ConfigError(f"{file} is not a text file") from None
    notes.append(f"{file.name}: is not UTF-8, and is read as Latin-1")
    return data.removeprefix(codecs.BOM_UTF8).decode("latin-1")


def note_settings(value_of: Callable[[str], str], whose: str, notes: list[str]) -> None:
    """A note for each of wg-quick's settings that has a value here and is not imported."""
    notes += (f"{whose}: {key} is not imported: {why}" for key, why in SETTINGS_LEFT.items() if value_of(key))
    for interface in _masqueraded(value_of("PostUp")):
        does = f"`mesh-sync join … --masquerade {interface}` on that machine, or [gateway] in its node.toml, does that"
        notes.append(f"{whose}: its PostUp masquerades on {interface}: {does}")
    if value_of("PresharedKey"):
        notes.append(PRESHARED)


def _masqueraded(commands: str) -> Iterator[str]:
    """The interfaces on which these commands masquerade, each once; IF where a rule does not say."""
    rules = (rule for rule in re.split(r"[;\n]|&&", commands) if "masquerade" in rule.lower())
    yield from dict.fromkeys(found[1] if (found := _OUTPUT.search(rule)) else "IF" for rule in rules)


def interfaces(texts: Iterable[str], what: str, notes: list[str]) -> Iterator[Interface]:
    """The addresses as wg-quick writes them, with or without a prefix."""
    for text in filter(None, map(str.strip, texts)):
        try:
            yield ipaddress.ip_interface(text)
        except ValueError:
            notes.append(f"{what}: {text!r} is not an address or network")


def nameservers(texts: Iterable[str], what: str, notes: list[str]) -> tuple[str, ...]:
    """What `DNS =` has, as the list has it: nameservers, and search domains beside one."""
    found, left = dict[str, None](), list[str]()
    for text in filter(None, map(str.strip, texts)):
        try:
            found[nameserver(text.lower())] = None
        except ValueError as error:
            left.append(str(error))
    if not any(map(address_in, found)):
        left += (f"{domain} alone is no nameserver" for domain in found)
        found.clear()
    left += (f"{one} is one more than {MAX_NAMESERVERS}" for one in list(found)[MAX_NAMESERVERS:])
    notes += (f"{what}: left out: {why}" for why in left)
    return tuple(found)[:MAX_NAMESERVERS]


def number(text: str, what: str, notes: list[str]) -> int | None:
    """A whole number, or None. ``off`` is wg's word for 0."""
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    if text.lower() == "off":
        return 0
    if text:
        notes.append(f"{what}: {text!r} is not a number")
    return None


def endpoint(host: str, port: str) -> Endpoints:
    """``host:port`` as the list has it, IPv6 in brackets, or what is wrong with it. ``port`` may be empty."""
    host = host.strip().removeprefix("[").removesuffix("]")
    text = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    try:
        return Endpoints(usable=(str(Endpoint.parse(text)),))
    except ValueError as error:
        return Endpoints(to_mend=((text, str(error)),))
