"""wg-gen-web's data directory: server.json, and a file of JSON for each client, private keys included.

Names and keys as github.com/vx3r/wg-gen-web writes them (storage/file.go, core/client.go, model/): a client's file is
called by its UUID, without a suffix. A client's `address` is what the server's AllowedIPs have for it, so networks in
it lie behind the client. All clients reach the mesh through the server, so they become unmanaged peers `via` it. Their
configs have the server's `dns` and their own `allowedIPs` (template/template.go); the server's has no nameservers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from attrs import evolve

from mesh_sync.errors import ConfigError
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.wireguard.keys import is_key, public_key
from mesh_sync.workspace.import_.fields import endpoint, interfaces, nameservers, note_settings, read_text
from mesh_sync.workspace.import_.machine import NO_RENAMES, Endpoints, Machine, Names, Takeover
from mesh_sync.workspace.import_.networks import (
    Interface,
    around,
    collapsed,
    exit_networks,
    exit_part,
    mesh_networks,
    within,
)

SERVER = "server.json"
UNTOUCHED = "echo WireGuard"
"""How the commands of a new wg-gen-web start; they do nothing."""


def read(path: Path, networks: tuple[Network, ...], renames: Mapping[str, str] = NO_RENAMES) -> Takeover:
    """Given the directory, return the setup. ``networks``: the mesh's, the server's own if empty.

    Raise ConfigError when there is no usable server.json.
    """
    notes: list[str] = []
    names = Names(notes, renames)
    file = path / SERVER if path.is_dir() else path
    server = _load(file, notes)
    addresses = list(interfaces(_texts(server, "address"), "server: address", notes))
    key = str(server.get("privateKey", ""))
    if not is_key(key) or not addresses:
        raise ConfigError(f"{file} has no usable privateKey or address", hint="PATH is wg-gen-web's data directory")
    note_settings(lambda key: "" if key == "DNS" else _setting(server, key), "server", notes)
    dns = nameservers(_texts(server, "dns"), "server: dns", notes)
    clients = _clients(file.parent, notes)
    name = names.make("server", public_key(key))
    networks = networks or mesh_networks(addresses, [], notes)
    pairs = [
        (evolve(one, dns=dns), client)
        for text, client in clients
        if (one := _spoke(client, text, name, networks, server, names, notes))
    ]
    spokes = [one for one, _ in pairs]
    behind = _behind([client for _, client in clients], networks, spokes, notes)
    leaving = exit_networks(behind)
    inside = {*networks, *behind, *(subnet for spoke in spokes for subnet in spoke.subnets)} - leaving
    spokes = [
        _with_routes(one, _allowed(client, []), inside | leaving if one.exit else inside, notes)
        for one, client in pairs
    ]
    hub = Machine(
        name=name,
        called="server",
        public_key=public_key(key),
        private_key=key,
        addresses=tuple(one.ip for one in addresses),
        endpoints=_endpoint(server),
        subnets=tuple(behind),
        listen_port=_number(server, "listenPort"),
        mtu=_number(server, "mtu"),
    )
    return Takeover((hub, *spokes), networks, tuple(notes))


def _load(file: Path, notes: list[str]) -> dict[str, Any]:
    try:
        data = json.loads(read_text(file, notes))
    except (ValueError, RecursionError):
        raise ConfigError(f"{file} is not JSON") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{file} is not an object of JSON")
    return data


def _clients(folder: Path, notes: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """Every client that can be read, in the order in which they were made."""
    found = []
    for file in sorted(folder.iterdir()):
        if file.name == SERVER:
            continue
        if not _is_uuid(file.name.removesuffix(".json")):
            if file.suffix == ".json":
                notes.append(f"{file.name}: left out, a client's file is called by a UUID")
            continue
        if not file.is_file():
            notes.append(f"{file.name}: left out, it is not a file")
            continue
        try:
            found.append((file.name, _load(file, notes)))
        except ConfigError as error:
            notes.append(f"{file.name}: left out: {error.message}")
    return sorted(found, key=lambda client: str(client[1].get("created", "")))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _spoke(
    client: Mapping[str, Any],
    file: str,
    server: str,
    networks: tuple[Network, ...],
    settings: Mapping[str, Any],
    names: Names,
    notes: list[str],
) -> Machine | None:
    called = str(client.get("name") or file.removesuffix(".json"))
    carried = tuple(interfaces(_texts(client, "address"), f"{called}: address", notes))
    addresses = [one for one in carried if any(one.ip in own for own in networks)] or carried[:1]
    public, private = str(client.get("publicKey", "")), str(client.get("privateKey", ""))
    if not is_key(public) or not addresses:
        notes.append(f"{called}: left out, {file} has no usable publicKey or address")
        return None
    name = names.make(called, public)
    note_settings(partial(_setting, client), name, notes)
    quiet = bool(client.get("ignorePersistentKeepalive"))
    return Machine(
        name=name,
        called=called,
        public_key=public,
        private_key=private if is_key(private) and public_key(private) == public else "",
        addresses=tuple(one.ip for one in addresses),
        subnets=tuple(dict.fromkeys(one.network for one in carried if one not in addresses)),
        mtu=_number(settings, "mtu"),
        keepalive=0 if quiet else _number(settings, "persistentKeepalive") or 0,
        preshared=bool(client.get("presharedKey")),
        via=server,
        exit=server if exit_part(_allowed(client, notes)) else "",
        managed=False,
        enabled=bool(client.get("enable", True)),
        tags=tuple(_texts(client, "tags")),
        owner=str(client.get("email") or ""),
    )


def _with_routes(spoke: Machine, allowed: Sequence[Interface], reached: set[Network], notes: list[str]) -> Machine:
    """A client with its `allowedIPs` as they are, unless they come to what it reaches anyway."""
    routes = dict.fromkeys(one.network for one in allowed)
    for route in [one for one in routes if any(within(one, network) for network in spoke.subnets)]:
        del routes[route]
        notes.append(f"{spoke.name}: {route} in allowedIPs is its own network: left out")
    others = reached.difference(spoke.subnets)
    return spoke if collapsed(routes) in (set(), collapsed(others)) else evolve(spoke, export_routes=tuple(routes))


def _behind(
    clients: Sequence[Mapping[str, Any]], networks: tuple[Network, ...], spokes: Sequence[Machine], notes: list[str]
) -> list[Network]:
    """The networks behind the server: what clients reach through it besides the mesh and what lies behind clients.

    A default route is its exit.
    """
    elsewhere = [*networks, *(subnet for spoke in spokes for subnet in spoke.subnets)]
    found: dict[Network, None] = {}
    for client in clients:
        allowed = _allowed(client, [])
        exits = {one.network for one in exit_part(allowed)}
        for network in (one.network for one in allowed):
            if network in exits:
                found[network] = None
            elif not any(within(network, other) for other in elsewhere):
                if inside := next((own for own in networks if within(own, network)), None):
                    notes.append(around("server", network, inside))
                else:
                    found[network] = None
    return list(found)


def _allowed(client: Mapping[str, Any], notes: list[str]) -> list[Interface]:
    return list(interfaces(_texts(client, "allowedIPs"), f"{client.get('name')}: allowedIPs", notes))


def _endpoint(server: Mapping[str, Any]) -> Endpoints:
    """The server's endpoint; one without a port has the port that it listens on."""
    text = str(server.get("endpoint") or "")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and "[" not in host):  # a name, or an IPv6 address
        host, port = text, str(_number(server, "listenPort") or 51820)
    return endpoint(host, port) if text else Endpoints()


def _setting(data: Mapping[str, Any], key: str) -> str:
    """The value of one of wg-quick's settings; empty where it does nothing."""
    text = str(data.get("dns" if key == "DNS" else key[0].lower() + key[1:]) or "")
    return "" if text.startswith(UNTOUCHED) else text


def _texts(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key)
    return [str(item) for item in value] if isinstance(value, list) else []


def _number(data: Mapping[str, Any], key: str) -> int | None:
    """A number that is not 0, which stands for "not set"."""
    value = data.get(key)
    return value if type(value) is int and value > 0 else None
