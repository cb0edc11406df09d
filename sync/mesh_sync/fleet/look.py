"""From this node to the whole fleet: whom to ask, what their keys are, and how what they say compares."""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Sequence

from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.fleet.ask import ask
from mesh_sync.fleet.compare import Fleet, compared, most_have, trusted_head
from mesh_sync.fleet.verify import Heard, heard
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.mesh.tree import MAX_FILE
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.repository.bare_copy import BareCopy
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import signers
from mesh_sync.trust.signers import Signers
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.probe import target

MOST_COMMITS = 16
"""Different commits that are looked up in this node's history; nodes of one mesh have few."""


def look(node: Node) -> Fleet:
    """Ask every node that this one has a tunnel with, and itself. Raise DeviceError where nothing is applied here."""
    state = states.load(node.state_file)
    desired = state.last_confirmed.desired
    if desired is None:
        text = "the state file could not be read" if state.lost else "nothing has been applied on this node yet"
        raise DeviceError(text, hint="next: mesh-sync now")
    objects = BareCopy(node.bare_repository, node.repository.max_size).objects
    found = hear(node, desired, whom(desired), signers_at(objects, state.last_confirmed.commit))
    newest, known = _newest(state, node, objects, found)
    return compared(desired.name, newest, found, known)


def whom(desired: Desired) -> dict[str, str]:
    """A mesh address of each node of the list that this one has a tunnel with, and of itself, by name."""
    versions = {ipaddress.ip_interface(address).version for address in desired.addresses}
    own = sorted((str(ipaddress.ip_interface(one).ip) for one in desired.addresses), key=lambda one: ":" in one)
    found = {peer.name: target(peer, versions) for peer in desired.peers if peer.managed and peer.name}
    found[desired.name] = next(iter(own), "")
    return {name: str(ipaddress.ip_address(address)) for name, address in found.items() if address}


def hear(node: Node, desired: Desired, asked: dict[str, str], listed: Signers) -> tuple[Heard, ...]:
    """Ask these nodes, by name and address, and verify what they say."""
    return hear_over(node.interface, desired.mesh, desired.zone, asked, listed)


def hear_over(interface: str, mesh: str, zone: str, asked: dict[str, str], listed: Signers) -> tuple[Heard, ...]:
    """Ask these nodes of a mesh through an interface, and verify what they say."""
    answers = ask(tuple(asked.values()), zone, interface)
    moment = time.time()
    return tuple(
        heard(name, answers.get(address), mesh, listed.of(name, mesh), moment) for name, address in asked.items()
    )


def signers_at(objects: GitObjects, commit: str | None) -> Signers:
    """Whose keys the list names at ``commit``; none where it has no such file, or the copy is gone."""
    try:
        [blob] = objects.blobs_at([f"{commit}:{SIGNERS_FILE}"])
        content = dict(objects.contents([blob], MAX_FILE))[blob] if blob else None
    except CommandError:
        return Signers()
    return signers.parse(content or b"")[0]


def _newest(state: State, node: Node, objects: GitObjects, found: Sequence[Heard]) -> tuple[str | None, frozenset[str]]:
    """The commit that nodes are measured by, and those that are known not to be newer."""
    confirmed, trusted = state.last_confirmed.commit, state.remote.trusted
    try:
        ahead = bool(confirmed and trusted and objects.descends(trusted.commit, confirmed))
        newest = trusted_head(state, node, anchor_is_newer=ahead)
        most = most_have(found)
        if most and newest and most != newest and not objects.descends(newest, most):
            newest = most
        told = (each.statement.commit for each in found if each.statement)
        commits = Counter(commit for commit in told if commit and commit != newest)
        return newest, frozenset(commit for commit, _ in commits.most_common(MOST_COMMITS) if objects.has(commit))
    except CommandError:  # the bare copy is gone: what is applied is all that is known
        return confirmed, frozenset()
