"""wg-meshconf's database: a CSV file with one line per peer, private keys included.

Columns as version 2.5.1 writes them (github.com/k4yt3x/wg-meshconf).
"""

from __future__ import annotations

import csv
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from attrs import evolve

from mesh_sync.errors import ConfigError
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.wireguard.keys import public_key
from mesh_sync.workspace.import_.fields import (
    PRESHARED,
    SETTINGS_LEFT,
    endpoint,
    interfaces,
    note_settings,
    number,
    read_text,
)
from mesh_sync.workspace.import_.machine import NO_RENAMES, Endpoints, Machine, Names, Takeover
from mesh_sync.workspace.import_.networks import (
    Interface,
    around,
    exit_part,
    is_host,
    is_own_host,
    mesh_networks,
    within,
)

DATABASE = "database.csv"
PRESHARED_KEYS = "PresharedKeys"
"""A column of its later versions."""
NEEDED = ("Name", "Address", "PrivateKey")


def read(path: Path, networks: tuple[Network, ...], renames: Mapping[str, str] = NO_RENAMES) -> Takeover:
    """Given the database or its directory, return the setup. ``networks``: the mesh's, guessed if empty.

    Raise ConfigError when it is not such a database.
    """
    notes: list[str] = []
    names = Names(notes, renames)
    machines: list[Machine] = []
    carried: dict[str, list[Interface]] = {}
    own: list[Interface] = []
    for row in _rows(path / DATABASE if path.is_dir() else path, notes):
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
        machine = _machine(row, names.make(called, key), key, notes)
        machines.append(evolve(machine, addresses=tuple(one.ip for one in addresses)))
        carried[machine.name] = list(interfaces(row["AllowedIPs"].split(","), f"{machine.name}: AllowedIPs", notes))
    exits = {name: exit_part(many) for name, many in carried.items()}
    subnets = [
        one.network
        for name, many in carried.items()
        for one in many
        if not is_host(one) and one not in exits[name] and not any(address.ip in one.network for address in own)
    ]
    networks = networks or mesh_networks(own, subnets, notes)
    placed = [_placed(one, carried[one.name], exits[one.name], networks, notes) for one in machines]
    offering = [name for name, found in exits.items() if found]
    if len(offering) == 1:  # all the others have sent everything through it
        placed = [one if one.name in offering else evolve(one, exit=offering[0]) for one in placed]
    elif offering:
        notes.append(
            f"{' and '.join(offering)} both carried everything; `mesh-sync peer set N --exit PEER` chooses one"
        )
    return Takeover(tuple(placed), networks, tuple(notes))


def _rows(file: Path, notes: list[str]) -> list[dict[str, str]]:
    try:
        rows = list(csv.DictReader(read_text(file, notes).splitlines(keepends=True)))
    except csv.Error as error:
        raise ConfigError(f"{file} is not a CSV file: {error}") from None
    if not rows or (missing := [column for column in NEEDED if column not in rows[0]]):
        what = f"no column {missing[0]!r}" if rows else "no peers"
        raise ConfigError(f"{file} is not a database of wg-meshconf: it has {what}")
    columns = {*NEEDED, *SETTINGS_LEFT, "AllowedIPs", "Endpoint", "ListenPort", "MTU", "PersistentKeepalive"}
    used = dict.fromkeys(str(column) for row in rows for column, value in row.items() if value)
    notes += (f"the column {column} is not imported" for column in used if column not in columns)
    if PRESHARED_KEYS in used:
        notes.append(PRESHARED)
    return [{column: (row.get(column) or "").strip() for column in columns} for row in rows]


def _machine(row: Mapping[str, str], name: str, key: str, notes: list[str]) -> Machine:
    note_settings(row.__getitem__, name, notes)
    port = number(row["ListenPort"], f"{name}: ListenPort", notes)
    keepalive = number(row["PersistentKeepalive"], f"{name}: PersistentKeepalive", notes)
    if keepalive is not None:
        notes.append(f"{name}: the others sent it keepalives every {keepalive} s; now it sends them itself")
    return Machine(
        name=name,
        called=row["Name"] or "peer",
        public_key=key,
        private_key=row["PrivateKey"],
        addresses=(),
        endpoints=endpoint(row["Endpoint"], str(port or 51820)) if row["Endpoint"] else Endpoints(),
        listen_port=port,
        mtu=number(row["MTU"], f"{name}: MTU", notes),
        keepalive=keepalive,
    )


def _placed(
    machine: Machine,
    carried: Iterable[Interface],
    exits: Container[Interface],
    networks: tuple[Network, ...],
    notes: list[str],
) -> Machine:
    """AllowedIPs are further addresses of the peer where they lie in the mesh, else networks behind it."""
    addresses, subnets = list(machine.addresses), list[Network]()
    for one in carried:
        if is_own_host(one, networks):
            addresses.append(one.ip)
        elif (own := next((own for own in networks if within(own, one.network)), None)) and one not in exits:
            notes.append(around(machine.name, one.network, own))
        else:
            subnets.append(one.network)
    return evolve(machine, addresses=tuple(dict.fromkeys(addresses)), subnets=tuple(dict.fromkeys(subnets)))
