"""wg-gen-web's data directory: server.json, and a file of JSON for each client, private keys included.

Keys as github.com/vx3r/wg-gen-web writes them (model/server.go, model/client.go). All clients reach the mesh through
the server, so they become unmanaged peers `via` it.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mesh_sync.errors import ConfigError
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.wireguard.keys import is_key, public_key
from mesh_sync.workspace.import_.fields import endpoint, interfaces
from mesh_sync.workspace.import_.machine import SETTINGS_LEFT, Machine, Names, Takeover
from mesh_sync.workspace.import_.networks import Interface, mesh_networks, overlap

SERVER = "server.json"
SERVER_SETTINGS = ("dns", "preUp", "postUp", "preDown", "postDown")
UNTOUCHED = "echo WireGuard"
"""How the commands of a new wg-gen-web start; they do nothing."""


def read(path: Path, networks: tuple[Network, ...]) -> Takeover:
    """Given the directory, return the setup. ``networks``: the mesh's, the server's own if empty.

    Raise ConfigError when there is no usable server.json.
    """
    notes: list[str] = []
    names = Names(notes)
    file = path / SERVER if path.is_dir() else path
    server = _load(file)
    addresses = list(interfaces(_texts(server, "address"), "server: address", notes))
    key = str(server.get("privateKey", ""))
    if not is_key(key) or not addresses:
        raise ConfigError(f"{file} has no usable privateKey or address", hint="PATH is wg-gen-web's data directory")
    _note_settings(server, notes)
    clients = _clients(file.parent, notes)
    name = names.make("server")
    networks = networks or mesh_networks(addresses, [], notes)
    spokes = [one for text, client in clients if (one := _spoke(client, text, name, server, names, notes))]
    where = _endpoint(server, notes)
    hub = Machine(
        name=name,
        public_key=public_key(key),
        private_key=key,
        addresses=tuple(one.ip for one in addresses),
        endpoint=(where,) if where else (),
        subnets=tuple(_behind([client for _, client in clients], networks, notes)),
        listen_port=_number(server, "listenPort"),
        mtu=_number(server, "mtu"),
    )
    return Takeover((hub, *spokes), networks, tuple(notes))


def _load(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text())
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{file} is not JSON") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{file} is not an object of JSON")
    return data


def _clients(folder: Path, notes: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """Every client that can be read, in the order in which they were made."""
    found = []
    for file in sorted(folder.glob("*.json")):
        if file.name == SERVER:
            continue
        try:
            found.append((file.name, _load(file)))
        except ConfigError as error:
            notes.append(f"{file.name}: left out: {error.message}")
    return sorted(found, key=lambda client: str(client[1].get("created", "")))


def _spoke(
    client: Mapping[str, Any], file: str, server: str, settings: Mapping[str, Any], names: Names, notes: list[str]
) -> Machine | None:
    called = str(client.get("name") or file.removesuffix(".json"))
    addresses = tuple(interfaces(_texts(client, "address"), f"{called}: address", notes))
    public, private = str(client.get("publicKey", "")), str(client.get("privateKey", ""))
    if not is_key(public) or not addresses:
        notes.append(f"{called}: left out, {file} has no usable publicKey or address")
        return None
    name = names.make(called)
    if client.get("presharedKey"):
        notes.append(f"{name}: PresharedKey is not imported: {SETTINGS_LEFT['PresharedKey']}")
    quiet = bool(client.get("ignorePersistentKeepalive"))
    return Machine(
        name=name,
        public_key=public,
        private_key=private if is_key(private) and public_key(private) == public else "",
        addresses=tuple(one.ip for one in addresses),
        mtu=_number(settings, "mtu"),
        keepalive=0 if quiet else _number(settings, "persistentKeepalive") or 0,
        via=server,
        managed=False,
        enabled=bool(client.get("enable", True)),
        tags=tuple(_texts(client, "tags")),
        owner=str(client.get("email") or ""),
    )


def _behind(clients: Sequence[Mapping[str, Any]], networks: tuple[Network, ...], notes: list[str]) -> list[Network]:
    """The networks behind the server: what clients reach through it besides the mesh."""
    found: dict[Network, int] = {}
    for client in clients:
        what = f"{client.get('name')}: allowedIPs"
        for one in dict.fromkeys(interfaces(_texts(client, "allowedIPs"), what, notes)):
            if not _of_mesh(one, networks):
                found[one.network] = found.get(one.network, 0) + 1
    exits = [network for network in found if not network.prefixlen]
    for network in exits:
        if found[network] < len(clients):
            notes.append(
                f"server: only {found[network]} of {len(clients)} clients sent everything ({network}) through it; "
                f"`mesh-sync peer set server --subnet {network}` would make every peer do so: left out"
            )
    return [network for network, users in found.items() if network.prefixlen or users == len(clients)]


def _of_mesh(one: Interface, networks: tuple[Network, ...]) -> bool:
    return bool(one.network.prefixlen) and any(overlap(own, one.network) for own in networks)


def _endpoint(server: Mapping[str, Any], notes: list[str]) -> str:
    """The server's endpoint; one without a port has the port that it listens on."""
    text = str(server.get("endpoint") or "")
    if not text:
        return ""
    host, colon, port = text.rpartition(":")
    try:
        ipaddress.IPv6Address(text.strip("[]"))
    except ValueError:
        if colon:
            return endpoint(host, port, "server: endpoint", notes)
    return endpoint(text, str(_number(server, "listenPort") or 51820), "server: endpoint", notes)


def _note_settings(server: Mapping[str, Any], notes: list[str]) -> None:
    for key in SERVER_SETTINGS:
        value = server.get(key)
        if value and not str(value).startswith(UNTOUCHED):
            setting = "DNS" if key == "dns" else key[0].upper() + key[1:]
            notes.append(f"server: {setting} is not imported: {SETTINGS_LEFT[setting]}")


def _texts(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key)
    return [str(item) for item in value] if isinstance(value, list) else []


def _number(data: Mapping[str, Any], key: str) -> int | None:
    """A number that is not 0, which stands for "not set"."""
    value = data.get(key)
    return value if type(value) is int and value > 0 else None
