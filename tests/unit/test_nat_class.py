"""What NAT a node is behind, as its peers see it; and the packet that opens it."""

from __future__ import annotations

import ipaddress
import socket
import struct

import pytest

from mesh_watchdog.opener import Opener, packet
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.nat_class import EASY, HARD, PUBLIC, UNKNOWN, nat_class
from mesh_watchdog.policy.observations import Applied, Here, Reported, Seen, Sighting, Snapshot, Surroundings
from mesh_watchdog.policy.reports import Report
from mesh_watchdog.policy.state import State
from sim import declared

SITES = {
    "r": "203.0.113.1:51820",
    "s": "192.0.2.7:51820",
    "liar": "192.0.2.8:51820",
    "six": "[2001:db8::7]:51820",
    "lan": "192.168.1.9:51820",
}
OWN = frozenset(map(ipaddress.ip_address, ("192.168.1.2", "198.51.100.9")))


def seen(*places: tuple[str, str], at: float = 0.0) -> list[Report]:
    return [Report(endpoint, observer, at) for observer, endpoint in places]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([], UNKNOWN),
        (seen(("r", "198.51.100.2:51820")), UNKNOWN),
        (seen(("r", "198.51.100.2:51820"), ("s", "198.51.100.2:51820")), EASY),
        (seen(("r", "198.51.100.2:51820"), ("s", "198.51.100.2:4711")), HARD),
        (seen(("r", "198.51.100.2:51820"), ("s", "198.51.100.3:51820")), HARD),
        (seen(("r", "198.51.100.2:51820"), ("s", "198.51.100.2:51820"), ("liar", "198.51.100.2:4711")), EASY),
        (seen(("r", "198.51.100.2:51820"), ("s", "198.51.100.2:4711"), ("liar", "198.51.100.2:4712")), HARD),
        (seen(("r", "198.51.100.9:51820")), PUBLIC),
        (seen(("lan", "192.168.1.2:51820")), UNKNOWN),
        (seen(("lan", "192.168.1.2:51820"), ("r", "198.51.100.2:51820"), ("s", "198.51.100.2:51820")), EASY),
        (seen(("r", "198.51.100.2:51820"), ("lan", "198.51.100.2:4711")), UNKNOWN),
        (seen(("r", "198.51.100.2:51820"), ("six", "[2001:db8::2]:51820")), UNKNOWN),
        ([Report("198.51.100.2:51820", "r", 0.0), Report("198.51.100.7:51820", "s", 90.0)], UNKNOWN),
        ([Report("198.51.100.2:51820", "r", 0.0), Report("198.51.100.7:51820", "s", 20.0)], UNKNOWN),
        ([Report("198.51.100.2:51820", "r", 0.0), Report("198.51.100.2:51820", "s", 20.0)], EASY),
        ([Report("198.51.100.2:51820", "r", 0.0), Report("198.51.100.2:4711", "s", 4.0)], HARD),
        ([Report("198.51.100.2:1", "r", 0.0, own=True), Report("198.51.100.2:2", "s", 0.0, own=True)], UNKNOWN),
    ],
)
def test_the_class_follows_from_what_observers_in_different_networks_see(reports: list[Report], expected: str) -> None:
    assert nat_class(reports, OWN, SITES) == expected


def test_what_was_seen_before_the_nodes_own_network_changed_says_nothing_of_its_nat() -> None:
    observers = {"r": declared("r", ["203.0.113.1"]), "s": declared("s", ["192.0.2.7"])}
    state, _ = decide(State(), Applied(observers, here=Here("me", "me")), 0.0)
    state, _ = decide(
        state, Snapshot({key: Seen(str(one.endpoint[0]), 1, 0, 0) for key, one in observers.items()}), 1.0
    )
    state, _ = decide(state, Surroundings(OWN, frozenset([4])), 10.0)
    for moment, port, age, expected in ((10.5, 4711, 1.0, UNKNOWN), (11.5, 51820, 1.0, EASY)):
        for key, place in (("r", "198.51.100.2:51820"), ("s", f"198.51.100.2:{port}")):
            state, _ = decide(state, Reported(key, "me", (Sighting(place, age),)), moment)
        assert state.rendezvous.nat == expected


def total(data: bytes) -> int:
    """The internet checksum of data that holds its own: 0 if it is right."""
    words: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    return ~words & 0xFFFF


@pytest.mark.parametrize(("source", "target"), [("192.0.2.1", "203.0.113.7"), ("2001:db8::1", "2001:db8::2")])
def test_an_opener_is_a_whole_packet_with_wireguards_port_and_few_hops(source: str, target: str) -> None:
    address = ipaddress.ip_address(target)
    own = ipaddress.ip_address(source).packed
    made = packet(own, address, 51820, 4711, 3)
    header, hops = (20, made[8]) if address.version == 4 else (40, made[7])
    udp = made[header:]
    assert made[0] >> 4 == address.version
    assert hops == 3
    assert struct.unpack("!HHH", udp[:6]) == (51820, 4711, len(udp))
    pseudo = own + address.packed + struct.pack("!LL", len(udp), socket.IPPROTO_UDP)
    assert total(pseudo + udp + b"\0") == 0


@pytest.mark.parametrize("endpoint", ["host.example:51820", "nonsense", "255.255.255.255:1", "[::1]:0"])
def test_an_endpoint_to_which_nothing_can_be_sent_is_no_error(endpoint: str) -> None:
    opener = Opener()
    assert opener.send(endpoint, 51820, 2, 0) == ""
    opener.close()


def test_without_the_right_to_raw_sockets_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("mesh_watchdog.opener._source", lambda *_: bytes(4))
    monkeypatch.setattr("mesh_watchdog.opener.socket.socket", refuse)
    assert "CAP_NET_RAW" in Opener().send("192.0.2.1:51820", 51820, 2, 0)
