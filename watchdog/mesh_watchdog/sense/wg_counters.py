"""The counters and endpoints of all peers, read by one `wg show IF dump`."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping

from mesh_sync.errors import CommandError, DeviceError, MeshSyncError, Reason
from mesh_sync.system.run import run
from mesh_sync.wireguard.live import LivePeer, parse_dump
from mesh_sync.wireguard.wg import NOT_PERMITTED
from mesh_watchdog.journal import Problems, Tally, log
from mesh_watchdog.policy.observations import Seen, Snapshot
from mesh_watchdog.sense.sense import Sense


class WgCounters(Sense):
    """Observes the interface at each look."""

    def __init__(self, interface: str, problems: Problems, tally: Tally) -> None:
        super().__init__()
        self._interface = interface
        self._problems = problems
        self._tally = tally
        self._there: bool | None = None

    async def look(self) -> None:
        self._tally.readings += 1
        try:
            found = await asyncio.to_thread(read, self._interface)
        except (MeshSyncError, ValueError) as error:  # says nothing about the peers
            self._problems.set("wg", str(error))
            return
        self._problems.set("wg", "", over=f"{self._interface} can be read again")
        there = found is not None
        if there != self._there and not (there and self._there is None):
            log.info("%s is %s", self._interface, "there" if there else "not there; waiting for it")
        self._there = there
        self.inbox.put_nowait(Snapshot(found, time.time()))


def read(interface: str) -> dict[str, Seen] | None:
    """Read all peers by one process; None when there is no such interface. Raise MeshSyncError or ValueError.

    Of the secrets that `wg` prints nothing is kept.
    """
    try:
        text = run(["wg", "show", interface, "dump"])
    except CommandError as error:
        if error.reason is Reason.EXIT_STATUS and not _exists(interface):
            return None
        if error.says(NOT_PERMITTED):
            raise DeviceError(f"{interface} can only be read by root") from None
        raise
    return seen(text)


def _exists(interface: str) -> bool:
    """Asked of the kernel, because what `wg` says differs with and without a kernel that knows WireGuard."""
    try:
        return bool(socket.if_nametoindex(interface))
    except OSError:
        return False


def seen(text: str) -> dict[str, Seen]:
    """Given `wg show IF dump`, return its peers by public key. ValueError if it is no such thing."""
    peers: Mapping[str, LivePeer] = parse_dump(text)["peers"]
    return {
        key: Seen(peer.endpoint, peer.handshake, peer.rx_bytes, peer.tx_bytes, bool(peer.allowed_ips), peer.allowed_ips)
        for key, peer in peers.items()
    }
