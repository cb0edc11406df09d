"""A stand-in for WireGuard with any number of live, idle peers: an interface whose peers answer whatever they are sent.

Runs on a node of the lab, in place of the real interface. The real `wg` asks it by the socket by which it asks
wireguard-go. Usage: python standin.py INTERFACE, with the output of `wg show INTERFACE dump` on standard input.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import ipaddress
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from mesh_sync.wireguard.protocol import INITIATION_SIZE, REKEY_AFTER_TIME, RESPONSE_SIZE, data_size

TUNSETIFF, TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
ICMP, UDP, ECHO, ECHO_REPLY, DNS = 1, 17, 8, 0, 53
NO_CHECKSUM = bytes(2)
NOT_KNOWN = bytes([0xA4, 0x03])
"""The flags of an answer to NOTIFY: such a name is not known (RFC 1035, section 4.1.1; RFC 1996)."""


class Peer:
    """One that answers at once, with a new handshake every two minutes."""

    def __init__(self, key: str, endpoint: str, allowed: str) -> None:
        self.allowed = allowed.split(",")
        self._head = f"public_key={base64.b64decode(key).hex()}\npreshared_key={'0' * 64}\nendpoint={endpoint}\n"
        self._tail = "".join(f"allowed_ip={network}\n" for network in self.allowed)
        self._handshake = self._rx = self._tx = 0

    def take(self, packet: bytes) -> None:
        if time.time() - self._handshake > REKEY_AFTER_TIME:
            self._handshake = int(time.time())
            self._tx += INITIATION_SIZE
            self._rx += RESPONSE_SIZE
        self._tx += data_size(len(packet))
        self._rx += data_size(len(packet))

    def __str__(self) -> str:
        counters = f"last_handshake_time_sec={self._handshake}\nlast_handshake_time_nsec=0\n"
        counters += f"tx_bytes={self._tx}\nrx_bytes={self._rx}\npersistent_keepalive_interval=0\n"
        return f"{self._head}{counters}{self._tail}protocol_version=1\n"


def main() -> None:
    """Serve until killed."""
    interface = sys.argv[1]
    device, *lines = (line.split("\t") for line in sys.stdin.read().splitlines())
    peers = [Peer(key, endpoint, allowed) for key, _, endpoint, allowed, *_ in lines]
    by_address = {
        ipaddress.ip_network(network).network_address.packed: peer
        for peer in peers
        for network in peer.allowed
        if network.endswith("/32")
    }
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", interface.encode(), TUN_WITHOUT_HEADER))
    batch = f"link set {interface} up\nroute add 10.0.0.0/8 dev {interface}\n"
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)
    place = Path("/var/run/wireguard")
    place.mkdir(exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    (place / f"{interface}.sock").unlink(missing_ok=True)
    listener.bind(str(place / f"{interface}.sock"))
    listener.listen()
    head = f"private_key={base64.b64decode(device[0]).hex()}\nlisten_port={device[2]}\n"
    selector = selectors.DefaultSelector()
    selector.register(tun, selectors.EVENT_READ)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for ready, _ in selector.select():
            if ready.fd == tun:
                packet = os.read(tun, 2048)
                if peer := by_address.get(packet[16:20]):
                    peer.take(packet)
                    if reply := reply_to(packet):
                        os.write(tun, reply)
            else:
                answer(listener, f"{head}{''.join(map(str, peers))}errno=0\n\n")


def reply_to(packet: bytes) -> bytes:
    """What a peer that is up says to an echo, or to a question of another watchdog; nothing to other packets.

    IPv4 without options. With the addresses exchanged its checksum stays what it was.
    """
    head, rest = packet[:12] + packet[16:20] + packet[12:16], packet[20:]
    if packet[0] != 0x45 or len(rest) < 8:
        return b""
    if packet[9] == ICMP and rest[0] == ECHO:
        checksum = int.from_bytes(rest[2:4]) + (ECHO << 8)
        return head + bytes([ECHO_REPLY, rest[1]]) + ((checksum & 0xFFFF) + (checksum >> 16)).to_bytes(2) + rest[4:]
    if packet[9] == UDP and int.from_bytes(rest[2:4]) == DNS and len(rest) > 12:
        return head + rest[2:4] + rest[:2] + rest[4:6] + NO_CHECKSUM + rest[8:10] + NOT_KNOWN + rest[12:]
    return b""


def answer(listener: socket.socket, text: str) -> None:
    """Whatever is asked. `wg` also connects just to see whether anything is there."""
    asker, _ = listener.accept()
    with asker, contextlib.suppress(BrokenPipeError):
        if asker.recv(4096):
            asker.sendall(text.encode())


if __name__ == "__main__":
    main()
