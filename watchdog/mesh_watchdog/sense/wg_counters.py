"""The counters and endpoints of all peers, read by one `wg show IF dump`."""

from __future__ import annotations

import asyncio
import socket
import time

from mesh_sync.errors import CommandError, DeviceError, MeshSyncError, Reason
from mesh_sync.system.run import run
from mesh_sync.wireguard.live import parse_dump
from mesh_sync.wireguard.wg import NOT_PERMITTED
from mesh_watchdog.journal import Problems, Tally, log
from mesh_watchdog.policy.observations import Seen, Snapshot
from mesh_watchdog.sense.chatter import Chatter
from mesh_watchdog.sense.sense import Sense

Known = dict[str, tuple[str, Seen]]
"""Peers by public key: what the last reading said of each, without its secret, and what that means."""


class WgCounters(Sense):
    """Observes the interface at each look."""

    def __init__(self, interface: str, problems: Problems, tally: Tally, chatter: Chatter) -> None:
        super().__init__()
        self._interface = interface
        self._problems = problems
        self._tally = tally
        self._there: bool | None = None
        self._known: Known = {}
        self._chatter = chatter

    async def look(self) -> None:
        self._tally.readings += 1
        try:
            found = await asyncio.to_thread(read, self._interface, self._known, self._chatter)
        except (MeshSyncError, ValueError) as error:  # says nothing about the peers
            self._problems.set("wg", str(error))
            return
        self._problems.set("wg", "", over=f"{self._interface} can be read again")
        there = found is not None
        if there != self._there and not (there and self._there is None):
            log.info("%s is %s", self._interface, "there" if there else "not there; waiting for it")
        self._there = there
        self.inbox.put_nowait(Snapshot(found, time.time()))


def read(interface: str, known: Known | None = None, chatter: Chatter | None = None) -> dict[str, Seen] | None:
    """Read all peers by one process; None when there is no such interface. Raise MeshSyncError or ValueError.

    ``known``, ``chatter``: see `seen`. Of the secrets that `wg` prints nothing is kept.
    """
    try:
        text = run(["wg", "show", interface, "dump"])
    except CommandError as error:
        if error.reason is Reason.EXIT_STATUS and not _exists(interface):
            return None
        if error.says(NOT_PERMITTED):
            raise DeviceError(f"{interface} can only be read by root") from None
        raise
    return seen(text, known, chatter)


def _exists(interface: str) -> bool:
    """Asked of the kernel, because what `wg` says differs with and without a kernel that knows WireGuard."""
    try:
        return bool(socket.if_nametoindex(interface))
    except OSError:
        return False


def seen(text: str, known: Known | None = None, chatter: Chatter | None = None) -> dict[str, Seen]:
    """Given `wg show IF dump`, return its peers by public key. ValueError if it is no such thing.

    ``known`` is kept up to date. Of most peers the next reading says the same: they are not parsed again, and the
    objects are the same: that is what a reading of a thousand idle peers costs. ``chatter``: see `Seen`.
    """
    known = {} if known is None else known
    head, *lines = text.splitlines() or [""]
    said, news = dict[str, str](), [head]
    for line in lines:
        key, _, rest = line.partition("\t")
        said[key] = rest.partition("\t")[2]
        if key not in known or known[key][0] != said[key]:
            news.append(line)
    for key, peer in parse_dump("\n".join(news))["peers"].items():
        allowed = peer.allowed_ips
        talk = chatter.of(allowed) if chatter else 0
        found = Seen(peer.endpoint, peer.handshake, peer.rx_bytes, peer.tx_bytes, bool(allowed), allowed, talk)
        known[key] = said[key], found
    for key in known.keys() - said.keys():
        del known[key]
    return {key: known[key][1] for key in said}
