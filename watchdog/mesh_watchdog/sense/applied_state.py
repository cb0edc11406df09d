"""The applied state as the watchdog needs it, taken up again whenever mesh-sync writes it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from attrs import field, frozen
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
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import Endpoint, Network
from mesh_sync.wireguard.probe import target
from mesh_watchdog.policy.events import Applied, Declared
from mesh_watchdog.policy.key_alias import Pairs, pairs_of


@frozen
class Taken:
    """An applied state. ``mark``: the firewall mark of the tunnel's own packets; ``pairs``: who has two keys;
    ``lost``: it could not be read."""

    applied: Applied = Applied({})
    mark: int = 0
    pairs: Pairs = field(factory=dict)
    lost: bool = False


def take(path: Path) -> Taken:
    """Read the state file. One that is missing or broken has no peers."""
    state = states.load(path)
    if state.desired is None:
        return Taken(lost=state.lost)
    try:
        return Taken(_applied(state.desired, state.resolved), state.desired.fwmark, pairs_of(state.desired))
    except (ValueError, TypeError, AttributeError):  # JSON of the right shape with something else in it
        return Taken(lost=True)


def _applied(desired: Desired, resolved: Mapping[str, str]) -> Applied:
    versions = {ipaddress.ip_interface(address).version for address in desired.addresses}
    peers = {
        peer.public_key: Declared(
            peer.name,
            tuple(map(Endpoint.parse, peer.endpoint)),
            target(peer, versions),
            resolved.get(peer.public_key, ""),
        )
        for peer in desired.peers
    }
    routes = {ipaddress.ip_network(route) for route in desired.routes}
    allowed = {ipaddress.ip_network(network) for peer in desired.peers for network in peer.allowed_ips}
    return Applied(peers, tuple(sorted(routes | _uncovered(allowed, routes), key=str)))


def _uncovered(allowed: Iterable[Network], routes: Iterable[Network]) -> set[Network]:
    """What peers may use and no route covers; their own addresses mostly lie in one route."""
    return {network for network in allowed if not any(_within(network, route) for route in routes)}


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.network_address in outer and inner.prefixlen >= outer.prefixlen


class Watch(FileSystemEventHandler):
    """Calls ``changed``, from another thread, when the file may have changed (inotify on its folder)."""

    def __init__(self, path: Path, changed: Callable[[], object]) -> None:
        self._path = os.fspath(path)
        self._changed = changed
        self._observer: BaseObserver = Observer()
        kinds: list[type[FileSystemEvent]] = [FileClosedEvent, FileCreatedEvent, FileDeletedEvent, FileMovedEvent]
        self._observer.schedule(self, os.fspath(path.parent), event_filter=kinds)

    def on_any_event(self, event: FileSystemEvent) -> None:
        if self._path in (event.src_path, event.dest_path):
            self._changed()

    def start(self) -> None:
        """Raise OSError where the kernel grants no (more) inotify watches."""
        self._observer.start()

    def stop(self) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
