"""A question over the tunnel: an answer counts only from where it was asked, and only to what was asked."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable

import dns.message
import pytest

from mesh_watchdog.mesh_dns import exchange, notices
from mesh_watchdog.sense.chatter import Chatter
from unit.mesh_in_dns import AZURE, GCP, SERVICES

QUESTION = notices.notice(AZURE, GCP, (), SERVICES, relayed=False)
Server = Callable[[bytes], Iterable[bytes]]
"""Given a question, what it sends back."""


def right(question: bytes) -> bytes:
    return dns.message.make_response(dns.message.from_wire(question)).to_wire()


def ask(monkeypatch: pytest.MonkeyPatch, server: Server) -> tuple[dns.message.Message | None, int]:
    """Ask it on the loopback; return the answer, and how often it was asked."""
    asked = 0

    async def story() -> dns.message.Message | None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as other:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            monkeypatch.setattr(exchange, "PORT", sock.getsockname()[1])

            def answer() -> None:
                nonlocal asked
                question, place = sock.recvfrom(4096)
                asked += 1
                other.sendto(right(question), place)  # from elsewhere
                for reply in server(question):
                    sock.sendto(reply, place)

            loop.add_reader(sock, answer)
            try:
                return await exchange.ask(QUESTION, "127.0.0.1", "lo", Chatter())
            finally:
                loop.remove_reader(sock)

    return asyncio.run(asyncio.wait_for(story(), 30)), asked


def test_the_right_answer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, asked = ask(monkeypatch, lambda question: [right(question)])
    assert answer
    assert answer.question == dns.message.from_wire(QUESTION).question
    assert asked == 1


WRONG: dict[str, Server] = {
    "nothing": lambda question: [],
    "noise": lambda question: [b"", b"x" * 700, question[:20]],
    "the question": lambda question: [question],
    "another id": lambda question: [bytes([question[0] ^ 1]) + right(question)[1:]],
    "another question": lambda question: [
        question[:2] + right(notices.notice(GCP, GCP, (), SERVICES, relayed=False))[2:]
    ],
}


@pytest.mark.parametrize("server", WRONG.values(), ids=WRONG.keys())
def test_nothing_else_is(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """It is asked twice, and then given up."""
    assert ask(monkeypatch, server) == (None, 2)


def test_the_right_one_counts_after_wrong_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, _ = ask(monkeypatch, lambda question: [b"x" * 50, question, right(question)])
    assert answer


def test_a_question_that_is_lost_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    came = list[bytes]()

    def server(question: bytes) -> Iterable[bytes]:
        came.append(question)
        return [right(question)] if len(came) > 1 else []

    answer, asked = ask(monkeypatch, server)
    assert answer
    assert asked == 2
    assert came[0] == came[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.1"], ids=["nothing listens", "no way there"])
def test_where_there_is_no_answer_there_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(exchange, "PORT", free.getsockname()[1])
    assert asyncio.run(asyncio.wait_for(exchange.ask(QUESTION, address, "lo", Chatter()), 30)) is None


def test_an_interface_that_is_gone_has_no_answer() -> None:
    assert asyncio.run(asyncio.wait_for(exchange.ask(QUESTION, "127.0.0.1", "gone0", Chatter()), 30)) is None


def test_two_questions_have_two_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = set[bytes]()

    def server(question: bytes) -> Iterable[bytes]:
        ids.add(question[:2])
        return [right(question)]

    for _ in range(4):
        ask(monkeypatch, server)
    assert len(ids) > 1


def test_a_peer_that_never_stops_talking_is_given_up_in_time_and_the_rest_of_the_program_has_its_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it sends is dear to read: hundreds of records with a long name."""
    name = b"\1a" * 126 + b"\0"
    records = b"\xc0\x0c\xff\x01\0\1\0\0\0\0\0\0" * 79
    junk = bytes([0, 7, 0xA0, 0, 0, 1, 0, 79, 0, 0, 0, 0]) + name + b"\0\6\0\1" + records
    over, turns = threading.Event(), list[float]()

    def talk(sock: socket.socket) -> None:
        _, place = sock.recvfrom(4096)
        while not over.is_set():
            sock.sendto(junk, place)
            time.sleep(0.002)  # more often than it can be read

    async def live() -> None:
        while True:
            await asyncio.sleep(0.01)
            turns.append(time.monotonic())

    async def story(sock: socket.socket) -> None:
        life = asyncio.create_task(live())
        monkeypatch.setattr(exchange, "PORT", sock.getsockname()[1])
        assert await exchange.ask(QUESTION, "127.0.0.1", "lo", Chatter()) is None
        life.cancel()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        threading.Timer(10, over.set).start()
        talker = threading.Thread(target=talk, args=(sock,))
        talker.start()
        begin = time.monotonic()
        asyncio.run(story(sock))
        took = time.monotonic() - begin
        over.set()
        talker.join()
    assert took < 6, "of 1.5 s"
    assert len(turns) >= 3
