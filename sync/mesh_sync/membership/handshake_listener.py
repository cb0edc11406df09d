"""The handshakes that peers begin: a copy of each first message that arrives at the interface's UDP port."""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Self

from mesh_sync.errors import DeviceError
from mesh_sync.wireguard.protocol import INITIATION_SIZE

UDP_HEADER = 8
SO_ATTACH_FILTER = 26
"""socket(7); Python has no name for it."""
_LOAD_IP_LENGTH, _LOAD_HALF, _LOAD_BYTE, _LOAD_HALF_AT, _LOAD_BYTE_AT = 0xB1, 0x28, 0x30, 0x48, 0x50
_UNLESS_EQUAL, _RETURN = 0x15, 0x06
"""Instructions of the classic packet filter (linux/filter.h)."""


class HandshakeListener:
    """Two raw sockets, one for each IP version. The kernel's filter drops everything but first messages.

    Raw sockets get copies, and WireGuard still gets its packets. They take CAP_NET_RAW.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                self._sockets.append(_raw(family))
        except OSError as error:
            self.__exit__()
            raise DeviceError(f"cannot listen for handshakes: {error.strerror}", hint="run it as root") from None
        return self

    def __exit__(self, *_: object) -> None:
        for opened in self._sockets:
            opened.close()

    def messages(self, seconds: float) -> Iterator[bytes]:
        """The messages that arrive within this time, as they arrive."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for ready in select.select(self._sockets, [], [], left)[0]:
                packet = ready.recv(2048)
                header = (packet[0] & 15) * 4 if ready.family == socket.AF_INET else 0
                target = int.from_bytes(packet[header + 2 : header + 4])
                if target == self._port:
                    yield packet[header + UDP_HEADER :]


def _raw(family: socket.AddressFamily) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_UDP)
    try:
        length = INITIATION_SIZE + UDP_HEADER
        if family == socket.AF_INET:  # begins with the IP header, which gives its own length
            program = [(_LOAD_IP_LENGTH, 0, 0, 0), (_LOAD_HALF_AT, 0, 0, 4), (_UNLESS_EQUAL, 0, 3, length),
                       (_LOAD_BYTE_AT, 0, 0, UDP_HEADER), (_UNLESS_EQUAL, 0, 1, 1)]  # fmt: skip
        else:
            program = [(_LOAD_HALF, 0, 0, 4), (_UNLESS_EQUAL, 0, 3, length),
                       (_LOAD_BYTE, 0, 0, UDP_HEADER), (_UNLESS_EQUAL, 0, 1, 1)]  # fmt: skip
        program += [(_RETURN, 0, 0, 0xFFFF), (_RETURN, 0, 0, 0)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
        opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))
    except BaseException:
        opened.close()
        raise
    return opened
