"""`mesh-sync status`: the applied commit, the drift from it, and every peer. Reads only; asks no remote."""

from __future__ import annotations

import time
from typing import Any

from attrs import asdict, evolve, frozen

from mesh_sync.diagnose.forward import legacy_troubles
from mesh_sync.diagnose.look import troubles
from mesh_sync.diagnose.trouble import Trouble
from mesh_sync.node import clock as clocks
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import on_this_machine
from mesh_sync.node.state import BadCommit, State
from mesh_sync.reconcile.drift import difference
from mesh_sync.wireguard import psk_rollover
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.gateways import held
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.placement import placed
from mesh_sync.wireguard.plan import Change
from mesh_sync.wireguard.protocol import is_alive
from mesh_sync.wireguard.read import read
from mesh_sync.wireguard.relays import carried


@frozen
class PeerStatus:
    """One peer as it is now. ``handshake_age`` in seconds, None if there never was one.

    ``relay``: the name of the peer that its traffic goes through, which is all that is known of a ``relayed`` one; the
    other numbers are those of its own tunnel.
    """

    name: str
    public_key: str
    addresses: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    endpoint: str | None
    endpoint_source: str
    state: str
    handshake_age: int | None
    rx_bytes: int
    tx_bytes: int
    keepalive: int
    relay: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@frozen
class GatewayStatus:
    """A network that several peers lead to: their names, the first choice first, and the one it is at now, if any."""

    network: str
    peers: tuple[str, ...]
    carried_by: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@frozen
class Status:
    """What `status` shows. ``up`` is whether the interface exists."""

    node: Node
    state: State
    up: bool
    drift: tuple[Change, ...]
    peers: tuple[PeerStatus, ...]
    troubles: tuple[Trouble, ...] = ()
    gateways: tuple[GatewayStatus, ...] = ()

    def as_json(self) -> dict[str, Any]:
        applied, remote, trial, pause = self.state.applied, self.state.remote, self.state.trial, self.state.intent.pause
        return {
            "node": self.state.called(self.node.name),
            "interface": self.node.interface,
            "commit": applied.commit,
            "remote_commit": remote.commit,
            "unreachable_since": remote.silent_since,
            "paused": bool(pause),
            "paused_since": pause.since if pause else None,
            "paused_reason": pause.reason if pause else "",
            "troubles": [trouble.as_json() for trouble in self.troubles],
            "drift": [change.as_json() for change in self.drift],
            "refused_commits": [entry.commit for entry in (remote.refusal, remote.bad) if entry],
            "held_commit": remote.held.commit if remote.held else None,
            "bad_commit": _bad(remote.bad),
            "rotating": bool(applied.desired and applied.desired.other_key),
            "trial": {"commit": trial.commit, "began": trial.began, "attempt": trial.attempt} if trial else None,
            "history": [asdict(past) for past in self.state.history],
            "peers": [peer.as_json() for peer in self.peers],
            "gateways": [gateway.as_json() for gateway in self.gateways],
        }


def _bad(bad: BadCommit | None) -> dict[str, str] | None:
    return {"commit": bad.commit, "message": bad.message, "settings": bad.fingerprint} if bad else None


def look(node: Node) -> Status:
    """Compare the interface with the last applied state. Raise DeviceError when it cannot be read."""
    state = states.load(node.state_file)
    desired = on_this_machine(state.applied.desired, node) if state.applied.desired else None
    live = read(node.interface, node.sysctl_file, desired)
    drift = _drift(node, desired, state, live) if desired else ()
    known = live or Live()
    relayed = carried(desired, live) if desired else {}
    found = placed(desired, live, time.time(), desired).peers if desired else ()
    shown = (peer for peer in found if peer.allowed_ips or peer.name in relayed)
    peers = tuple(_peer(one, known.peers.get(one.public_key), state, relayed.get(one.name)) for one in shown)
    applied = evolve(state.applied, desired=desired)
    problems = troubles(node, applied, live, clocks.read(node, applied))
    problems += tuple(legacy_troubles(desired, node.interface)) if desired else ()
    at = held(desired, live, desired) if desired else {}
    gateways = (
        GatewayStatus(network, names, at.get(network)) for network, names in (desired.gateways if desired else ())
    )
    return Status(node, state, live is not None, drift, peers, problems, tuple(gateways))


def _drift(node: Node, desired: Desired, state: State, live: Live | None) -> tuple[Change, ...]:
    """What changed by other hands. A preshared key that the next run changes by itself is not part of it."""
    found = difference(node, desired, state, live)
    moving = psk_rollover.having_either(desired, live)
    return tuple(change for change in found if change.kind != "preshared-key" or change.value not in moving)


def _peer(peer: DesiredPeer, live: LivePeer | None, state: State, relay: str | None) -> PeerStatus:
    moment = time.time()
    return PeerStatus(
        name=peer.name,
        public_key=peer.public_key,
        addresses=peer.addresses,
        allowed_ips=tuple(sorted(live.allowed_ips if live else ())),
        endpoint=(live.endpoint or None) if live else None,
        endpoint_source=_source(peer, live, state),
        state="relayed" if relay else _state(live, moment),
        relay=relay,
        handshake_age=max(0, int(moment) - live.handshake) if live and live.handshake else None,
        rx_bytes=live.rx_bytes if live else 0,
        tx_bytes=live.tx_bytes if live else 0,
        keepalive=live.keepalive if live else 0,
    )


def _state(live: LivePeer | None, moment: float) -> str:
    """`up`: the session carries traffic; `idle`: there was one; `new`: never; `missing`: not on the interface."""
    if live is None:
        return "missing"
    if is_alive(live.handshake, moment):
        return "up"
    return "idle" if live.handshake else "new"


def _source(peer: DesiredPeer, live: LivePeer | None, state: State) -> str:
    """Where the endpoint comes from: `list` (a literal), `dns` (a name of the list), `roamed`, or `none`."""
    if live is None or not live.endpoint:
        return "none"
    if live.endpoint in peer.endpoint:
        return "list"
    return "dns" if live.endpoint == state.applied.resolved.get(peer.public_key) else "roamed"
