"""wg-meshconf's database: a CSV file with one line per peer, private keys included.

Columns as version 2.5.1 writes them (github.com/k4yt3x/wg-meshconf).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from mesh_sync.errors import ConfigError
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.wireguard.keys import public_key
from mesh_sync.workspace.import_.fields import SETTINGS_LEFT, endpoint, interfaces, note_settings, number, read_text
from mesh_sync.workspace.import_.machine import Machine, Names, Takeover
from mesh_sync.workspace.import_.networks import Interface, exit_part, is_host, is_own_host, mesh_networks

DATABASE = "database.csv"
NEEDED = ("Name", "Address", "PrivateKey")


def read(path: Path, networks: tuple[Network, ...]) -> Takeover:
    """Given the database or its directory, return the setup. ``networks``: the mesh's, guessed if empty.

    Raise ConfigError when it is not such a database.
    """
    notes: list[str] = []
    names = Names(notes)
    machines: list[Machine] = []
    carried: dict[str, list[Interface]] = {}
    own: list[Interface] = []
    for row in _rows(path / DATABASE if path.is_dir() else path):
        called = row["Name"] or "peer"
        addresses = list(interfaces(row["Address"].split(","), f"{called}: Address", notes))
        try:
            key = public_key(row["PrivateKey"])
        except ValueError:
            notes.append(f"{called}: left out, it has no usable PrivateKey to derive its public key from")
            continue
        if not addresses:
            notes.append(f"{called}: left out, it has no usable Address")
            continue
        own += addresses
        machine = _machine(row, names.make(called), key, notes)
        machines.append(evolve(machine, addresses=tuple(one.ip for one in addresses)))
        carried[machine.name] = list(interfaces(row["AllowedIPs"].split(","), f"{machine.name}: AllowedIPs", notes))
    exits = {name: exit_part(many) for name, many in carried.items()}
    declared = [one.network for one in own]
    subnets = [
        one.network
        for name, many in carried.items()
        for one in many
        if not is_host(one) and not is_own_host(one, declared) and one not in exits[name]
    ]
    networks = networks or mesh_networks(own, subnets, notes)
    placed = [_placed(one, carried[one.name], networks) for one in machines]
    offering = [name for name, found in exits.items() if found]
    if len(offering) == 1:  # all the others have sent everything through it
        placed = [one if one.name in offering else evolve(one, exit=offering[0]) for one in placed]
    elif offering:
        notes.append(
            f"{' and '.join(offering)} both carried everything; `mesh-sync peer set N --exit PEER` chooses one"
        )
    return Takeover(tuple(placed), networks, tuple(notes))


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(read_text(file).splitlines(keepends=True)))
    except csv.Error as error:
        raise ConfigError(f"{file} is not a CSV file: {error}") from None
    if not rows or (missing := [column for column in NEEDED if column not in rows[0]]):
        what = f"no column {missing[0]!r}" if rows else "no peers"
        raise ConfigError(f"{file} is not a database of wg-meshconf: it has {what}")
    columns = {*NEEDED, *SETTINGS_LEFT, "AllowedIPs", "Endpoint", "ListenPort", "MTU", "PersistentKeepalive"}
    return [{column: (row.get(column) or "").strip() for column in columns} for row in rows]


def _machine(row: Mapping[str, str], name: str, key: str, notes: list[str]) -> Machine:
    note_settings(row.get, name, notes)
    port = number(row["ListenPort"], f"{name}: ListenPort", notes)
    keepalive = number(row["PersistentKeepalive"], f"{name}: PersistentKeepalive", notes)
    if keepalive is not None:
        notes.append(f"{name}: the others sent it keepalives every {keepalive} s; now it sends them itself")
    where = endpoint(row["Endpoint"], str(port or 51820), f"{name}: Endpoint", notes) if row["Endpoint"] else ()
    return Machine(
        name=name,
        public_key=key,
        private_key=row["PrivateKey"],
        addresses=(),
        endpoint=where,
        listen_port=port,
        mtu=number(row["MTU"], f"{name}: MTU", notes),
        keepalive=keepalive,
    )


def _placed(machine: Machine, carried: list[Interface], networks: tuple[Network, ...]) -> Machine:
    """AllowedIPs are further addresses of the peer where they lie in the mesh, else networks behind it."""
    hosts = tuple(one.ip for one in carried if is_own_host(one, networks))
    subnets = tuple(one.network for one in carried if not is_own_host(one, networks))
    addresses = tuple(dict.fromkeys(machine.addresses + hosts))
    return evolve(machine, addresses=addresses, subnets=tuple(dict.fromkeys(subnets)))
