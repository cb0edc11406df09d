"""Two sites with the same LAN: each reaches the other's hosts by the addresses that the mesh sees."""

from __future__ import annotations

import pytest

from e2e.exit_lab import becomes_seen, seen_from, serve
from lab import Lab, Site
from lab.host import Host
from lab.mesh import Mesh, now_json, status
from lab.ping import first_answer

pytestmark = pytest.mark.e2e

LAN, LAN6 = "192.168.1.0/24", "fd00:c0a8:100::/64"
SEEN = {"a": ("10.101.1.0/24", "fd00:101::/64"), "b": ("10.102.1.0/24", "fd00:102::/64")}
# the tenth address of each LAN
HOST = {"a": ("10.101.1.10", "fd00:101::a"), "b": ("10.102.1.10", "fd00:102::a")}


class World:
    """The sites `a` and `b`, whose LANs have the same addresses, and `c`, which is in neither."""

    def __init__(self, lab: Lab) -> None:
        self.mesh = Mesh(lab, networks=["10.0.0.0/24", "fd00:77::/64"])
        self.sites = dict[str, Site]()
        for number, name in enumerate("ab", start=21):
            self.sites[name] = site = lab.site(name, LAN, f"203.0.113.{number}")
            self.mesh.enlist(
                name,
                site.gateway,
                address=f"10.0.0.{number}",
                addresses=[f"10.0.0.{number}", f"fd00:77::{number}"],
                endpoint=f"203.0.113.{number}:51820",
                subnets=[LAN, LAN6],
                nat_subnet=list(SEEN[name]),
            )
            self.mesh.configure(site.gateway, gateway={})
            serve(site.host)
        self.c = self.mesh.node("c", 23, addresses=["10.0.0.23", "fd00:77::23"])
        serve(self.c)
        self.mesh.push("the same LAN at two sites")
        self.mesh.now()

    def host(self, name: str) -> Host:
        return self.sites[name].host


@pytest.fixture(scope="module")
def world(lab: Lab) -> World:
    return World(lab)


@pytest.mark.parametrize("version", [0, 1], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize(("here", "there"), ["ab", "ba"])
def test_hosts_with_the_same_address_meet(world: World, here: str, there: str, version: int) -> None:
    address = HOST[there][version]
    first_answer(world.host(here), address, seconds=60)
    assert seen_from(world.host(here), address) == HOST[here][version]


@pytest.mark.parametrize("version", [0, 1], ids=["IPv4", "IPv6"])
def test_a_peer_in_neither_lan_is_reached_and_reaches_both(world: World, version: int) -> None:
    for name in "ab":
        first_answer(world.c, HOST[name][version], seconds=60)
        assert seen_from(world.c, HOST[name][version]) == ("10.0.0.23", "fd00:77::23")[version]
        assert becomes_seen(world.host(name), ("10.0.0.23", "fd00:77::23")[version], [HOST[name][version]])


def test_a_gateway_itself_is_reached_in_its_lan_too(world: World) -> None:
    first_answer(world.host("a"), "10.102.1.2", seconds=60)
    first_answer(world.c, "10.101.1.2", seconds=60)


def test_what_is_done_is_no_drift_and_is_mended(world: World) -> None:
    gateway = world.sites["a"].gateway
    assert now_json(gateway)["changes"] == []
    gateway.run(["nft", "flush", "table", "inet", "mesh_sync_wg0"])
    assert status(gateway)["drift"]
    now_json(gateway)
    assert status(gateway)["drift"] == []
    first_answer(world.host("b"), HOST["a"][0], seconds=60)


def test_masquerading_goes_with_it(world: World) -> None:
    """Hosts that know no way back to the mesh answer the gateway."""
    site = world.sites["b"]
    world.mesh.configure(site.gateway, gateway={"masquerade": "eth0"})
    now_json(site.gateway)
    site.host.ip("route replace default via 192.168.1.1")
    try:
        assert becomes_seen(world.host("a"), HOST["b"][0], ["192.168.1.2"], seconds=60) == "192.168.1.2"
    finally:
        site.host.ip("route replace default via 192.168.1.2")
        world.mesh.configure(site.gateway, gateway={})
        now_json(site.gateway)
