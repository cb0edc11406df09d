"""Looking who is alive: probes through the tunnel, counters of the interface, and a question to the remotes."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import cycle, islice

from mesh_sync.errors import DeviceError, Unreachable
from mesh_sync.node.config import Node
from mesh_sync.reconcile.health_goal import Goal, Patience, heard
from mesh_sync.repository.remote import Head, asked, remotes
from mesh_sync.wireguard import ip, wg
from mesh_sync.wireguard.desired import DesiredPeer
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.probe import Prober, target
from mesh_sync.wireguard.protocol import ANSWER_OWED, is_alive

OTHERS = 0.25
"""Seconds that are left to others once the first has answered: as far as the far side of the world."""
AGAIN = 1.0
"""Seconds between two probes of a peer, and between two questions to remotes that do not answer."""
SMALL, SOME = 50, 15
"""So many peers are all probed at once; of more only some each second, in turn. One that answers is enough, and a burst
fills the interface's queue. WireGuard answers 20 handshakes a second of one address, at which others may be, too."""
SHORTEST, LONGEST = 0.005, 0.25
"""Seconds between two looks at the counters: most answers come at once, the others can wait."""
LAST_WORD = 0.5
"""Seconds for a question whose own time is up at the same moment as ours: what it then says is the reason."""

Peers = Mapping[str, DesiredPeer]


def answering(interface: str, peers: Peers, live: Live, kept: frozenset[str]) -> dict[str, str]:
    """Ask every peer that has a session; return the names of those that answer, by public key.

    ``kept``: those that matter. The first of them is waited for as long as it may take, the others shortly; of a crowd
    (`SMALL`) not all are asked.
    """
    moment = time.time()
    living = {key: peers[key] for key, peer in live.peers.items() if key in peers and is_alive(peer.handshake, moment)}
    if not living:
        return {}
    matter = (kept & living.keys()) or frozenset(living)
    in_turn = {key: living[key] for key in (*matter, *(living.keys() - matter))}  # sets: others first in each run
    end = time.monotonic() + ANSWER_OWED
    with _listening(interface, in_turn, live.addresses, live.peers) as looks:
        for found in looks:
            if found & matter:
                end = min(end, time.monotonic() + OTHERS)
                matter = frozenset()
            if found >= living.keys() or time.monotonic() >= end:  # others may have spoken meanwhile, too
                return {key: peer.name for key, peer in living.items() if key in found}
    return {}


def heard_of(
    interface: str, peers: Sequence[DesiredPeer], before: Mapping[str, LivePeer], seconds: float
) -> frozenset[str]:
    """Ask these peers, with a session or without one; return the names of those that were heard since ``before``, under
    whichever of their keys, after ``seconds`` at the latest.
    """
    link, end = ip.link(interface) or {}, time.monotonic() + seconds
    probed = {peer.public_key: peer for peer in peers}
    with _listening(interface, probed, link.get("addresses", ()), before) as looks:
        for found in looks:
            names = frozenset(peer.name for peer in peers if not found.isdisjoint(peer.keys))
            if len(names) == len(peers) or time.monotonic() >= end:
                return names
    return frozenset()


def watch(node: Node, goal: Goal, peers: Peers, patience: Patience, *, any_part: bool = False) -> tuple[Goal, str]:
    """Look for ``goal`` until all of it is there, or the time of a part of it is up.

    With ``any_part``, until any part of it is there, or the time of all of it is up. Return what is missing, and what
    the remotes said last. The counters are read for as long as a peer is looked for: those of thousands take a while.
    """
    began = time.monotonic()
    probed = {key: peers[key] for key in goal.peers if key in peers}
    link, before = ip.link(node.interface) or {}, _counters(node.interface) if goal.peers else {}
    remote = remotes(node, patience.remote)
    with (
        asked(remote, AGAIN) if goal.remote else nullcontext() as question,
        _listening(node.interface, probed, link.get("addresses", ()), before, goal.peers) as looks,
    ):
        for found in looks:
            waited = time.monotonic() - began
            if question and waited >= patience.remote:
                question.join(LAST_WORD)
            said = question.so_far if question else None
            left = goal.left(found, answered=isinstance(said, Head))
            late = patience.overdue(left, waited)
            there = not left or (any_part and left != goal)
            if there or late == left or (late and not any_part):
                if question:
                    question.stop()
                missed = left if there else late
                return missed, said.message if isinstance(said, Unreachable) else ""
    raise AssertionError("there is always another look")


@contextmanager
def _listening(
    interface: str,
    probed: Peers,
    addresses: Iterable[str],
    before: Mapping[str, LivePeer],
    any_of: frozenset[str] | None = None,
) -> Iterator[Iterator[frozenset[str]]]:
    """Looks without end, at growing distances, while peers are probed: who was heard since ``before``.

    ``any_of``: once one of these was heard, or where there are none, no other peer is looked for; None for all.
    """
    prober = Prober(interface)
    versions = {ipaddress.ip_interface(address).version for address in addresses}
    targets = [address for peer in probed.values() if (address := target(peer, versions))]
    try:
        yield _looks(interface, prober, targets, before, any_of)
    finally:
        prober.close()


def _looks(
    interface: str,
    prober: Prober,
    targets: Sequence[str],
    before: Mapping[str, LivePeer],
    any_of: frozenset[str] | None,
) -> Iterator[frozenset[str]]:
    found: frozenset[str] = frozenset()
    due, pause = time.monotonic(), SHORTEST
    turns, at_once = cycle(targets), len(targets) if len(targets) <= SMALL else SOME
    while True:
        if time.monotonic() >= due:
            for address in islice(turns, at_once):
                prober.send(address)
            due = time.monotonic() + AGAIN
        time.sleep(pause)
        pause = min(pause * 2, LONGEST)
        if any_of is None or (any_of and not any_of & found):
            found |= heard(before, _counters(interface))
        yield found


def _counters(interface: str) -> Mapping[str, LivePeer]:
    """The peers as they are. None while the interface is not there, or cannot be read."""
    try:
        found: Mapping[str, LivePeer] = wg.dump(interface)["peers"]
    except DeviceError:
        return {}
    return found
