"""Every user of the machine can connect to the metrics port: none can keep the watchdog from its work, or its files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from mesh_watchdog.report import metrics

GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = "x" * (16 << 20)
"""More than the kernel takes on its way to a client that does not read."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PATIENCE", 0.5)


def served(story: Callable[[int], Awaitable[None]], text: Callable[[], str] = lambda: "fine\n") -> None:
    """Let a story happen to a port where metrics are served."""

    async def happen() -> None:
        server = await metrics.serve(("127.0.0.1", 0), text)
        async with server:
            await story(server.sockets[0].getsockname()[1])

    asyncio.run(asyncio.wait_for(happen(), 60))


async def said(port: int, request: bytes = GET) -> bytes:
    """What a client gets, until it is hung up on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_clients_that_say_nothing_are_few_and_do_not_stay() -> None:
    async def story(port: int) -> None:
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10 * metrics.MOST_CLIENTS)]
        for _, writer in clients:
            writer.write(b"GET /met")  # and no more
        ends = [asyncio.ensure_future(_end(reader)) for reader, _ in clients]
        await asyncio.sleep(metrics.PATIENCE / 5)
        assert sum(not end.done() for end in ends) <= metrics.MOST_CLIENTS
        await asyncio.gather(*ends)
        assert (await said(port)).endswith(b"fine\n")
        for _, writer in clients:
            writer.close()

    served(story)


async def _end(reader: asyncio.StreamReader) -> None:
    try:
        assert await reader.read() == b""
    except ConnectionError:
        return


def test_who_does_not_take_the_answer_is_hung_up_on() -> None:
    async def story(port: int) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", port, limit=1) for _ in range(metrics.MOST_CLIENTS)]
        for _, writer in idle:
            writer.write(GET)
        while not (await said(port, GET.replace(b"GET", b"PUT"))).startswith(b"HTTP/1.1 405"):
            await asyncio.sleep(0.05)
        for reader, writer in idle:
            reader._limit = 1 << 20  # type: ignore[attr-defined]
            taken = 0
            try:
                while piece := await reader.read(1 << 20):
                    taken += len(piece)
            except ConnectionError:
                pass
            assert taken < len(LARGE)
            writer.close()

    served(story, lambda: LARGE)


GARBAGE = {
    "tls": b"\x16\x03\x01\x02\x00\x01\xff" * 99, "nothing": b"\r\n\r\n", "zeros": b"\0" * 100,
    "a long line": b"GET " + b"/" * 100_000, "many lines": b"GET\r\n" * 20_000, "no end": b"X: y\r\n" * 9,
}  # fmt: skip


@pytest.mark.parametrize("request_", GARBAGE.values(), ids=GARBAGE)
def test_whatever_it_is_that_is_said_costs_nothing(request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def story(port: int) -> None:
        assert b"fine" not in await said(port, request_)
        assert (await said(port)).endswith(b"fine\n")

    with caplog.at_level(logging.WARNING):
        served(story)
    assert caplog.text == ""


def test_who_asks_without_end_gets_the_same_text_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FRESH", 60.0)
    made = []

    def text() -> str:
        made.append(1)
        return "fine\n"

    async def story(port: int) -> None:
        for _ in range(3):
            answers = await asyncio.gather(*(said(port) for _ in range(metrics.MOST_CLIENTS)))
            assert all(answer.endswith(b"fine\n") for answer in answers)

    served(story, text)
    assert made == [1]
