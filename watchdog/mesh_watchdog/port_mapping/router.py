"""Which router is in front of this machine, and which port of ours it would forward."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
from pathlib import Path

from attrs import frozen

from mesh_sync.system.run import run
from mesh_sync.wireguard import ways
from mesh_watchdog.port_mapping.answers import IPv4
from mesh_watchdog.port_mapping.pcp import CLIENT_PORT, NONCE, SERVER_PORT

ANYWHERE = "192.0.2.1"
"""An address to which only the default route leads: it belongs to no machine (RFC 5737)."""
ALL_HOSTS = "224.0.0.1"
_MACHINE_ID = Path("/etc/machine-id")
"""machine-id(5): not to be shown on a network, so that only its digest is."""


@frozen
class Router:
    """``gateway`` of the default route, over ``device``; ``own``: our address there; ``port``: WireGuard's.

    ``mark``: of the tunnel's own packets, which go past the tunnel.
    """

    gateway: IPv4
    device: str
    own: IPv4
    port: int
    mark: int = 0


def find(interface: str, mark: int) -> Router | None:
    """The router on the way that WireGuard's own packets take; None if there is none. Raise MeshSyncError."""
    way = ways.ask([ANYWHERE], mark).marked.get(ANYWHERE)
    if way is None or way.device == interface or way.local:
        return None
    try:
        gateway, own = IPv4(way.gateway), IPv4(way.source)
        port = int(run(["wg", "show", interface, "listen-port"]))
    except ValueError:  # on link, by way of an IPv6 router, or a port that is no number
        return None
    return Router(gateway, way.device, own, port, mark) if 0 < port < 65536 else None


def nonce(router: Router) -> bytes:
    """The nonce of PCP requests for this port, the same after a restart of this program.

    No other machine of the LAN has it. With another nonce, a router refuses to change a mapping before it ends.
    """
    about = f"{router.own} {router.port} {router.gateway}".encode()
    return hashlib.blake2b(about, key=_secret(), digest_size=NONCE).digest()


@functools.cache
def _secret() -> bytes:
    try:
        return _MACHINE_ID.read_bytes()[:64]
    except OSError:
        return os.urandom(NONCE)


def questions_to(router: Router) -> socket.socket:
    """A socket on which only the router's own answers arrive. Raise OSError."""
    return _socket(router, (str(router.own), 0))


def news_from(router: Router) -> socket.socket:
    """A socket for what the router tells all its hosts; others on this machine may listen too. Raise OSError."""
    return _socket(router, (ALL_HOSTS, CLIENT_PORT))


def _socket(router: Router, place: tuple[str, int]) -> socket.socket:
    """Bound to the device, so that it never leads into the tunnel, and to this address and port."""
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, router.device.encode())
        if router.mark:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, router.mark)
        if place[1]:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(place)
        found.connect((str(router.gateway), SERVER_PORT))
    except OSError:
        found.close()
        raise
    return found
