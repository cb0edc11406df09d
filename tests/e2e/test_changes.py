"""Every kind of change of a peer by commit, on a mesh that is in use."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import pytest

from e2e.mesh_in_use import ABSENT, KEY_FILE, NUMBERS, MeshInUse, addresses, link, routes
from lab import Lab, steady_ping
from lab.logged import LoggedPrograms
from lab.mesh import dump, now_json
from lab.waiting import eventually, until
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def whole_net(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> MeshInUse:
    return MeshInUse(lab, LoggedPrograms(tmp_path_factory.mktemp("logged")))


@pytest.fixture
def net(whole_net: MeshInUse) -> MeshInUse:
    whole_net.begin_again()
    return whole_net


# -- peers


def test_a_new_peer_is_reached_by_all(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.node("frida", 26)
    assert all(net.reaches(name, "10.0.0.26") for name in NUMBERS)
    assert routes(net["anna"]) == {"10.0.0.0/24"}


def test_a_peer_that_is_removed_is_gone_everywhere(net: MeshInUse) -> None:
    with net.changing(refused=["clara"]):
        net.mesh.remove("clara")
    for name in ("anna", "berta", "dora"):
        assert net.key("clara") not in dump(net[name])
    assert not net.reaches("clara", "10.0.0.21", seconds=1)
    assert dump(net["clara"]).keys() > {net.key(name) for name in ("anna", "berta", "dora")}, "it keeps its last state"


def test_a_peer_that_is_disabled_is_gone_until_it_is_enabled(net: MeshInUse) -> None:
    with net.changing(refused=["clara"]):
        net.mesh.set("clara", enabled=False)
    for name in ("anna", "berta", "dora"):
        assert net.key("clara") not in dump(net[name])
    with net.changing():
        net.mesh.set("clara", enabled=True)
    assert net.reaches("anna", "10.0.0.23")


def test_a_peer_with_a_past_date_is_gone(net: MeshInUse) -> None:
    with net.changing(refused=["clara"]):
        net.mesh.set("clara", expires=date(2020, 2, 29))
    for name in ("anna", "berta", "dora"):
        assert net.key("clara") not in dump(net[name])


def test_a_peer_expires_by_the_clock_without_a_commit(net: MeshInUse) -> None:
    began = time.monotonic()
    net.mesh.push()
    net.mesh.now("anna")
    in_time = timedelta(seconds=4 + 3 * (time.monotonic() - began))  # whatever a pass takes here
    net.mesh.set(ABSENT, expires=datetime.now(UTC) + in_time)
    net.mesh.push()
    net.mesh.now("anna")
    assert net.absent_key in dump(net["anna"])
    until(lambda: [c["kind"] for c in now_json(net["anna"])["changes"]] == ["peer-removed"], 120)
    assert net.absent_key not in dump(net["anna"])
    assert now_json(net["anna"])["result"] == "in-sync"


# -- what a peer is


def test_a_subnet_is_routed_and_moves_from_one_peer_to_another(net: MeshInUse) -> None:
    for name in ("clara", "dora"):
        net[name].ip("address replace 192.168.77.1/32 dev lo", "address replace 192.168.78.1/32 dev lo")
    with net.changing():
        net.mesh.set("clara", subnets=["192.168.77.0/24", "192.168.78.0/24"])
    assert net.reaches("anna", "192.168.77.1")
    assert routes(net["clara"]) == {"10.0.0.0/24"}
    for name in ("anna", "berta", "dora"):
        assert routes(net[name]) == {"10.0.0.0/24", "192.168.77.0/24", "192.168.78.0/24"}
    with net.changing():
        net.mesh.set("clara", subnets=None)
        net.mesh.set("dora", subnets=["192.168.78.0/24"])
    assert net.seen("anna", "clara")["allowed_ips"] == "10.0.0.23/32"
    assert net.seen("anna", "dora")["allowed_ips"] == "10.0.0.24/32,192.168.78.0/24"
    assert routes(net["anna"]) == routes(net["clara"]) == {"10.0.0.0/24", "192.168.78.0/24"}
    assert routes(net["dora"]) == {"10.0.0.0/24"}
    assert net.reaches("anna", "192.168.78.1")


def test_an_address_follows_on_the_node_and_on_all_others(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set("clara", addresses=["10.0.0.123"])
    assert addresses(net["clara"]) == {"10.0.0.123/32"}
    for name in ("anna", "berta", "dora"):
        assert net.seen(name, "clara")["allowed_ips"] == "10.0.0.123/32"
    assert net.reaches("anna", "10.0.0.123")
    assert net.reaches("clara", "10.0.0.21")
    assert not net.reaches("anna", "10.0.0.23", seconds=1)


def test_two_peers_exchange_their_addresses(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set("clara", addresses=["10.0.0.24"])
        net.mesh.set("dora", addresses=["10.0.0.23"])
    assert addresses(net["clara"]) == {"10.0.0.24/32"}
    assert net.seen("anna", "dora")["allowed_ips"] == "10.0.0.23/32"
    assert net.reaches("clara", "10.0.0.23")
    assert net.reaches("anna", "10.0.0.24")


def test_an_endpoint_is_taken_at_once_where_there_is_no_session_and_goes(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set(ABSENT, endpoint="[2001:db8::98]:40000")
    assert dump(net["anna"])[net.absent_key]["endpoint"] == "[2001:db8::98]:40000"
    with net.changing():
        net.mesh.set(ABSENT, endpoint=None)
    assert dump(net["anna"])[net.absent_key]["endpoint"] == "(none)"


def test_an_endpoint_waits_while_the_session_works(net: MeshInUse) -> None:
    net.mesh.push("mesh: as it began")
    net.now_everywhere()
    assert net.reaches("anna", "10.0.0.23")
    with steady_ping(net["anna"], "10.0.0.23", interval=1.0):  # so that no session grows old where a pass takes long
        with net.changing():
            net.mesh.set("clara", endpoint="203.0.113.98:51820")
        assert net.seen("anna", "clara")["endpoint"] == "203.0.113.23:51820"
    assert net.reaches("anna", "10.0.0.23")
    assert "203.0.113.98:51820" in net["anna"].path("/etc/wireguard/wg0.conf").read_text()
    net.forget_session("anna", "clara")
    net.mesh.now("anna")
    assert net.seen("anna", "clara")["endpoint"] == "203.0.113.98:51820"


def test_a_port_follows_and_the_others_follow_it(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set("clara", listen_port=51999, endpoint="clara.example:51999")
    assert dump(net["clara"])[""]["port"] == "51999"
    assert eventually(lambda: net.seen("anna", "clara")["endpoint"] == "203.0.113.23:51999")
    assert net.reaches("anna", "10.0.0.23")


def test_an_mtu_follows(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set("clara", mtu=1300)
    assert [link(net[name])["mtu"] for name in NUMBERS] == [1420, 1420, 1300, 1420]


def test_a_keepalive_follows_and_can_be_off(net: MeshInUse) -> None:
    with net.changing():
        net.mesh.set("clara", persistent_keepalive=7)
        net.mesh.set("dora", persistent_keepalive=0)
    assert {net.seen("clara", name)["keepalive"] for name in ("anna", "berta", "dora")} == {"7"}
    assert {net.seen("dora", name)["keepalive"] for name in ("anna", "berta", "clara")} == {"off"}
    assert net.seen("anna", "clara")["keepalive"] == "25"


def test_a_key_is_exchanged(net: MeshInUse) -> None:
    new = keys.generate()
    with net.changing("clara: another key\n\nMesh-Allow: re-key clara"):
        net["clara"].path(KEY_FILE).write_text(new + "\n")
        net.mesh.set("clara", public_key=keys.public_key(new))
    assert dump(net["clara"])[""]["public_key"] == keys.public_key(new)
    for name in ("anna", "berta", "dora"):
        assert net.key("clara") not in dump(net[name])
        assert dump(net[name])[keys.public_key(new)]["allowed_ips"] == "10.0.0.23/32"
    assert net.reaches("anna", "10.0.0.23")
    assert net.reaches("clara", "10.0.0.22")
    with net.changing("clara: the key before\n\nMesh-Allow: re-key clara"):
        net["clara"].path(KEY_FILE).write_text(net.private_keys["clara"])
        net.mesh.set("clara", public_key=net.key("clara"))
    assert net.reaches("clara", "10.0.0.22")


def test_a_peer_goes_behind_a_relay_and_comes_back(net: MeshInUse) -> None:
    with net.changing(watched=("clara", "dora")):
        net.mesh.set("dora", via="clara")
    for name in ("anna", "berta"):
        assert net.key("dora") not in dump(net[name])
        assert set(net.seen(name, "clara")["allowed_ips"].split(",")) == {"10.0.0.23/32", "10.0.0.24/32"}
    assert dump(net["dora"]).keys() == {"", net.key("clara")}
    assert net.reaches("anna", "10.0.0.24")
    assert net.reaches("dora", "10.0.0.22")
    with net.changing(watched=("clara", "dora")):
        net.mesh.set("dora", via=None)
    assert net.seen("anna", "clara")["allowed_ips"] == "10.0.0.23/32"
    assert net.reaches("anna", "10.0.0.24")
    assert "0" in net["clara"].run(["sysctl", "-n", "net.ipv4.conf.wg0.forwarding"]).stdout
