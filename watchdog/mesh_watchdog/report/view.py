"""What `status` and the metrics show, from what is believed. Pure; no key is in it.

Moments are on the monotonic clock until they are shown, so that a step of the wall clock falsifies none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mesh_watchdog.journal import Tally
from mesh_watchdog.policy.candidates import from_dns
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.state import State


def view(
    state: State, tally: Tally, about: Mapping[str, Any], problems: Iterable[str], moment: float
) -> dict[str, Any]:
    """Everything worth showing, as one JSON object; ``about`` says who reports."""
    peers = sorted(state.peers.items(), key=lambda item: item[1].declared.name)
    return {
        **about,
        "written": moment,
        "interface_up": state.interface,
        "ours": state.cut_off,
        "own_addresses": sorted(map(str, state.surroundings.own)),
        "ip_versions": sorted(state.surroundings.versions),
        "problems": list(problems),
        "peers": [_peer(key, peer, state, tally, moment) for key, peer in peers],
        "dns_queries": tally.dns_queries,
        "dns_failures": tally.dns_failures,
        "writes": tally.writes.total(),
        "writes_avoided": tally.avoided.total(),
        "probes": tally.probes,
        "readings": tally.readings,
    }


def _peer(key: str, peer: PeerState, state: State, tally: Tally, moment: float) -> dict[str, Any]:
    names = {host: state.names[host] for host in peer.declared.hosts if host in state.names}
    return {
        "name": peer.declared.name,
        "state": peer.phase,
        "since": peer.since,
        "heard": peer.heard,
        "endpoint": peer.endpoint or None,
        "source": source(peer, names),
        "dns": [_name(host, name, moment) for host, name in names.items()],
        "probed": peer.probed,
        "misses": peer.misses,
        "switches": peer.switches,
        "writes": tally.writes[key],
        "writes_avoided": tally.avoided[key],
        "hunts": tally.searches[key],
        "last_recovery": peer.recovery,
        "last_good": peer.good or None,
        "rx_bytes": peer.seen.rx if peer.seen else 0,
        "tx_bytes": peer.seen.tx if peer.seen else 0,
    }


def source(peer: PeerState, names: Mapping[str, NameState]) -> str:
    """Where the endpoint comes from: `list` (a literal), `dns`, `last good`, `roamed` (the peer came), or `none`."""
    endpoint = peer.endpoint
    if not endpoint:
        return "none"
    if endpoint == peer.last_set and peer.source == "last good":
        return "last good"
    if endpoint in map(str, peer.declared.endpoint):
        return "list"
    told = (found for found, _ in from_dns(peer, names))
    return "dns" if endpoint == peer.declared.resolved or endpoint in told else "roamed"


def _name(host: str, name: NameState, moment: float) -> dict[str, Any]:
    age = None if name.answered is None else moment - name.answered
    return {
        "host": host,
        "addresses": sorted(map(str, name.addresses)),
        "age": age,
        "ttl_left": None if age is None else max(0.0, name.ttl - age),
        "queries": name.queries,
        "problem": name.problem or None,
    }
