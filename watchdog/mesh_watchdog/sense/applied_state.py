"""The applied state as the watchdog needs it, taken in whenever mesh-sync writes it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Iterable, Mapping

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.state import State
from mesh_sync.system.files import Stamp, make_folder, stamp
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import possible
from mesh_sync.wireguard.key_rollover import pairs_of
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.probe import target
from mesh_sync.wireguard.underlay import Tunnel
from mesh_watchdog.journal import Problems
from mesh_watchdog.policy.news import Learnt
from mesh_watchdog.policy.observations import Applied, Declared, Here
from mesh_watchdog.sense.sense import Inbox, Sense


class AppliedState(Sense, FileSystemEventHandler):
    """Observes every new applied state: at once, or at the next look where the kernel grants no inotify watch."""

    def __init__(self, node: Node, problems: Problems) -> None:
        super().__init__()
        self._node = node
        self._path = node.state_file
        self._problems = problems
        self._observer: BaseObserver = Observer()
        self._stamp: Stamp = (0, 0, 0)

    async def start(self, inbox: Inbox) -> None:
        await super().start(inbox)
        self._loop = asyncio.get_running_loop()
        kinds: list[type[FileSystemEvent]] = [FileClosedEvent, FileCreatedEvent, FileDeletedEvent, FileMovedEvent]
        try:
            make_folder(self._path.parent)
            self._observer.schedule(self, os.fspath(self._path.parent), event_filter=kinds)
            self._observer.start()
        except OSError as error:
            self._problems.set("inotify", f"new applied states are seen late: {error.strerror or error}")
        await self.look()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called in the observer's thread, for any file of the folder."""
        if os.fspath(self._path) in (event.src_path, event.dest_path):
            self._loop.call_soon_threadsafe(self.inbox.put_nowait, None)

    async def look(self) -> None:
        found = stamp(self._path)
        if found == self._stamp:
            return
        self._stamp = found
        applied, learnt = await asyncio.to_thread(_read, self._node)
        broken = "" if applied else f"{self._path} is broken; the next `mesh-sync now` writes it again"
        self._problems.set("state", broken, over="the applied state can be read again")
        if applied:  # else the peers that were in it stay watched; nothing is written, for `act` reads it again
            self.inbox.put_nowait(applied)
            self.inbox.put_nowait(learnt)

    async def stop(self) -> None:
        await super().stop()
        if self._observer.is_alive():
            self._observer.stop()
            await asyncio.to_thread(self._observer.join)


def take(node: Node) -> Applied | None:
    """Read the state file: without peers when there is none, None when it is broken."""
    return _read(node)[0]


def _read(node: Node) -> tuple[Applied | None, Learnt]:
    state = states.load(node.state_file)
    bad = [state.remote.bad.commit] if state.remote.bad else []
    refused = (*bad, *(refusal.commit for refusal in state.remote.refusals))
    alone = state.remote.silent_since is not None and node.trust.mode == "signed" and not state.confirmed_intent.pause
    return _taken(state, node), Learnt(state.applied.commit, frozenset(refused), alone)


def _taken(state: State, node: Node) -> Applied | None:
    desired = state.applied.desired
    if desired is None:
        return None if state.lost else Applied({})
    try:
        return _applied(desired, state.applied.resolved, node)
    except (ValueError, TypeError, AttributeError):  # JSON of the right shape with something else in it
        return None


def _applied(desired: Desired, resolved: Mapping[str, str], node: Node) -> Applied:
    versions = {ipaddress.ip_interface(address).version for address in desired.addresses}
    peers = {
        peer.public_key: Declared(
            peer.name,
            possible(peer.endpoint),
            target(peer, versions),
            resolved.get(peer.public_key, ""),
            _hosts(peer.addresses),
            tuple(sorted(peer.allowed_ips)),
            peer.managed,
            peer.name in desired.relays,
            peer.direct_only,
            peer.pair_name,
        )
        for peer in desired.peers
    }
    carriers = LongestPrefix(
        (ipaddress.ip_network(network), peer.public_key) for peer in desired.peers for network in peer.allowed_ips
    )
    here = Here(
        desired.name, desired.public_key, desired.other_key, _hosts(sorted(desired.addresses)),
        desired.listen_port, desired.zone, desired.pair_name,
    )  # fmt: skip
    return Applied(
        peers, Tunnel(node.interface, desired.routes), carriers, desired.fwmark, node.git_past_exit != "never",
        pairs_of(desired.peers), here, _gateways(desired),
    )  # fmt: skip


def _gateways(desired: Desired) -> dict[str, tuple[str, ...]]:
    keys = {peer.name: peer.public_key for peer in desired.peers}
    return {network: tuple(keys[name] for name in names if name in keys) for network, names in desired.gateways}


def _hosts(addresses: Iterable[str]) -> tuple[str, ...]:
    """Those that are one host's, without the prefix, and written the usual way."""
    found = map(ipaddress.ip_interface, addresses)
    return tuple(str(one.ip) for one in found if one.network.prefixlen == one.max_prefixlen)
