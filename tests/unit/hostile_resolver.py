"""Resolvers on the loopback that answer as they like, by UDP and by TCP."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mesh_sync.names import nameservers
from mesh_sync.names.nameservers import Nameserver

NAME = "a.example.org"
FOUR, SIX = "192.0.2.1", "2001:db8::1"
BOTH = (ip_address(FOUR), ip_address(SIX))
SOON = 3
"""Seconds, on a machine that has much to do: nothing waited for the deadline."""
Mood = Callable[[dns.message.Message, bytes], Iterable[bytes]]


def _one_port() -> tuple[socket.socket, socket.socket]:
    """A port that is free for TCP and for UDP; what is free for one may be another program's for the other."""
    for _ in range(20):
        listener = socket.create_server(("127.0.0.1", 0))
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.bind(listener.getsockname())
        except OSError:
            made.close()
            listener.close()
        else:
            return listener, made
    raise AssertionError("no port is free for both")


class Resolver:
    """Answers in a ``mood``: a question to the packets that are sent back. ``by_tcp`` is the mood of its TCP half."""

    def __init__(self, mood: Mood = lambda query, wire: []) -> None:
        self.mood = mood
        self.by_tcp = mood
        self.asked: list[str] = []
        self.listener, self.socket = _one_port()
        self.threads = [threading.Thread(target=serve, daemon=True) for serve in (self._serve, self._serve_streams)]
        for thread in self.threads:
            thread.start()

    @property
    def where(self) -> Nameserver:
        return Nameserver(*self.socket.getsockname())

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, client = self.socket.recvfrom(4096)
                if not wire:
                    return
                query = dns.message.from_wire(wire)
                self.asked.append(dns.rdatatype.to_text(query.question[0].rdtype))
                for packet in self.mood(query, wire):
                    self.socket.sendto(packet, client)

    def _serve_streams(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self.listener.accept()
                with stream, contextlib.suppress(OSError, dns.exception.DNSException):
                    wire = stream.recv(4096)[2:]
                    if not wire:
                        return
                    for packet in self.by_tcp(dns.message.from_wire(wire), wire):
                        stream.sendall(len(packet).to_bytes(2, "big") + packet)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())
        socket.create_connection(self.listener.getsockname()).close()
        for thread in self.threads:
            thread.join(5)
        self.socket.close()
        self.listener.close()


Start = Callable[..., Resolver]
"""Makes a resolver of a mood."""


@pytest.fixture
def resolvers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Resolver]]:
    """Starts resolvers, each with its mood. What they say is waited for as long as a busy machine takes to say it."""
    monkeypatch.setattr(nameservers, "PATIENCE", {4: 1.3, 6: 1.3})
    with contextlib.ExitStack() as started:

        def start(mood: Mood = lambda query, wire: []) -> Resolver:
            made = Resolver(mood)
            started.callback(made.close)
            return made

        yield start


def is_four(query: dns.message.Message) -> bool:
    return query.question[0].rdtype == dns.rdatatype.A


def good(query: dns.message.Message, *addresses: str) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.RA
    question = query.question[0]
    texts = addresses or ((FOUR,) if is_four(query) else (SIX,))
    answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", question.rdtype, texts))
    return answer


def knows(query: dns.message.Message, wire: bytes) -> list[bytes]:
    """The mood of a resolver that does its work."""
    return [good(query).to_wire()]


def says(code: dns.rcode.Rcode) -> Mood:
    """The mood that answers every question by this, without addresses."""

    def mood(query: dns.message.Message, wire: bytes) -> list[bytes]:
        answer = dns.message.make_response(query)
        answer.set_rcode(code)
        return [answer.to_wire()]

    return mood


def dead() -> Nameserver:
    """A port where nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return Nameserver(*free.getsockname())


def slow(query: dns.message.Message, wire: bytes) -> list[bytes]:
    time.sleep(0.1)
    return knows(query, wire)
