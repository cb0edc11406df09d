"""Changes of the mesh's defaults by commit: all nodes are part of them, and those that talk still lose nothing."""

from __future__ import annotations

import pytest

from e2e.mesh_in_use import NUMBERS, MeshInUse, addresses, link, routes
from lab import Lab
from lab.logged import LoggedPrograms, is_reading
from lab.mesh import dump, now
from lab.ping import pinging

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def whole_net(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> MeshInUse:
    return MeshInUse(lab, LoggedPrograms(tmp_path_factory.mktemp("logged")))


@pytest.fixture
def net(whole_net: MeshInUse) -> MeshInUse:
    whole_net.begin_again()
    return whole_net


def test_the_default_port_follows(net: MeshInUse) -> None:
    """Whoever has a port of its own is no part of it.

    Clara and dora talk all the while, and take it one after the other: were both to move between two packets, neither
    would hear where the other is until their session is over.
    """
    for name in ("anna", "berta"):
        net.mesh.set(name, listen_port=51820)
    with pinging(net["clara"], "10.0.0.24"), net.changing(at_once=1):
        net.mesh.set_mesh(listen_port=51999)
        for name in ("clara", "dora"):
            net.mesh.set(name, endpoint=f"{name}.example:51999")
    assert [dump(net[name])[""]["port"] for name in NUMBERS] == ["51820", "51820", "51999", "51999"]
    assert net.reaches("clara", "10.0.0.24")
    assert net.reaches("anna", "10.0.0.23")


def test_the_default_mtu_follows(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set_mesh(mtu=1380)
    assert [link(net[name])["mtu"] for name in NUMBERS] == [1380] * 4


def test_the_default_keepalive_follows(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set_mesh(persistent_keepalive=13)
    assert {net.seen(one, other)["keepalive"] for one in NUMBERS for other in NUMBERS if one != other} == {"13"}


def test_a_second_network_is_routed_whole(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set_mesh(networks=["10.0.0.0/24", "10.99.0.0/24"])
        net.mesh.set("clara", addresses=["10.0.0.23", "10.99.0.23"])
    assert routes(net["anna"]) == {"10.0.0.0/24", "10.99.0.0/24"}
    assert addresses(net["clara"]) == {"10.0.0.23/32", "10.99.0.23/32"}
    assert net.reaches("anna", "10.99.0.23")


def test_what_only_people_and_other_programs_read_changes_no_interface(net: MeshInUse) -> None:
    before = net.everywhere(lambda node: dump(node).keys())
    with net.changing():
        net.mesh.set_mesh(name="renamed", dns_zone="lab.internal")
        net.mesh.set("clara", tags=["a"], owner="somebody")
    assert net.everywhere(lambda node: dump(node).keys()) == before


# -- the witness itself


def test_the_logged_programs_do_see_a_change(net: MeshInUse) -> None:
    net.mesh.set("clara", subnets=["192.168.77.0/24"])
    net.mesh.push()
    net.logged.calls()
    now(net["anna"], env=net.logged.env)
    written = [call for call in net.logged.calls() if not is_reading(call)]
    assert any(call.startswith("wg ") for call in written)
    assert any(call.startswith("ip -batch") for call in written)
