"""One reading of the interface: what `wg show IF dump` says of every peer that the watchdog cares for."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from attrs import frozen

from mesh_sync.errors import CommandError, Reason
from mesh_sync.system.run import run
from mesh_sync.wireguard.live import LivePeer, parse_dump
from mesh_sync.wireguard.wg import NOT_PERMITTED
from mesh_watchdog.policy.events import Seen


@frozen
class Reading:
    """``peers`` by public key, None when there is no such interface; ``problem`` when it could not even be asked."""

    peers: Mapping[str, Seen] | None = None
    problem: str = ""


def read(interface: str) -> Reading:
    """Read every peer's counters by one process. Never raises."""
    try:
        return Reading(seen(run(["wg", "show", interface, "dump"])))
    except CommandError as error:
        if error.reason is Reason.EXIT_STATUS and not _exists(interface):
            return Reading()
        if error.says(NOT_PERMITTED):
            return Reading(problem=f"{interface} can only be read by root")
        return Reading(problem=error.message)
    except ValueError as error:
        return Reading(problem=str(error))


def _exists(interface: str) -> bool:
    """Asked of the kernel, because what `wg` says differs with and without a kernel that knows WireGuard."""
    try:
        return bool(socket.if_nametoindex(interface))
    except OSError:
        return False


def seen(text: str) -> dict[str, Seen]:
    """Given `wg show IF dump`, return its peers; nothing of its secrets is kept. ValueError if it is no such thing."""
    peers: Mapping[str, LivePeer] = parse_dump(text)["peers"]
    return {
        key: Seen(peer.endpoint, peer.handshake, peer.rx_bytes, peer.tx_bytes, bool(peer.allowed_ips))
        for key, peer in peers.items()
    }
