"""Which peers are prepared for this node's next key: those that begin a handshake with it."""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from attrs import frozen

from mesh_sync.errors import DeviceError
from mesh_sync.membership.handshake import Responder
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.topology import Topology
from mesh_sync.wireguard.protocol import INITIATION_SIZE

REFRESH = 10.0
"""Seconds between two looks at the list, and two lines that say which peers are missing."""
UDP_HEADER = 8
SO_ATTACH_FILTER = 26
"""socket(7); Python has no name for it."""
_LOAD_IP_LENGTH, _LOAD_HALF, _LOAD_BYTE, _LOAD_HALF_AT, _LOAD_BYTE_AT = 0xB1, 0x28, 0x30, 0x48, 0x50
_UNLESS_EQUAL, _RETURN = 0x15, 0x06
"""Instructions of the classic packet filter (linux/filter.h)."""


@frozen
class Neighbours:
    """The peers that have a tunnel with a node: ``managed``, key to name; ``unmanaged`` ones get theirs by hand."""

    managed: Mapping[str, str]
    unmanaged: tuple[str, ...]


def neighbours(mesh: Mesh, name: str) -> Neighbours:
    """Which peers need a new key of ``name``. A peer that changes its own key may run either of its two."""
    topology = Topology(mesh, datetime.now(UTC))
    near = [neighbour.peer for neighbour in topology.neighbours(name)] if name in topology.members else []
    keys = ((key, peer) for peer in near for key in (peer.public_key, peer.next_public_key) if key)
    managed = {str(key): peer.name for key, peer in keys if peer.managed}
    return Neighbours(managed, tuple(peer.name for peer in near if not peer.managed))


def wait_for_peers(
    look: Callable[[], Neighbours], private_key: str, port: int, seconds: float, note: Callable[[str], None]
) -> list[str]:
    """Listen until every peer has begun a handshake, at most so long; return the names of those that have not.

    A prepared peer tries every 5 s for 90 s, and again after 25 s at the latest. ``look`` reads the list, and does so
    again and again: others change their keys too, and leave. Raise DeviceError.
    """
    heard = set[str]()
    end = time.monotonic() + seconds
    responder = Responder(private_key)
    with first_messages(port) as messages:
        while missing := set((managed := look().managed).values()) - heard:
            left = end - time.monotonic()
            if left <= 0:
                return sorted(missing)
            for message in messages(min(left, REFRESH)):
                name = managed.get(responder.initiator(message) or "")
                if name in missing:
                    missing.remove(name)
                    heard.add(name)
                    note(f"{name} is prepared")
                if not missing:
                    return []
            note(f"waiting for {', '.join(sorted(missing))}")
    return []


@contextmanager
def first_messages(port: int) -> Iterator[Callable[[float], Iterator[bytes]]]:
    """Given the interface's UDP port, yield what gives the first messages to it that arrive within some seconds.

    Two raw sockets, one for each IP version, which take CAP_NET_RAW: they get copies, and WireGuard still gets its
    packets. The kernel's filter drops everything but first messages. Raise DeviceError.
    """
    with ExitStack() as stack:
        try:
            sockets = [stack.enter_context(_raw(family)) for family in (socket.AF_INET, socket.AF_INET6)]
        except OSError as error:
            raise DeviceError(f"cannot listen for handshakes: {error.strerror}", hint="run it as root") from None

        def messages(seconds: float) -> Iterator[bytes]:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                for ready in select.select(sockets, [], [], left)[0]:
                    packet = ready.recv(2048)
                    header = (packet[0] & 15) * 4 if ready.family == socket.AF_INET else 0
                    if int.from_bytes(packet[header + 2 : header + 4]) == port:
                        yield packet[header + UDP_HEADER :]

        yield messages


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
