"""Endpoints that no peer can have: errors in the list, and never given to the device, from DNS and memory neither."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import pytest
from attrs import evolve

from mesh_sync.check.endpoints import endpoints
from mesh_sync.mesh.manifest import read
from mesh_sync.names.nameservers import Answer
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.reconcile.endpoint_choice import find
from mesh_sync.reconcile.reachable import addresses, choose
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.elsewhere import no_name, nowhere
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.plan import Change
from mesh_sync.wireguard.underlay import Tunnel
from mesh_sync.wireguard.ways import Way
from mesh_watchdog.policy.candidates import candidates, news
from sim import at
from unit.test_watchdog_candidates import D, peer, places

NODE = Node(name="a", repository=Repository(urls=("x",)), trust=Trust(mode="none"))
NOWHERE = [
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:198.51.100.1",
    "::ffff:0:0",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "2002:e000:1::",
    "2001:0:7f00:1::1",
    "2001:0:c633:6401:0:0:80ff:fffe",
    "100::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "2001:db8::1%eth0",
    "fec0::1",
    "ff02::1",
]
SOMEWHERE = [
    "1.0.0.1",
    "10.0.0.1",
    "100.64.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.255",
    "223.255.255.255",
    "64:ff9b::198.51.100.1",
    "2002:c633:6401::1",
    "2001:0:c633:6401:0:0:39cc:9bfe",
    "2001:db8::1",
    "2606:4700::1111",
    "fc00::1",
    "fd00:ec1::254",
    "fd00::1",
]
NAMES = [
    "localhost",
    "LocalHost",
    "localhost.",
    "a.localhost",
    "localhost.localdomain",
    "localhost6",
    "ip6-loopback",
    "0x7f000001",
    "0X7F.1",
    "0x7f.0.0.1",
    "0x",
]
NUMBERS = ["127.1", "2130706433", "0177.0.0.1", "127.0.0.01", "127.1.", "017700000001", "1.2.3.4.5"]
NO_NETWORK = Live()


def written(address: str) -> str:
    return f"[{address}]:51820" if ":" in address else f"{address}:51820"


def mesh_with(*texts: str) -> tuple[list[str], list[str]]:
    """What is wrong with a mesh whose peers have these endpoints: as the files are read, and as a whole."""
    files = {"mesh.toml": b'format = 1\nname = "lab"\nnetworks = ["10.7.0.0/24"]\n'}
    for number, text in enumerate(texts, start=1):
        key = "A" * 41 + "BCDEFGHI"[number] + "A="
        content = f'public_key = "{key}"\naddresses = ["10.7.0.{number}"]\nendpoint = "{text}"\n'
        files[f"peers/p{number}.toml"] = content.encode()
    mesh, findings = read(files)
    assert mesh
    return [str(one) for one in findings], [str(one) for one in endpoints(mesh, datetime.now(UTC))]


@pytest.mark.parametrize("address", NOWHERE)
def test_the_list_cannot_declare_it(address: str) -> None:
    [said], _ = mesh_with(written(address))
    assert said.startswith(f"peers/p1.toml:endpoint: '{written(address)}': no other machine can be at {address}: it is")


@pytest.mark.parametrize("name", [*NAMES, *NUMBERS])
def test_nor_a_name_that_stands_for_it(name: str) -> None:
    [said], _ = mesh_with(f"{name}:51820")
    assert said.startswith("peers/p1.toml:endpoint: ")


@pytest.mark.parametrize("address", NOWHERE)
def test_dns_cannot_bring_it_to_the_device(address: str) -> None:
    here = ipaddress.ip_address(address)
    answers = {"b.example": Answer("b.example", (here,))}
    declared = [Endpoint("b.example", 51820)]
    assert not list(addresses([declared], answers)), "nor is the kernel asked"
    endpoint, problem = choose(declared, answers, {str(here): Way("eth0")}, Tunnel("wg0"), 51820)
    assert endpoint == ""
    assert problem.startswith(f"b.example: no other machine can be at {here}: it is ")


@pytest.mark.parametrize("address", NOWHERE)
def test_the_watchdog_tries_it_neither_from_dns_nor_where_the_peer_was(address: str) -> None:
    if "%" in address:
        assert nowhere(ipaddress.ip_address(address))
        return
    assert [endpoint for endpoint, _ in candidates(peer(), places(address))] == [at(D)]
    assert not news(peer(), places(address))
    assert [endpoint for endpoint, _ in candidates(peer(good=address), places(D))] == [at(D)]


@pytest.mark.parametrize("address", SOMEWHERE)
def test_there_are_peers_elsewhere(address: str) -> None:
    assert nowhere(ipaddress.ip_address(address)) == ""
    assert mesh_with(written(address)) == ([], [])


@pytest.mark.parametrize("name", ["a.example", "1.example", "0x7f000001.example", "host.1", "localhost.example", "a0x"])
def test_a_name_is_one(name: str) -> None:
    assert no_name(name) == ""
    assert mesh_with(f"{name}:51820") == ([], [])


def test_only_one_peer_can_be_at_a_place() -> None:
    _, found = mesh_with("198.51.100.1:51820", "198.51.100.1:51821", "198.51.100.1:51820")
    assert found == ["peers/p3.toml:endpoint: 198.51.100.1:51820 is also an endpoint of p1; only one peer can be there"]


def test_two_peers_behind_one_name_and_port_are_told_to_part() -> None:
    """As two machines behind one router with DDNS have it."""
    _, found = mesh_with("a.example:51820", "a.example:51821", "A.example.:51820")
    advice = "behind one router each needs a `listen_port`, and an endpoint with that port, of its own"
    place = "a.example:51820 is also an endpoint of p1; only one peer can be there"
    assert found == [f"peers/p3.toml:endpoint: warning: {place}: {advice}"]


def test_what_the_version_before_has_stored_is_not_given_either() -> None:
    """The list that is applied, and what its names stood for last, may be older than this rule."""
    b = DesiredPeer("b", "KB", ("10.7.0.2",), frozenset({"10.7.0.2/32"}), ("240.0.0.1:51820", "[::ffff:7f00:1]:1"))
    here = Desired(
        mesh="lab", name="a", public_key="KA", listen_port=51820, mtu=1420, addresses=frozenset({"10.7.0.1/32"}),
        routes=frozenset(), peers=(b,),
    )  # fmt: skip
    change = [Change("peer-added", "peer b", "b", "KB")]
    assert find(NODE, here, change, {"KB": "169.254.169.254:51820"}, NO_NETWORK, 0.0).fed == {}
    good = evolve(b, endpoint=("0.0.0.1:1",))
    assert find(NODE, evolve(here, peers=(good,)), change, {"KB": "192.0.2.7:51820"}, NO_NETWORK, 0.0).fed == {
        "KB": "192.0.2.7:51820"
    }
