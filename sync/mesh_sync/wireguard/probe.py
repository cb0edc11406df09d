"""Probes: an empty UDP datagram to a peer's mesh address, so that WireGuard has something to send (fact 12)."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Container

from mesh_sync.wireguard.desired import DesiredPeer

DISCARD = 9
"""The discard port (RFC 863): closed almost everywhere, so that most hosts answer at once by ICMP."""
_STALE = frozenset({errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL, errno.EBADF})
"""The interface that the socket was bound to is gone; another one of the name may be there."""


def target(peer: DesiredPeer, versions: Container[int]) -> str:
    """The mesh address to send probes to: of an IP version that the interface has, and rather IPv4, which may be all
    that is left on this machine.
    """
    plain = sorted((address.partition("/")[0] for address in peer.addresses), key=lambda address: ":" in address)
    usable = (address for address in plain if ipaddress.ip_address(address).version in versions)
    return next(usable, plain[0] if plain else "")


class Prober:
    """One socket for each IP version, bound to the interface (since Linux 5.7 that takes no capability)."""

    def __init__(self, interface: str) -> None:
        self._interface = interface.encode()
        self._sockets: dict[socket.AddressFamily, socket.socket] = {}
        self.sent = 0

    def send(self, address: str) -> None:
        """Send one probe. What goes wrong shows as silence; nothing is raised."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for _ in range(2):
            try:
                self._socket(family).sendto(b"", (address, DISCARD))
            except OSError as error:
                if error.errno not in _STALE:
                    return
                self._drop(family)
            else:
                self.sent += 1
                return

    def close(self) -> None:
        for family in list(self._sockets):
            self._drop(family)

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        if family not in self._sockets:
            made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface)
            except PermissionError:
                pass  # an older kernel: the mesh's routes lead into the interface all the same
            except OSError:
                made.close()
                raise
            self._sockets[family] = made
        return self._sockets[family]

    def _drop(self, family: socket.AddressFamily) -> None:
        if made := self._sockets.pop(family, None):
            made.close()
