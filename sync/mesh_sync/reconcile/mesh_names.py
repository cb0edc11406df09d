"""Names of peers for the programs of this machine: by systemd-resolved or /etc/hosts, as node.toml has it.

systemd-resolved is told to ask this node's own nameserver (mesh-watchdog) for names below the mesh's zone, and for no
others. It keeps that for as long as the interface is there; what it was told is in `names_file`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.names.hosts_block import block, with_block
from mesh_sync.node.config import Node
from mesh_sync.system.files import write_atomically
from mesh_sync.system.run import run
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.plan import Change

KIND = "names"


def drift(node: Node, desired: Desired) -> Iterator[Change]:
    """What has to change so that this machine finds peers as node.toml says; this only looks at two files."""
    here, there = _hosts(node), _wanted_hosts(node, desired)
    if here is not None and with_block(here, node.interface, there) != here:
        done = "written to" if there else "removed from"
        yield Change(KIND, f"names of peers {done} {node.paths.hosts}", value="hosts")
    wanted = _wanted_resolved(node, desired)
    if _told(node) != (wanted and {"device": _number(node.interface), "words": wanted}):
        how = f"asked for below {desired.zone}" if wanted else "no longer asked for"
        yield Change(KIND, f"names of peers {how} by systemd-resolved", value="resolved")


def bring_about(node: Node, desired: Desired, values: frozenset[str]) -> tuple[str, ...]:
    """Carry out changes of these ``values``. Return what this machine refused; the mesh works without it."""
    refused = []
    if "hosts" in values:
        refused.append(_write(node, _wanted_hosts(node, desired)))
    if "resolved" in values:
        refused.append(_tell(node, _wanted_resolved(node, desired)))
    return tuple(filter(None, refused))


def take_away(node: Node) -> tuple[str, ...]:
    """Remove all of it. Return what could not be removed."""
    refused = [_write(node, b"")]
    if _told(node):
        refused.append(_tell(node, []))
    return tuple(filter(None, refused))


# -- /etc/hosts


def _wanted_hosts(node: Node, desired: Desired) -> bytes:
    if node.dns.names != "hosts":
        return b""
    own = tuple(sorted(address.partition("/")[0] for address in desired.addresses))
    named = sorted([(desired.name, own), *((peer.name, peer.addresses) for peer in desired.peers)])
    lines = (f"{address} {name}.{desired.zone}" for name, addresses in named for address in addresses)
    return block(node.interface, lines)


def _hosts(node: Node) -> bytes | None:
    """The content of the file; None if it cannot be read, empty if there is none."""
    try:
        return node.paths.hosts.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError:
        return None


def _write(node: Node, new: bytes) -> str:
    """Put this block into the file, which keeps its owner and mode. Return what went wrong, if anything."""
    before = _hosts(node)
    if before is None or (after := with_block(before, node.interface, new)) == before:
        return ""
    path = Path(os.path.realpath(node.paths.hosts))
    try:
        found = path.stat() if path.exists() else None
        owner = (found.st_uid, found.st_gid) if found else None
        write_atomically(path, after, found.st_mode & 0o7777 if found else 0o644, owner=owner)
    except (OSError, DeviceError) as error:
        text = error.message if isinstance(error, DeviceError) else f"{path} cannot be written: {error.strerror}"
        return f"names of peers are not as node.toml has them: {text}; a unit needs ReadWritePaths={path.parent}"
    return ""


# -- systemd-resolved


def _wanted_resolved(node: Node, desired: Desired) -> list[str]:
    """What `resolvectl` is told, line by line; empty if it is not to be used."""
    if node.dns.names != "resolved":
        return []
    own = sorted(address.partition("/")[0] for address in desired.addresses)
    return [
        f"dns {node.interface} {' '.join(own)}",
        f"domain {node.interface} ~{desired.zone}",
        f"default-route {node.interface} no",
        f"dnssec {node.interface} no",
        f"dnsovertls {node.interface} no",
    ]


def _told(node: Node) -> dict[str, object] | list[str]:
    """What systemd-resolved was told last; empty if nothing."""
    try:
        found = read_json(node.names_file.read_bytes())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, dict) else []


def _tell(node: Node, words: list[str]) -> str:
    """Tell it this instead of what it was told before. Return what went wrong, if anything."""
    try:
        if not words and _number(node.interface):
            run(["resolvectl", "revert", node.interface])
        for line in words:
            run(["resolvectl", *line.split()])
    except CommandError as error:
        if words or error.reason is not Reason.NOT_FOUND:  # if resolvectl is gone, so is what it was told
            return f"names of peers are not as node.toml has them: {error.message}"
    if words:
        told = {"device": _number(node.interface), "words": words}
        write_atomically(node.names_file, json.dumps(told), durable=False)
    else:
        node.names_file.unlink(missing_ok=True)
    return ""


def _number(interface: str) -> int:
    with suppress(OSError):
        return socket.if_nametoindex(interface)
    return 0
