"""Exits that do not exist, lead nowhere, or are used by no peer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import datetime

from mesh_sync.findings import WARNING, Finding, some
from mesh_sync.mesh.exits import NONE, exit_networks, versions
from mesh_sync.mesh.layout import MESH_FILE
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.topology import Topology


def exits(mesh: Mesh, broken: Set[str]) -> Iterator[Finding]:
    """Exits that are no peers, not even ``broken`` ones, that offer none, or are the peer itself."""
    asked = [(MESH_FILE, "", mesh.exit), *((peer.file, peer.name, peer.exit) for peer in mesh.peers.values())]
    for file, name, exit_ in asked:
        if exit_ is None or exit_ == NONE or exit_ in broken:
            continue
        if exit_ == name:
            yield Finding(file, "exit", f'is the peer itself; "{NONE}" is for one that uses no exit')
        elif exit_ not in mesh.peers:
            yield Finding(file, "exit", f"there is no peer {exit_!r}")
        elif not exit_networks(mesh.peers[exit_]):
            text = f'{exit_} offers no exit: its subnets hold no default route, such as "0.0.0.0/0" and "::/0"'
            yield Finding(file, "exit", text)
    if NONE in mesh.peers:
        yield Finding(
            mesh.peers[NONE].file, "", f'no peer can be called "{NONE}": as an exit, it means that there is none'
        )


def use_of_exits(topology: Topology, moment: datetime) -> Iterator[Finding]:
    """Exits that no peer uses or that are off, that carry half of the traffic, or whose traffic is not carried on."""
    mesh, users = topology.mesh, topology.users_of_exits
    for file, exit_ in [(MESH_FILE, mesh.exit), *((peer.file, peer.exit) for peer in mesh.peers.values())]:
        peer = mesh.peers.get(exit_ or "")
        if peer and exit_networks(peer) and peer.name not in topology.members:
            why = "cut off" if peer.active(moment) else "disabled or expired"
            text = f"{peer.name} is {why}: what should leave by it leaves by each peer's own network"
            yield Finding(file, "exit", text, WARNING)
    for name, peer in topology.members.items():
        offered = topology.exits(name)
        if offered and name not in users:
            text = (
                f'is offered as an exit ({some(offered)}) that no peer uses: exit = "{name}" in a peer\'s file, or in '
            )
            yield Finding(peer.file, "subnets", f"{text}{MESH_FILE} for all", WARNING)
        for version in {4, 6} - set(versions(offered)) if name in users else ():
            by = f"IPv{version}"
            text = f"offer an exit without {by}: what {some(users[name])} sends by {by} does not leave by it"
            yield Finding(peer.file, "subnets", text, WARNING)
        if name in users and (other := topology.exit_of(name)):
            text = (
                f"is {other}, while {name} is an exit of others ({some(users[name])}): what they send would not return"
            )
            yield Finding(peer.file, "exit", text)
    yield from _relays(topology)


def _relays(topology: Topology) -> Iterator[Finding]:
    """A relay on the way to an exit sends on what it is sent by its own routes, so it has to use that exit as well."""
    for name, peer in topology.members.items():
        exit_ = topology.exit_of(name)
        for relay in topology.path(name, exit_)[1:-1] if exit_ else ():
            if topology.exit_of(relay.name) != exit_:
                text = (
                    f"{exit_} is behind the relay {relay.name}, which does not use that exit and would not pass it on: "
                    f'say exit = "{exit_}" in {relay.file} as well, or via = "{exit_}" here'
                )
                yield Finding(peer.file, "exit", text)
