"""What the kernel said of the ways out, how long that counts, and what follows from it: whom to try, whom to ask."""

from __future__ import annotations

from collections.abc import Mapping, Set

from attrs import evolve

from mesh_sync.names.nameservers import Nameserver
from mesh_sync.names.usable import usable
from mesh_sync.wireguard.endpoint import Address
from mesh_sync.wireguard.underlay import Reach
from mesh_sync.wireguard.ways import Way, Ways
from mesh_watchdog.policy.actions import AskWays
from mesh_watchdog.policy.observations import Routed
from mesh_watchdog.policy.peer import UP
from mesh_watchdog.policy.state import Decision, State

WAYS_AGE = 10.0
"""Seconds for which an answer of the kernel counts; a change of the network or of the applied state ends it at once."""
WAYS_LOST = 2.0
"""A question to the kernel without an answer is forgotten after this time."""


def forgotten(state: State) -> State:
    """The state after something changed on which the ways depend."""
    return evolve(state, routed=Routed(frozenset()), routed_at=float("-inf"))


def take_in(state: State, said: Routed, moment: float) -> State:
    """The kernel has answered. What it said before counts for as long as it would have."""
    if not is_fresh(state, moment):
        return evolve(state, routed=said, routed_at=moment, ways_asked=None)
    before = state.routed
    plain, marked = _others(before.ways.plain, said), _others(before.ways.marked, said)
    ways = Ways({**plain, **said.ways.plain}, {**marked, **said.ways.marked})
    return evolve(state, routed=evolve(said, asked=before.asked | said.asked, ways=ways), ways_asked=None)


def _others(ways: Mapping[str, Way], said: Routed) -> dict[str, Way]:
    return {address: way for address, way in ways.items() if address not in said.asked}


def is_fresh(state: State, moment: float) -> bool:
    """Whether the kernel has said anything lately, of the nameservers at least."""
    return moment - state.routed_at < WAYS_AGE


def lacking(addresses: Set[str], state: State, moment: float) -> bool:
    """Whether the way to any of these is not known."""
    return bool(addresses) and not (is_fresh(state, moment) and addresses <= state.routed.asked)


def asked(state: State, addresses: Set[str], moment: float) -> Decision:
    """Ask about these, unless a question is under way."""
    if state.ways_asked is not None and moment - state.ways_asked < WAYS_LOST:
        return state, ()
    return evolve(state, ways_asked=moment), (AskWays(frozenset(addresses)),)


def is_outside(address: Address, state: State) -> bool:
    """Whether the tunnel's own packets reach the address, past the tunnel."""
    return state.tunnel.reach(address, state.routed.ways.marked.get(str(address))) is Reach.OUTSIDE


def servers(state: State) -> tuple[Nameserver, ...]:
    """The nameservers that may be asked now, in order, each with the mark of its questions."""

    def carried(address: Address) -> bool:
        carrier = state.carriers.find(address)
        if carrier is None:
            return False
        led = state.leading.now.get(str(carrier[0]))
        peer = state.peers.get(led.by if led else carrier[1])
        return peer is not None and peer.phase == UP

    said, mark = state.routed, state.mark if state.past_exit else 0
    return usable(said.nameservers, said.upstreams, said.ways, mark, state.tunnel, carried)


def in_use(state: State) -> frozenset[str]:
    """The addresses to which this machine needs its ways: of the peers that are up, and of the nameservers."""
    ends = {peer.endpoint.rpartition(":")[0].strip("[]") for peer in state.peers.values() if peer.phase == UP}
    resolvers = {server.address for server in state.routed.nameservers if not server.is_local}
    return frozenset((ends | resolvers) - {""})
