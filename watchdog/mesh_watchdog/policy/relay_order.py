"""Which relays there are for a peer, the first choice first: the same order at both ends."""

from __future__ import annotations

from mesh_sync.wireguard.relays import in_order
from mesh_watchdog.policy.peer import UP
from mesh_watchdog.policy.state import State

ASKED = 2
"""Relays of a pair that are asked whether they see the other end: the one that carries it, or is to, and a spare."""


def order(state: State, key: str) -> list[str]:
    """The keys of all relays, in the order in which this node and a peer use them."""
    keys, peers, here = state.relaying.relays, state.peers, state.here
    called = {name: peers[relay].declared.pair_name or name for name, relay in keys.items() if relay in peers}
    declared = peers[key].declared
    names = in_order(here.pair_name or here.name, declared.pair_name or declared.name, keys, called)
    return [keys[name] for name in names]


def to_ask(state: State, key: str) -> list[str]:
    """The relays to be asked whether they see a peer that is missed. One that carries it tells by itself."""
    if not state.relaying.relays or not may_be_carried(state, key):
        return []
    ready = [relay for relay in order(state, key) if is_ready(state, relay)][:ASKED]
    return [relay for relay in ready if relay != state.relaying.relay_of(key)]


def is_relay(state: State, key: str) -> bool:
    """Whether the list lets this peer carry others."""
    return key in state.relaying.relays.values()


def is_ready(state: State, relay: str) -> bool:
    """Whether it is a relay that is up here."""
    return is_relay(state, relay) and state.peers[relay].phase == UP


def may_be_carried(state: State, key: str) -> bool:
    """Whether a relay may carry this peer."""
    return key in state.peers and not state.peers[key].declared.direct_only and not is_relay(state, key)
