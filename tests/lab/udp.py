"""A UDP socket on a host, for what WireGuard cannot tell: who got which packet, and from which port."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.host import Host
from lab.waiting import until

# Runs on the host: commands by standard input, what it did and got by standard output.
SOCKET = """
import os, socket, sys, threading
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # in one piece, since two threads speak
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", int(sys.argv[1])))
def send():
    for line in sys.stdin:
        address, port, ttl, word = line.split()
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(ttl))
        udp.sendto(word.encode(), (address, int(port)))
        say("sent", word)
threading.Thread(target=send, daemon=True).start()
say("bound")
while True:
    try:
        word, (address, port) = udp.recvfrom(2048)
    except OSError:
        continue  # an ICMP message about a packet that was sent
    say("got", word.decode(), address, port)
"""


class Udp:
    """The socket with this port on a host; it is open until the host or the lab ends."""

    def __init__(self, host: Host, port: int) -> None:
        self._said: Path = host.directory / f"udp.{port}"
        with self._said.open("wb") as out:
            argv = [sys.executable, "-S", "-E", "-c", SOCKET, str(port)]
            self._program = host.popen(argv, stdin=-1, stdout=out.fileno())
        until(lambda: "bound" in self._said.read_text(), what=self._said.read_text)

    def send(self, address: str, port: int, word: str, *, ttl: int = 64) -> None:
        """Send the word, and return when it was sent; in a lab it has then arrived, or never will."""
        assert self._program.stdin is not None
        self._program.stdin.write(f"{address} {port} {ttl} {word}\n")
        self._program.stdin.flush()
        until(lambda: f"sent {word}\n" in self._said.read_text(), every=0.01, what=self._said.read_text)

    def got(self, word: str) -> tuple[str, int] | None:
        """From which address and port that word came, None if it has not."""
        lines = (line.split() for line in self._said.read_text().splitlines())
        return next(((line[2], int(line[3])) for line in lines if line[:2] == ["got", word]), None)

    def wait(self, word: str) -> tuple[str, int]:
        """The same, once it has come."""
        until(lambda: self.got(word), every=0.01, what=lambda: f"{word} in {self._said.read_text()}")
        found = self.got(word)
        assert found
        return found
