"""Networks that several peers lead to: each is sent to the first of these peers that is heard. Pure.

The list has their order, and each node decides by what it hears itself: in WireGuard a network belongs to one peer only
(`mesh_sync.wireguard.gateways`). A gateway that is silent loses its networks to the next one that is heard directly. It
gets them back when it has been heard for a while; for a longer one, if that did not last. While this machine is cut
off, or none of them is heard, all stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from mesh_watchdog.policy.actions import Lead
from mesh_watchdog.policy.led import LONG_AGO, Leading, Led
from mesh_watchdog.policy.peer import MISSING, UP
from mesh_watchdog.policy.state import Decision, State

LOSE_AFTER = 5.0
"""Seconds without an answer after which a silent gateway loses its networks: one that moved is found by then."""
HOLD, LONGEST_HOLD = 10.0, 300.0
"""An earlier choice gets a network back when it was heard for HOLD seconds; each time that this did not last for twice
as long as before, up to LONGEST_HOLD …"""
STEADY = 600.0
"""… unless it lasted this many seconds."""
READ_SINCE = 1.0
"""A reading of the interface so soon after a move may show how it was before."""


def listed(known: Leading, order: Mapping[str, tuple[str, ...]]) -> Leading:
    """What is known under a new list: of networks that have the same gateways in the same order."""
    if not order and not known.order:
        return known
    return Leading(order, {net: led for net, led in known.now.items() if order.get(net) == known.order.get(net, ())})


def step(state: State, moment: float) -> Decision:
    """Move networks to other gateways where that is due, after a reading of the interface."""
    if not state.leading.order:
        return state, ()
    now, moves = dict[str, Led](), list[Lead]()
    for network, keys in state.leading.order.items():
        now[network] = led = _as_found(state, network, keys, moment)
        if (key := _choice(state, keys, led, moment)) != led.by:
            now[network] = _moved(led, key, keys, moment)
            moves.append(Lead(network, key, _text(state, network, keys, led.by, key)))
    if now != state.leading.now:
        state = evolve(state, leading=evolve(state.leading, now=now))
    return state, tuple(moves)


def taken_back(before: State, after: State, networks: frozenset[str]) -> State:
    """The state after some networks could not be moved."""
    now = {net: led for net, led in after.leading.now.items() if net not in networks}
    now |= {net: before.leading.now[net] for net in networks & before.leading.now.keys()}
    return evolve(after, leading=evolve(after.leading, now=now))


def _as_found(state: State, network: str, keys: Sequence[str], moment: float) -> Led:
    """Where the network is: mesh-sync or an earlier watchdog may have moved it, too."""
    led = state.leading.now.get(network)
    if led and moment - led.since < READ_SINCE:
        return led
    found = next((key for key in keys if _has(state, key, network)), led.by if led else keys[0])
    return led if led and led.by == found else Led(found, returns=led.returns if led else 0)


def _has(state: State, key: str, network: str) -> bool:
    """Whether the interface sends this network to a peer, or to the relay that carries that peer."""
    holder = state.peers.get(state.relaying.relay_of(key) or key)
    return holder is not None and holder.seen is not None and network in holder.seen.allowed_ips


def _choice(state: State, keys: Sequence[str], led: Led, moment: float) -> str:
    """The gateway that is to have the network."""
    if state.cut_off:
        return led.by
    lost = _is_lost(state, led.by, moment)
    for key in keys:
        if key == led.by and not lost:
            return key
        peer = state.peers.get(key)
        if peer and key != led.by and peer.phase == UP and (lost or moment - peer.since >= _hold(led)):
            return key
    return led.by


def _is_lost(state: State, key: str, moment: float) -> bool:
    """Whether a gateway is not heard directly, and has not been for long enough to say so."""
    peer = state.peers.get(key)
    if peer is None or peer.phase == MISSING or state.relaying.relay_of(key):
        return True
    since = peer.missed_since
    return since is not None and moment - since >= LOSE_AFTER


def _hold(led: Led) -> float:
    """How long an earlier choice has to be heard before it gets the network back."""
    return min(HOLD * 2.0**led.returns, LONGEST_HOLD)


def _moved(led: Led, key: str, keys: Sequence[str], moment: float) -> Led:
    if led.by in keys and keys.index(key) < keys.index(led.by):
        return Led(key, moment, led.returns)
    lasted = led.since == LONG_AGO or moment - led.since > STEADY
    return Led(key, moment, 0 if lasted else led.returns + 1)


def _text(state: State, network: str, keys: Sequence[str], before: str, after: str) -> str:
    if before in keys and keys.index(after) < keys.index(before):
        return f"is sent what is for {network} again"
    name = state.peers[before].declared.name if before in state.peers else "its gateway"
    return f"is sent what is for {network}, as {name} is not heard"
