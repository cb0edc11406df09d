"""The MTU follows the ways to the peers; large packets pass where fragments are dropped."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import pytest

from e2e.running_watchdog import watching
from lab import Lab, Site
from lab.host import Host
from lab.mesh import Mesh, dump, key_of, now
from lab.node import Node
from lab.ping import first_answer
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NO_FRAGMENTS = """
table inet no_fragments {
    chain arrive {
        type filter hook prerouting priority -450;
        ip frag-off & 0x3fff != 0 drop
        exthdr frag exists drop
    }
}"""
"""Before connection tracking, which puts them together."""
NO_WORD = """
table inet no_word {
    chain leave {
        type filter hook output priority 0;
        icmp type destination-unreachable icmp code frag-needed drop
        icmpv6 type packet-too-big drop
    }
}"""
"""That a packet is too large is told to no sender."""
FITS = 1400 - 60
"""An MTU that keeps all within an uplink of 1400. WireGuard pads packets to 16 bytes, but not beyond its MTU: at 1420 a
packet of 1340 is too large, at 1340 it is not. So it is 1340 or 1320, by who is measured first."""
RAISED = "again, if all paths take it"
SERVE = """
import socket
with socket.create_server(("0.0.0.0", 5000)) as server:
    print("ready", flush=True)
    for _ in range(8):
        client, _ = server.accept()
        with client:
            client.sendall(bytes(3_000_000))
"""
FETCH = """
import socket, sys
with socket.create_connection((sys.argv[1], 5000), 10) as server:
    server.settimeout(10)
    got = 0
    while data := server.recv(65536):
        got += len(data)
print(got)
"""


def mtu(node: Node) -> int:
    return int(node.run(["cat", "/sys/class/net/wg0/mtu"]).stdout)


def link(host: Host, size: int) -> None:
    host.ip(f"link set eth0 mtu {size}")


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    """Peer a on the internet, and two sites, each a gateway behind a router."""
    mesh = Mesh(lab)
    mesh.node("a", 21)
    for number, (name, lan) in enumerate((("aws", "192.168.10.0/24"), ("azure", "192.168.20.0/24")), start=31):
        site = lab.site(name, lan, f"203.0.113.{number}")
        mesh.enlist(name, site.gateway, address=f"10.0.0.{number}", endpoint=f"203.0.113.{number}:51820", subnets=[lan])
        mesh.configure(site.gateway, gateway={})
        SITES[name] = site
    mesh.push()
    return mesh


SITES: dict[str, Site] = {}


@pytest.fixture(scope="module")
def a(mesh: Mesh) -> Node:
    return mesh.nodes["a"]


@pytest.fixture
def narrow(mesh: Mesh) -> Iterator[Mesh]:
    """Both sites behind routers with uplinks of 1400 bytes that tell no sender so, and take no fragments."""
    for site in SITES.values():
        link(site.router, 1400)
        site.router.nft(NO_FRAGMENTS)
        site.router.nft(NO_WORD)
    yield mesh
    for site in SITES.values():
        site.router.run(["nft", "delete", "table", "inet", "no_fragments"])
        site.router.run(["nft", "delete", "table", "inet", "no_word"])
        link(site.router, 1500)


def test_a_new_interface_has_the_mtu_that_its_uplink_leaves(a: Node) -> None:
    link(a, 1400)
    now(a)
    assert mtu(a) == 1320


def test_it_follows_the_uplink(a: Node) -> None:
    link(a, 1492)
    assert "MTU 1320 -> 1412" in now(a).stdout
    assert mtu(a) == 1412
    assert "in sync" in now(a).stdout


def test_with_its_uplink_down_it_stays(a: Node) -> None:
    a.ip("link set eth0 down")
    try:
        now(a, exit_code=3)
        assert mtu(a) == 1412
    finally:
        a.ip("link set eth0 up", *(line.replace(" add ", " replace ") for line in a.addresses.to_add()))


def test_the_smallest_of_the_ways_counts(a: Node) -> None:
    a.ip("route add 203.0.113.32/32 dev eth0 mtu 1380")
    assert "MTU 1412 -> 1300" in now(a).stdout
    a.ip("route delete 203.0.113.32/32")
    assert "MTU 1300 -> 1412" in now(a).stdout


def test_what_the_list_sets_counts_more(mesh: Mesh, a: Node) -> None:
    mesh.set("a", mtu=1350)
    mesh.push()
    now(a)
    assert mtu(a) == 1350
    mesh.set("a", mtu=None)
    mesh.push()
    link(a, 1500)
    now(a)
    assert mtu(a) == 1420


@pytest.fixture
def told_nothing(mesh: Mesh) -> Iterator[None]:
    """Gateways with uplinks of 1400 bytes that take no fragments, and tell no host of its LAN what is too large."""
    for site in SITES.values():
        link(site.gateway, 1400)
        site.gateway.nft(NO_FRAGMENTS)
        site.gateway.nft(NO_WORD)
    mesh.now("aws", "azure")
    yield
    for site in SITES.values():
        for table in ("no_fragments", "no_word"):
            site.gateway.run(["nft", "delete", "table", "inet", table])
        link(site.gateway, 1500)
    mesh.now("aws", "azure")


def test_gateways_tell_connections_of_their_lan_what_fits(told_nothing: None) -> None:
    assert {mtu(site.gateway) for site in SITES.values()} == {1320}
    assert fetched(SITES["aws"].host, SITES["azure"].host) == 3_000_000


def fetched(host: Host, server: Host) -> int:
    """How many bytes of 3 MB arrive by TCP."""
    serving = server.popen([sys.executable, "-S", "-c", SERVE])
    try:
        assert serving.stdout
        assert server.addresses.v4
        serving.stdout.readline()
        address = str(server.addresses.v4.ip)
        first_answer(host, address)
        done = host.run([sys.executable, "-S", "-c", FETCH, address], check=False, timeout=60)
        return int(done.stdout or 0)
    finally:
        serving.kill()
        serving.communicate(timeout=10)


ASK = """
import sys
from mesh_sync.wireguard.path_mtu import largest
print(largest("wg0", sys.argv[1], int(sys.argv[2])))
"""


def asked(node: Node, address: str) -> str:
    return node.run([sys.executable, "-c", ASK, address, "1420"]).stdout.strip()


def test_the_path_itself_is_asked_what_it_takes(mesh: Mesh, narrow: Mesh) -> None:
    """1400 bytes less 60 of WireGuard over IPv4, and packets are filled up to sixteen bytes; the plateau below."""
    aws = SITES["aws"].gateway
    first_answer(aws, "10.0.0.32")
    assert asked(aws, "10.0.0.32") == "1320"


def test_a_path_that_takes_everything_is_found_so(mesh: Mesh) -> None:
    aws = SITES["aws"].gateway
    first_answer(aws, "10.0.0.32")
    assert asked(aws, "10.0.0.32") == "1420"


def test_a_peer_without_answer_says_nothing(mesh: Mesh) -> None:
    assert asked(SITES["aws"].gateway, "10.0.0.77") == "None"


def test_mesh_watchdog_lowers_the_mtu_to_what_the_path_takes(mesh: Mesh, narrow: Mesh) -> None:
    gateways = [site.gateway for site in SITES.values()]
    assert {mtu(gateway) for gateway in gateways} == {1420}
    with contextlib.ExitStack() as stack:
        for gateway in gateways:
            stack.enter_context(watching(gateway))
        until(lambda: all(mtu(gateway) <= FITS for gateway in gateways), seconds=60)
        assert fetched(SITES["aws"].host, SITES["azure"].host) == 3_000_000
        assert fetched(SITES["azure"].host, SITES["aws"].host) == 3_000_000
        for gateway in gateways:
            assert "MTU" not in now(gateway).stdout


def test_a_peer_that_moves_behind_its_narrow_path_is_measured_at_its_new_place(mesh: Mesh, narrow: Mesh) -> None:
    """It was narrow before, so larger packets can only be tried once the interface takes them again."""
    aws, azure = (site.gateway for site in SITES.values())
    link(SITES["aws"].router, 1500)
    mesh.now("aws", "azure")
    key = key_of(azure)
    with watching(aws) as watchdog:
        first_answer(aws, "10.0.0.32")
        until(lambda: "takes no larger packets" in watchdog.said(), seconds=60)
        before, raised = dump(aws)[key]["endpoint"], watchdog.said().count(RAISED)
        azure.run(["wg", "set", "wg0", "listen-port", "51999"])
        first_answer(azure, "10.0.0.31")
        assert dump(aws)[key]["endpoint"] != before
        until(lambda: watchdog.said().count(RAISED) > raised, seconds=30, what=watchdog.said)
        until(lambda: mtu(aws) <= FITS, seconds=60)
        assert "MTU" not in now(aws).stdout
        now(azure)


def test_it_follows_an_uplink_at_once(mesh: Mesh, a: Node) -> None:
    """A second uplink takes over: the MTU with it, before any `now`."""
    now(a)
    with watching(a):
        a.ip(
            "link add mobile type veth peer name far",
            *("link set far up", "link set mobile mtu 1340 up", "address add 198.51.100.2/24 dev mobile"),
            *("neighbour add 198.51.100.1 lladdr 02:00:00:00:00:01 dev mobile", "route del default"),
        )
        a.ip("route add default via 198.51.100.1 dev mobile", "route add 203.0.113.31/32 via 198.51.100.1 dev mobile")
        until(lambda: mtu(a) == 1260, seconds=60)
