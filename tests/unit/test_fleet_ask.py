"""Asking many nodes at once: real sockets, on loopback addresses in place of the tunnel, and servers of every kind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rrset
import pytest

from mesh_sync.fleet import ask as asking
from mesh_sync.fleet.ask import ask
from mesh_sync.node.statement import LARGEST

Reply = Callable[[dns.message.Message], list[bytes]]
ZONE = "mesh.internal"


def answer(query: dns.message.Message, *strings: str, name: str = "_fleet.mesh.internal.") -> dns.message.Message:
    found = dns.message.make_response(query)
    text = " ".join(f'"{each}"' for each in strings)
    found.answer.append(dns.rrset.from_text(name, 0, "IN", "TXT", text))
    return found


def plain(query: dns.message.Message) -> list[bytes]:
    return [answer(query, "one,", "two").to_wire()]


def cut(query: dns.message.Message) -> list[bytes]:
    found = dns.message.make_response(query)
    found.flags |= dns.flags.TC
    return [found.to_wire()]


def other_id(query: dns.message.Message) -> list[bytes]:
    found = answer(query, "forged")
    found.id = query.id ^ 1
    return [found.to_wire()]


def other_question(query: dns.message.Message) -> list[bytes]:
    asked = dns.message.make_query("_fleet.example.org", "TXT", id=query.id)
    return [answer(asked, "forged", name="_fleet.example.org.").to_wire()]


def other_name(query: dns.message.Message) -> list[bytes]:
    return [answer(query, "forged", name="aws.mesh.internal.").to_wire()]


def noise(query: dns.message.Message) -> list[bytes]:
    return [b"", b"\xff" * 1200, query.to_wire(), answer(query, "x").to_wire()[:-3], *plain(query)]


def silent(query: dns.message.Message) -> list[bytes]:
    return []


def refused(query: dns.message.Message) -> list[bytes]:
    return [dns.message.make_response(query).to_wire()]


def endless(query: dns.message.Message) -> list[bytes]:
    return [answer(query, *["x" * 255] * 200).to_wire(max_size=65535)]


class Servers:
    """A server at each of some addresses in 127.0.0.0/8, on one port; by TCP too, where ``by_tcp`` says what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sockets: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.asked: dict[str, int] = {}
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        monkeypatch.setattr(asking, "PORT", self.port)

    def at(self, address: str, reply: Reply, by_tcp: Reply | None = None, *, lost: int = 0) -> str:
        """``lost``: questions that never arrive."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, self.port))
        self._serve(lambda: self._datagram(made, address, reply, lost), made)
        if by_tcp:
            listening = socket.socket()
            listening.bind((address, self.port))
            listening.listen()
            self._serve(lambda: self._connection(listening, by_tcp), listening)
        return address

    def _datagram(self, made: socket.socket, address: str, reply: Reply, lost: int) -> None:
        data, place = made.recvfrom(4096)
        self.asked[address] = self.asked.get(address, 0) + 1
        for each in reply(dns.message.from_wire(data)) if self.asked[address] > lost else []:
            made.sendto(each, place)

    def _connection(self, listening: socket.socket, reply: Reply) -> None:
        client, _ = listening.accept()
        with client:
            data = client.recv(4096)
            for each in reply(dns.message.from_wire(data[2:])):
                client.sendall(len(each).to_bytes(2) + each)
            client.recv(1)

    def _serve(self, once: Callable[[], None], made: socket.socket) -> None:
        def run() -> None:
            try:
                while True:
                    once()
            except OSError:
                return

        self.sockets.append(made)
        self.threads.append(thread := threading.Thread(target=run, daemon=True))
        thread.start()

    def close(self) -> None:
        for made in self.sockets:
            made.shutdown(socket.SHUT_RDWR) if made.type == socket.SOCK_STREAM else made.close()
            made.close()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    made = Servers(monkeypatch)
    yield made
    made.close()


def test_each_nodes_words_are_its_own(servers: Servers) -> None:
    numbers = range(2, 120)
    for number in numbers:
        servers.at(f"127.1.0.{number}", lambda query, number=number: [answer(query, f"{number}").to_wire()])  # type: ignore[misc]
    found = ask([f"127.1.0.{number}" for number in numbers], ZONE, "lo", 20.0)
    assert found == {f"127.1.0.{number}": str(number).encode() for number in numbers}


def test_what_does_not_fit_comes_by_tcp(servers: Servers) -> None:
    whole = servers.at("127.1.0.2", cut, lambda query: [answer(query, *["x" * 255] * 8).to_wire(max_size=65535)])
    without = servers.at("127.1.0.3", cut)
    noisy = servers.at("127.1.0.4", cut, lambda query: [b"\xff" * 40])
    assert ask([whole, without, noisy], ZONE, "lo") == {whole: b"x" * 255 * 8}


def test_a_question_that_is_lost_is_asked_again(servers: Servers) -> None:
    lossy = servers.at("127.1.0.2", plain, lost=1)
    assert ask([lossy], ZONE, "lo", 20.0) == {lossy: b"one,two"}


@pytest.mark.parametrize("reply", [other_id, other_question, other_name, silent, refused], ids=lambda one: one.__name__)
def test_what_was_not_asked_for_is_no_answer(servers: Servers, reply: Reply) -> None:
    wrong, right = servers.at("127.1.0.2", reply), servers.at("127.1.0.3", plain)
    assert ask([wrong, right], ZONE, "lo") == {right: b"one,two"}


def test_noise_before_the_answer_does_not_hide_it(servers: Servers) -> None:
    noisy = servers.at("127.1.0.2", noise)
    assert ask([noisy], ZONE, "lo") == {noisy: b"one,two"}


def test_an_answer_from_another_address_is_not_the_nodes(servers: Servers) -> None:
    """A node that answers the question to another one is only heard for itself."""

    def spoofing(query: dns.message.Message) -> list[bytes]:
        return [answer(query, "mine").to_wire()]

    liar, victim = servers.at("127.1.0.2", spoofing), servers.at("127.1.0.3", silent)
    assert ask([victim, liar], ZONE, "lo") == {liar: b"mine"}


def test_an_answer_without_end_is_cut(servers: Servers) -> None:
    by_tcp = servers.at("127.1.0.2", cut, endless)
    found = ask([by_tcp], ZONE, "lo")
    assert len(found[by_tcp]) == LARGEST + 1


def test_without_an_interface_no_node_answers(servers: Servers) -> None:
    assert ask([servers.at("127.1.0.2", plain), "fd00::1"], ZONE, "no-such-link", 0.5) == {}
    assert ask([], ZONE, "lo") == {}


def test_the_usual_zone_is_asked_where_the_lists_is_no_name() -> None:
    assert asking.question("x" * 300).question[0].name.to_text() == "_fleet.mesh.internal."
    assert asking.question("example.org").question[0].name.to_text() == "_fleet.example.org."
