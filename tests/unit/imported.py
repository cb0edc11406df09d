"""What `mesh-sync import` made of a source: the files of the mesh, and what it said."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from command import Ended, mesh_sync

DATA = Path(__file__).parent / "data/import"


def peers(mesh: Path) -> dict[str, dict[str, Any]]:
    return {file.stem: tomllib.loads(file.read_text()) for file in (mesh / "peers").glob("*.toml")}


def networks(mesh: Path) -> object:
    return tomllib.loads((mesh / "mesh.toml").read_text())["networks"]


def notes(ended: Ended) -> list[str]:
    return [line.removeprefix("  ! ") for line in ended.fine().splitlines() if line.startswith("  ! ")]


def tunnels(text: str) -> Mapping[str, set[str]]:
    """Each peer's networks, by its public key.

    Read as `wg setconf` reads them, apart from the importer: host bits mean the network, and a network that two peers
    have is the later one's; one within another of the same peer changes nothing.
    """
    found: dict[str, set[IPv4Network | IPv6Network]] = {}
    key, waiting = "", list[str]()
    for line in text.splitlines():
        code = line.partition("#")[0]
        name, _, value = (part.strip() for part in code.partition("="))
        if name.lower() == "[peer]":
            key, waiting = "", []
        elif name.lower() == "publickey":
            key = value
            found.setdefault(key, set())
        elif name.lower() == "allowedips":
            waiting += filter(None, map(str.strip, value.split(",")))
        for network in (ip_network(each, strict=False) for each in (waiting if key else ())):
            for other in found.values():
                other.discard(network)
            found[key].add(network)
    return {key: {str(one) for one in held if not any(o != one and within(one, o) for o in held)}
            for key, held in found.items()}  # fmt: skip


def within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return str(inner.supernet(new_prefix=min(inner.prefixlen, outer.prefixlen))) == str(outer)


def rendered(mesh: Path, name: str) -> Mapping[str, set[str]]:
    """What a node of the mesh gets."""
    return tunnels(mesh_sync("render", mesh, "--node", name).fine())
