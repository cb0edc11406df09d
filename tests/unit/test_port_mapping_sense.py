"""The sense of the mapped port: when it asks, what it observes, what it leaves behind. The router is a plain object."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve

from lab.waiting import until
from mesh_sync.errors import DeviceError
from mesh_sync.wireguard.underlay import Tunnel
from mesh_watchdog.policy.observations import Mapped, Observation, Surroundings
from mesh_watchdog.policy.state import State
from mesh_watchdog.port_mapping import ask, sense
from mesh_watchdog.port_mapping.answers import Granted, Refused, Why
from mesh_watchdog.port_mapping.router import Router

IPv4 = ipaddress.IPv4Address
HOME = Router(IPv4("192.0.2.7"), "eth0", IPv4("192.168.1.2"), 51820)
HELD = ask.Held(Granted(IPv4("192.0.3.20"), 51820, 1200, 5), "NAT-PMP")
MAPPED = Mapped("192.0.3.20:51820", "NAT-PMP")
REFUSED = Mapped("", "the router at 192.0.2.7 refuses a port mapping")


class World:
    """What the sense meets: where this machine is, what the router says, and what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.router: Router | None = HOME
        self.answer: ask.Held | Refused = HELD
        self.asked: list[Router] = []
        self.removed: list[ask.Held] = []
        self.broken = False
        self.state = State(interface=True)
        self.seen: list[Observation | None] = []
        monkeypatch.setattr(sense, "SOONEST", 0.0)
        monkeypatch.setattr(sense, "find", self.find)
        monkeypatch.setattr(ask, "for_mapping", self.for_mapping)
        monkeypatch.setattr(ask, "remove", self.remove)

    def find(self, interface: str, mark: int) -> Router | None:
        if self.broken:
            raise DeviceError("`ip` is not installed")
        return self.router

    async def for_mapping(self, router: Router, held: ask.Held | None) -> ask.Held | Refused:
        self.asked.append(router)
        return self.answer

    async def remove(self, router: Router, held: ask.Held) -> None:
        self.removed.append(held)

    async def observed(self, number: int) -> list[Observation | None]:
        """All observations, once there are so many."""
        await self.until(lambda: len(self.all()) >= number)
        return self.seen

    def all(self) -> list[Observation | None]:
        while not self.inbox.empty():
            self.seen.append(self.inbox.get_nowait())
        return self.seen

    async def until(self, true: Callable[[], object]) -> None:
        await asyncio.to_thread(until, true, 10, every=0.01)

    def live(self, story: Callable[[sense.PortMapping], Awaitable[None]]) -> None:
        async def work() -> None:
            self.inbox: asyncio.Queue[Observation | None] = asyncio.Queue()
            watching = sense.PortMapping("wg0", lambda: self.state)
            await watching.start(self.inbox)
            await watching.look()
            try:
                await story(watching)
            finally:
                await watching.stop()

        asyncio.run(work())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_it_asks_once_and_gives_back_at_the_end(world: World) -> None:
    async def story(watching: sense.PortMapping) -> None:
        assert await world.observed(1) == [MAPPED]
        for _ in range(100):
            await watching.look()
        await asyncio.sleep(0.1)
        assert world.asked == [HOME], "a look costs nothing while nothing happens"
        assert world.removed == []

    world.live(story)
    assert world.removed == [HELD]


@pytest.mark.parametrize(
    "after",
    [
        lambda state: evolve(state, surroundings=Surroundings(frozenset(), frozenset())),
        lambda state: evolve(state, tunnel=Tunnel("wg0")),
        lambda state: evolve(state, mark=51820),
    ],
    ids=["network", "applied state", "mark"],
)
def test_it_asks_afresh_when_the_machine_or_its_port_may_be_elsewhere(
    world: World, after: Callable[[State], State]
) -> None:
    async def story(watching: sense.PortMapping) -> None:
        await world.observed(1)
        world.state = after(world.state)
        await watching.look()
        await world.until(lambda: len(world.asked) == 2)
        await watching.look()
        await asyncio.sleep(0.05)
        assert (len(world.asked), world.seen) == (2, [MAPPED])

    world.live(story)


def test_at_another_router_the_old_endpoint_is_over_before_there_is_a_new_one(world: World) -> None:
    async def story(watching: sense.PortMapping) -> None:
        await world.observed(1)
        world.router, world.answer = evolve(HOME, own=IPv4("192.168.1.9")), Refused(Why.REFUSED)
        world.state = evolve(world.state, surroundings=Surroundings(frozenset(), frozenset()))
        await watching.look()
        assert await world.observed(3) == [MAPPED, Mapped(""), REFUSED]
        assert world.removed == [HELD]

    world.live(story)
    assert world.removed == [HELD], "once"


@pytest.mark.parametrize("own", [None, "203.0.113.5"], ids=["no router", "a public address"])
def test_without_a_nat_no_router_is_asked(world: World, own: str | None) -> None:
    world.router = evolve(HOME, own=IPv4(own)) if own else None

    async def story(watching: sense.PortMapping) -> None:
        await asyncio.sleep(0.2)
        assert (world.asked, world.all()) == ([], [])
        world.router, world.state = HOME, evolve(world.state, surroundings=Surroundings(frozenset(), frozenset()))
        await watching.look()
        assert await world.observed(1) == [MAPPED]

    world.live(story)


def test_without_the_interface_nothing_is_asked(world: World) -> None:
    world.state = State()

    async def story(watching: sense.PortMapping) -> None:
        await asyncio.sleep(0.1)
        assert world.asked == []
        world.state = evolve(world.state, interface=True)
        await watching.look()
        assert await world.observed(1) == [MAPPED]

    world.live(story)


def test_a_refusal_is_no_problem_and_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.answer = Refused(Why.REFUSED)

    async def story(watching: sense.PortMapping) -> None:
        assert await world.observed(1) == [REFUSED]
        world.state = evolve(world.state, surroundings=Surroundings(frozenset(), frozenset()))
        await watching.look()
        await world.until(lambda: len(world.asked) == 2)
        assert world.all() == [REFUSED]

    with caplog.at_level("INFO", "mesh_watchdog"):
        world.live(story)
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_while_the_machine_cannot_be_looked_at_the_mapping_stays(world: World) -> None:
    async def story(watching: sense.PortMapping) -> None:
        await world.observed(1)
        world.broken, world.state = True, evolve(world.state, surroundings=Surroundings(frozenset(), frozenset()))
        await watching.look()
        await asyncio.sleep(0.2)
        assert world.all() == [MAPPED]
        assert world.removed == []

    world.live(story)
    assert world.removed == [HELD]


def news(epoch: int) -> bytes:
    """A PCP ANNOUNCE (RFC 6887, figure 3, opcode 0): a router that has known its mappings for so many seconds."""
    return b"\x02\x80\0\0" + bytes(4) + epoch.to_bytes(4, "big") + bytes(12)


def test_a_router_that_was_restarted_is_asked_again_and_one_that_was_not_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    monkeypatch.setattr(sense, "news_from", lambda router: ours)

    async def story(watching: sense.PortMapping) -> None:
        await world.observed(1)
        for data in (b"", b"\x02\x80", news(5), news(6), b"\0\x80\0\0\0\0\0\5" + IPv4("192.0.3.20").packed):
            theirs.send(data)
        await asyncio.sleep(1)
        assert len(world.asked) == 1
        theirs.send(news(0))
        await world.until(lambda: len(world.asked) == 2)
        theirs.send(b"\0\x80\0\0\0\0\0\5" + IPv4("192.0.3.21").packed)  # NAT-PMP: it has another address
        await world.until(lambda: len(world.asked) == 3)

    world.live(story)
    theirs.close()


def test_a_flood_of_news_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    theirs.setblocking(False)
    monkeypatch.setattr(sense, "news_from", lambda router: ours)
    monkeypatch.setattr(sense, "NEWS_PAUSE", 30.0)

    async def story(watching: sense.PortMapping) -> None:
        await world.observed(1)
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while taken < 100_000:
                theirs.send(news(0))
                taken += 1
                await asyncio.sleep(0)
        assert taken < 10_000, "the kernel keeps few, and one was read"

    world.live(story)
    theirs.close()
