"""What is said to a router, and what is heard: over loopback, with routers that do what they should not."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh_watchdog.port_mapping import ask, pcp
from mesh_watchdog.port_mapping.answers import Granted, Refused, Why
from mesh_watchdog.port_mapping.router import Router, nonce

Reply = Callable[[bytes], list[bytes]]
OWN = ipaddress.IPv4Address("127.0.0.1")
OUTSIDE = ipaddress.IPv4Address("192.0.3.20")


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Router:
    """A gateway of this test's own, and no `upnpc`."""
    monkeypatch.setattr(ask, "is_installed", lambda program: False)
    monkeypatch.setattr(ask, "PATIENCE", (0.2, 0.2))
    last = os.getpid() % 60000
    return Router(ipaddress.IPv4Address(f"127.77.{last // 250}.{last % 250 + 2}"), "lo", OWN, 51820)


def pcp_grant(request: bytes, address: str = "192.0.3.20", lifetime: int = 1200) -> bytes:
    """A PCP answer to this request, as RFC 6887 draws it."""
    head = b"\x02\x81\0\0" + lifetime.to_bytes(4, "big") + (5).to_bytes(4, "big") + bytes(12)
    return head + request[24:44] + bytes(10) + b"\xff\xff" + ipaddress.IPv4Address(address).packed


def pmp_grant(request: bytes) -> bytes:
    return b"\0\x81\0\0" + (5).to_bytes(4, "big") + request[4:8] + (1200).to_bytes(4, "big")


class Speaking:
    """A router that answers every datagram with what ``reply`` returns; what it was told is in ``told``."""

    def __init__(self, router: Router, reply: Reply) -> None:
        self.told: list[bytes] = []
        self.sender = ("", 0)
        self._reply = reply
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((str(router.gateway), 5351))
        self._socket.setblocking(False)

    def __enter__(self) -> Speaking:
        asyncio.get_running_loop().add_reader(self._socket, self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _answer(self) -> None:
        data, self.sender = self._socket.recvfrom(2048)
        self.told.append(data)
        for each in self._reply(data):
            self._socket.sendto(each, self.sender)


def asked(router: Router, reply: Reply, held: ask.Held | None = None) -> tuple[ask.Held | Refused, list[bytes]]:
    async def work() -> tuple[ask.Held | Refused, list[bytes]]:
        with Speaking(router, reply) as speaking:
            return await ask.for_mapping(router, held), speaking.told

    return asyncio.run(work())


def is_pcp(data: bytes) -> bool:
    return data[0] == 2


def test_a_router_that_speaks_pcp_is_asked_once(router: Router) -> None:
    found, told = asked(router, lambda data: [pcp_grant(data)])
    assert isinstance(found, ask.Held)
    assert (found.by, found.granted) == ("PCP", Granted(OUTSIDE, 51820, 1200, 5))
    assert len(told) == 1
    again, told = asked(router, lambda data: [pcp_grant(data)], found)
    assert again == found
    assert told[0][24:36] == nonce(router) == told[0][24:36], "the same nonce, or the router would refuse"


def test_what_is_not_for_us_is_passed_over(router: Router) -> None:
    def reply(data: bytes) -> list[bytes]:
        other = bytearray(pcp_grant(data))
        other[24:36] = bytes(12)
        return [b"", b"\xff" * 1100, bytes(other), pcp_grant(data)]

    found, _ = asked(router, reply)
    assert isinstance(found, ask.Held)


def test_a_router_that_floods_is_not_listened_to_for_ever(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[bytes]()
    monkeypatch.setattr(pcp, "answer", lambda data, asked: read.append(data))
    found, _ = asked(router, lambda data: [b"\0"] * 200)
    assert found == Refused(Why.SILENT)
    assert 0 < len(read) <= ask.MOST_DATAGRAMS * len(ask.PATIENCE)


def test_a_router_of_the_older_protocol_is_asked_in_it(router: Router) -> None:
    def reply(data: bytes) -> list[bytes]:
        if is_pcp(data):
            return [b"\0\x81\0\x01" + bytes(4)]
        return [b"\0\x80\0\0" + bytes(4) + OUTSIDE.packed] if len(data) == 2 else [pmp_grant(data)]

    found, told = asked(router, reply)
    assert isinstance(found, ask.Held)
    assert (found.by, found.granted.endpoint) == ("NAT-PMP", "192.0.3.20:51820")
    assert len(told) == 3
    _, told = asked(router, reply, found)
    assert not [data for data in told if is_pcp(data)], "what worked comes first"


def test_a_router_behind_a_carriers_nat_forwards_nothing_for_us(router: Router) -> None:
    found, told = asked(router, lambda data: [pcp_grant(data, "100.64.0.10", int.from_bytes(data[4:8], "big"))])
    assert found == Refused(Why.CARRIER)
    assert [int.from_bytes(data[4:8], "big") for data in told] == [1200, 0], "it is given back at once"


def test_by_nat_pmp_it_is_not_even_asked_to(router: Router) -> None:
    address = b"\0\x80\0\0" + bytes(4) + bytes((192, 168, 1, 2))
    found, told = asked(router, lambda data: [] if is_pcp(data) else [address])
    assert found == Refused(Why.CARRIER)
    assert [data for data in told if not is_pcp(data)] == [b"\0\0"]


def test_where_nobody_listens_no_time_is_lost(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "PATIENCE", (60.0,))
    assert asyncio.run(ask.for_mapping(router, None)) == Refused(Why.SILENT)


def test_an_answer_from_another_machine_is_not_heard(router: Router) -> None:
    """One that saw the request, and answers from its own address."""

    async def work() -> tuple[ask.Held | Refused, int]:
        with Speaking(router, lambda data: []) as speaking:
            found = asyncio.ensure_future(ask.for_mapping(router, None))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.78.0.1", 0))
                while not speaking.told:
                    await asyncio.sleep(0.001)
                sent = other.sendto(pcp_grant(speaking.told[0]), speaking.sender)
            return await found, sent

    assert asyncio.run(work()) == (Refused(Why.SILENT), 60)


def test_a_refusal_is_told_when_nothing_better_comes(router: Router) -> None:
    def reply(data: bytes) -> list[bytes]:
        return [b"\x02\x81\0\x02" + data[4:24] + data[24:]] if is_pcp(data) else []

    assert asked(router, reply)[0] == Refused(Why.REFUSED, 1200)


def test_upnp_is_asked_by_the_program_and_only_of_the_gateway(
    router: Router, monkeypatch: pytest.MonkeyPatch, upnpc: Path
) -> None:
    monkeypatch.setattr(ask, "is_installed", lambda program: True)
    monkeypatch.setenv("PATH", f"{upnpc.parent}:{os.environ['PATH']}")
    upnpc.write_text(
        f"""#!/bin/sh
echo "$*" >>{upnpc.parent}/calls
case "$*" in
*" -s") printf ' desc: http://127.78.0.1:80/x\\n desc: http://{router.gateway}:80/root.xml\\n' ;;
*" 51820 51820 UDP "*) echo 'AddPortMapping(...) failed with code 718 (ConflictInMappingEntry)'; exit 2 ;;
*" -a "*) echo "external 192.0.3.20:$9 UDP is redirected to internal 127.0.0.1:51820 (duration=7200)" ;;
esac
"""
    )
    found = asyncio.run(ask.for_mapping(router, None))
    assert isinstance(found, ask.Held)
    assert (found.by, found.url) == ("UPnP", f"http://{router.gateway}:80/root.xml")
    assert found.granted.port >= 49152, "51820 is another machine's"
    asyncio.run(ask.remove(router, found))
    calls = (upnpc.parent / "calls").read_text().splitlines()
    assert calls[-1] == f"-m 127.0.0.1 -u {found.url} -d {found.granted.port} UDP"
    assert not [call for call in calls if "127.78" in call]


@pytest.fixture
def upnpc(tmp_path: Path) -> Path:
    program = tmp_path / "upnpc"
    program.touch(0o755)
    return program
