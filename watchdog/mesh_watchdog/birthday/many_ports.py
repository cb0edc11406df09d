"""The hard end of a round: many sockets, each with another port of the NAT, one of which is to be hit."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

SOCKETS = 256
"""With 1,024 knocks at 64,512 ports one of these is hit in 98 of 100 rounds: 1 - exp(-256 * 1024 / 64512)."""
AT_ONCE = 16
PAUSE = 0.005
"""After every AT_ONCE sockets there is a pause of so many seconds: the queues of small devices are short."""
PAYLOAD = b"\0"


class ManyPorts:
    """``hit`` is called once, with the local port at which a packet arrived; all sockets are closed by then."""

    def __init__(self, hit: Callable[[int], None]) -> None:
        self._hit = hit
        self._target = ("", 0)
        self._open: list[socket.socket] = []

    async def open(self, target: tuple[str, int], ttl: int, mark: int) -> None:
        """Open the sockets, each with a packet towards ``target`` (address and port) that lives for ``ttl`` hops.

        ``mark``: the firewall mark of the tunnel's packets. Raise OSError if this machine cannot open so many.
        """
        self.close()
        self._target = target
        loop = asyncio.get_running_loop()
        for number in range(SOCKETS):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            self._open.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            made.bind(("", 0))
            with suppress(BlockingIOError):
                made.sendto(PAYLOAD, target)
            loop.add_reader(made, self._read, made)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(PAUSE)
                if made.fileno() < 0:  # one was hit, or the round is over
                    return

    def _read(self, sock: socket.socket) -> None:
        with suppress(OSError):  # what came back is an ICMP message, or was no packet after all
            _, source = sock.recvfrom(len(PAYLOAD))
            if source == self._target:
                port: int = sock.getsockname()[1]
                self.close()
                self._hit(port)

    def close(self) -> None:
        """Close all sockets."""
        for sock in self._open:
            if sock.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._open.clear()
