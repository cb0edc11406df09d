"""Whether a new commit may stay: which peers have to answer again after it, and what is said when none does.

Alive is a peer whose rx counter grew or whose handshake changed (rule R1). Any data packet makes WireGuard answer
within 10 s, whatever the far machine thinks of the packet (fact 12): so silence after a probe means something.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from attrs import frozen

from mesh_sync.node.config import Repository
from mesh_sync.node.state import Trial
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import LivePeer


@frozen
class Goal:
    """What has to be seen: one of ``peers`` (public keys; of none when there are none), and a remote's answer."""

    peers: frozenset[str] = frozenset()
    remote: bool = False

    def __bool__(self) -> bool:
        return bool(self.peers) or self.remote

    def left(self, heard: frozenset[str], *, answered: bool) -> Goal:
        """What is still missing once these peers were heard and a remote has (or has not) answered."""
        return Goal(frozenset() if self.peers & heard else self.peers, self.remote and not answered)


@frozen
class Patience:
    """Seconds that peers, and remotes, are waited for."""

    peers: float
    remote: float

    def overdue(self, left: Goal, waited: float) -> Goal:
        """What of ``left`` has had its time."""
        return Goal(left.peers if waited >= self.peers else frozenset(), left.remote and waited >= self.remote)


def patience(deadline: float, took: float | None, asking: Repository) -> Patience:
    """How long to wait for a sign of life: ``deadline`` seconds, and for remotes that are slow as long as it takes.

    ``took``: seconds after which a remote answered just now; each of them gets twice that. No more than twice what all
    of them get when they are asked for news, which is shared among them in the same way.
    """
    slow = min(2 * (took or 0.0) * len(asking.urls), 2.0 * asking.deadline)
    return Patience(deadline, max(deadline, math.floor(slow)))


def goal(trial: Trial, desired: Desired) -> Goal:
    """What the tried state ``desired`` has to show.

    A node that leaves the mesh, as was announced, need not show anything. Peers that left the list cannot answer, and
    with a new key of this node none does before it has pulled the list. A peer that changes its key may do so meanwhile
    and live under either. One with a new key needs its time as well; but when all of several that were alive get one,
    one of them has to live under it.
    """
    before = trial.previous.desired or trial.found
    if before and before.peers and not desired.peers:
        return Goal()
    if before and before.public_key != desired.public_key:
        return Goal(remote=trial.remote)
    peers = by_key(desired)
    kept = _with_other_keys(trial.alive.keys() & peers.keys(), peers)
    gone = {name for key, name in trial.alive.items() if key not in kept}
    renewed = frozenset(key for key, peer in peers.items() if peer.name in gone)
    several = len({peers[key].name for key in renewed}) > 1
    return Goal(kept | renewed if kept or several else frozenset(), trial.remote)


def by_key(desired: Desired | None) -> dict[str, DesiredPeer]:
    """The peers by public key; one that changes its key by both."""
    return {key: peer for peer in (desired.peers if desired else ()) for key in peer.keys}


def proof(missed: Goal, trial: Trial) -> Goal:
    """What puts the blame on the commit if it is seen with the previous state again: something of what was missed."""
    peers = by_key(trial.previous.desired or trial.found)
    return Goal(_with_other_keys(trial.alive, peers) if missed.peers else frozenset(), missed.remote)


def _with_other_keys(keys: Iterable[str], peers: Mapping[str, DesiredPeer]) -> frozenset[str]:
    """These keys, and the other ones of those ``peers`` that have two."""
    return frozenset(each for key in keys for each in (peers[key].keys if key in peers else (key,)))


def heard(before: Mapping[str, LivePeer], after: Mapping[str, LivePeer]) -> frozenset[str]:
    """Whom something authenticated came from between two readings."""
    return frozenset(key for key, peer in after.items() if key in before and _pulse(peer) != _pulse(before[key]))


def _pulse(peer: LivePeer) -> tuple[int, int]:
    return peer.rx_bytes, peer.handshake


def missing(missed: Goal, waited: Patience, said: str) -> str:
    """The reason, as a part of a sentence; ``said`` is what the remotes said last."""
    seconds = waited.peers if missed.peers else waited.remote
    peers = "no peer that was alive before" if missed.peers else ""
    remote = f"no remote ({said})" if missed.remote and said else "no remote" if missed.remote else ""
    return f"{' and '.join(filter(None, (peers, remote)))} answered within {seconds:g} s"
