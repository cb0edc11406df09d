"""Somebody changed a node by hand: `status` shows it, the next `now` puts it right and says what it found."""

from __future__ import annotations

import pytest

from lab import Lab, steady_ping
from lab.mesh import Mesh, dump, key_of, now, now_json, status
from lab.node import Node
from lab.ping import first_answer
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

CONF = "/etc/wireguard/wg0.conf"


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    """a, a gateway, and b, with a network behind it."""
    mesh = Mesh(lab)
    a = mesh.node("a", 11, subnets=["192.168.10.0/24"])
    mesh.node("b", 12, subnets=["192.168.20.0/24"])
    mesh.configure(a, gateway={"masquerade": "eth0"})
    mesh.push()
    mesh.now()
    return mesh


@pytest.fixture
def a(mesh: Mesh) -> Node:
    """The node that somebody meddles with; it is in sync before each test."""
    node = mesh.nodes["a"]
    mesh.configure(node, foreign_peers="remove")
    now(node)
    mesh.configure(node, foreign_peers=None)
    assert status(node)["drift"] == []
    return node


@pytest.fixture
def b(mesh: Mesh) -> Node:
    return mesh.nodes["b"]


def kinds(changes: list[dict[str, str]]) -> list[str]:
    return [change["kind"] for change in changes]


MEDDLING = {
    "allowed ips": ("wg set wg0 peer $B allowed-ips 10.0.0.12/32,10.0.0.99/32", ["allowed-ips"]),
    "listen port": ("wg set wg0 listen-port 4444", ["listen-port"]),
    "firewall mark": ("wg set wg0 fwmark 0x99", ["fwmark"]),
    "keepalive": ("wg set wg0 peer $B persistent-keepalive 99", ["keepalive"]),
    "preshared key": ("wg genpsk >/run/psk; wg set wg0 peer $B preshared-key /run/psk", ["preshared-key"]),
    "private key": ("wg set wg0 private-key /dev/null", ["private-key"]),
    "peer removed": ("wg set wg0 peer $B remove", ["peer-added"]),
    "route": ("ip route del 192.168.20.0/24 dev wg0", ["route-added"]),
    "route of the mesh": ("ip route del 10.0.0.0/24 dev wg0", ["route-added"]),
    "address": ("ip address del 10.0.0.11/32 dev wg0", ["address-added", "route-added", "route-added"]),
    "MTU": ("ip link set wg0 mtu 1300", ["mtu"]),
    "link down": ("ip link set wg0 down", ["link-up", "route-added", "route-added"]),
    "nftables": ("nft delete table inet mesh_sync_wg0", ["firewall"]),
    "forwarding": ("sysctl -qw net.ipv4.ip_forward=0", ["sysctl"]),
    "conf edited": (f"sed -i s/10.0.0.12/10.0.0.99/ {CONF}", ["conf"]),
    "conf deleted": (f"rm {CONF}", ["conf"]),
    "several": (
        "ip route del 192.168.20.0/24 dev wg0; wg set wg0 listen-port 4444; ip link set wg0 mtu 1300",
        ["mtu", "listen-port", "route-added"],
    ),
}


@pytest.mark.parametrize(("command", "expected"), MEDDLING.values(), ids=MEDDLING)
def test_what_somebody_changed_is_shown_and_put_back(a: Node, b: Node, command: str, expected: list[str]) -> None:
    conf = a.path(CONF).read_bytes()
    device = dump(a)[""]
    a.run(["sh", "-c", command], env={"B": key_of(b)})
    shown = status(a)["drift"]
    assert kinds(shown) == expected

    found = now_json(a)
    assert found["changes"] == shown
    assert found["result"] == "applied"
    assert status(a)["drift"] == []
    assert now_json(a)["result"] == "in-sync"
    assert dump(a)[""] == device
    assert a.path(CONF).read_bytes() == conf
    first_answer(b, "10.0.0.11")


def test_a_deleted_interface_comes_back_whole(a: Node, b: Node) -> None:
    before = dump(a)
    a.run(["ip", "link", "delete", "wg0"])
    shown = status(a)
    assert shown["drift"][0]["kind"] == "interface-added"
    assert [peer["state"] for peer in shown["peers"]] == ["missing"]

    found = now_json(a)
    assert found["changes"][0]["text"] == "create the interface"
    assert status(a)["drift"] == []
    after = dump(a)
    assert after[""] == before[""]
    assert after[key_of(b)]["allowed_ips"] == before[key_of(b)]["allowed_ips"]
    first_answer(b, "10.0.0.11")


def test_people_read_what_differs_and_what_was_done(a: Node) -> None:
    a.run(["ip", "route", "del", "192.168.20.0/24", "dev", "wg0"])
    shown = a.run(["mesh-sync", "status"]).stdout
    assert (
        "the interface has drifted from it; `mesh-sync now` would make these changes:\n  + route 192.168.20.0/24 added"
        in shown
    )
    said = now(a).stdout
    assert "+ route 192.168.20.0/24 added" in said
    assert "1 change" in said


def test_drift_is_put_right_while_git_is_down(mesh: Mesh, a: Node, b: Node) -> None:
    mesh.lab.git.kill()
    a.run(["wg", "set", "wg0", "peer", key_of(b), "remove"])
    found = now_json(a, exit_code=3)
    mesh.lab.git.start()
    assert kinds(found["changes"]) == ["peer-added"]
    assert status(a)["drift"] == []
    first_answer(b, "10.0.0.11")


def test_a_dry_run_tells_and_leaves_all_as_it_is(a: Node) -> None:
    a.run(["ip", "link", "set", "wg0", "mtu", "1300"])
    a.path(CONF).unlink()
    assert kinds(now_json(a, "--dry-run")["changes"]) == ["mtu", "conf"]
    assert kinds(status(a)["drift"]) == ["mtu", "conf"]
    assert not a.path(CONF).exists()


def test_a_conf_that_others_can_read_is_closed_again(a: Node) -> None:
    a.path(CONF).chmod(0o644)
    assert kinds(status(a)["drift"]) == ["conf"]
    now(a)
    assert a.path(CONF).stat().st_mode & 0o777 == 0o600


def test_addresses_and_routes_that_others_added_are_left_alone(a: Node) -> None:
    a.run(["ip", "address", "add", "10.77.0.1/32", "dev", "wg0"])
    a.run(["ip", "route", "add", "10.78.0.0/24", "dev", "wg0"])
    assert now_json(a)["changes"] == []
    assert "10.77.0.1" in a.run(["ip", "address", "show", "dev", "wg0"]).stdout
    assert "10.78.0.0/24" in a.run(["ip", "route", "show", "dev", "wg0"]).stdout


# -- peers that somebody added by hand


def test_the_default_route_of_another_tunnel_survives_down(a: Node) -> None:
    """wg-quick has the same table and the same rules for its own."""
    conf = "[Interface]\nPrivateKey = {}\nAddress = 10.99.0.1/32\n[Peer]\nPublicKey = {}\nAllowedIPs = 0.0.0.0/0\n"
    other = a.path("/etc/wireguard/vpn.conf")
    other.touch(mode=0o600)
    other.write_text(conf.format(keys.generate(), keys.public_key(keys.generate())))
    a.run(["wg-quick", "up", "vpn"])
    try:
        rules = a.run(["ip", "-4", "rule"]).stdout
        assert "51820" in rules
        a.run(["mesh-sync", "down"])
        assert a.run(["ip", "-4", "rule"]).stdout == rules
        assert "dev vpn" in a.run(["ip", "route", "get", "198.51.100.1"]).stdout
    finally:
        a.run(["wg-quick", "down", "vpn"])


def test_a_network_that_a_node_is_in_stays_its_own(mesh: Mesh, a: Node, b: Node) -> None:
    """A peer announces the same: by mistake, or because many a LAN is 192.168.1.0/24. It must not cut anybody off."""
    own = "dev eth0 proto kernel scope link src 203.0.113.11"
    mesh.set("b", subnets=["192.168.20.0/24", "203.0.113.0/24", "2001:db8::/64"])
    mesh.push()
    try:
        now(a)
        assert own in a.run(["ip", "route", "show", "203.0.113.0/24"]).stdout
        for address in ("203.0.113.12", "2001:db8::12"):
            assert "dev eth0" in a.run(["ip", "route", "get", address]).stdout
        first_answer(a, "10.0.0.12")
        assert status(a)["drift"] == []
    finally:
        mesh.set("b", subnets=["192.168.20.0/24"])
        mesh.push()
        now(a)
    assert own in a.run(["ip", "route", "show", "203.0.113.0/24"]).stdout
    assert "wg0" not in a.run(["ip", "route", "show", "203.0.113.0/24"]).stdout


def test_a_port_that_is_taken_is_named(mesh: Mesh, a: Node) -> None:
    mesh.configure(a, interface="wg1")
    try:
        done = now(a, exit_code=6)
        assert "wg1: UDP port 51820 is taken" in done.stderr
        found = now_json(a, exit_code=6)
        assert (found["node"], found["result"]) == ("a", "failed")
        assert "51820" in found["message"]
        a.run(["mesh-sync", "down"])
    finally:
        mesh.configure(a, interface=None)


def guest(mesh: Mesh, name: str, number: int) -> tuple[Node, str]:
    """A machine outside the mesh whose tunnel with a was made by hand on both sides; return it and its key."""
    a, private = mesh.nodes["a"], keys.generate()
    host = mesh.lab.node(name, f"203.0.113.{number}")
    host.add_wireguard("wg0")
    host.run(["sh", "-c", "cat >/run/key; wg set wg0 private-key /run/key listen-port 51820"], input=private)
    host.run(["wg", "set", "wg0", "peer", key_of(a), "endpoint", "203.0.113.11:51820", "allowed-ips", "10.0.0.0/24"])
    host.ip(f"address add 10.0.5.{number}/32 dev wg0", "link set wg0 up", "route add 10.0.0.0/24 dev wg0")
    key = keys.public_key(private)
    a.run(["wg", "set", "wg0", "peer", key, "allowed-ips", f"10.0.5.{number}/32"])
    a.ip(f"route replace 10.0.5.{number}/32 dev wg0")
    first_answer(host, "10.0.0.11")
    return host, key


def test_a_peer_added_by_hand_is_reported_and_keeps_its_session(mesh: Mesh, a: Node) -> None:
    host, key = guest(mesh, "guest", 31)
    before = dump(a)[key]
    assert kinds(status(a)["drift"]) == ["foreign-peer"]
    mesh.set("b", subnets=["192.168.20.0/24", "192.168.21.0/24"])
    mesh.push()
    with steady_ping(host, "10.0.0.11") as loss:
        found = now_json(a)
    assert loss.lost == 0
    assert loss.sent > 10
    assert kinds(found["changes"]) == ["allowed-ips", "foreign-peer", "route-added"]
    [told] = [change["text"] for change in found["changes"] if change["kind"] == "foreign-peer"]
    assert key in told
    assert told.endswith("kept")
    after = dump(a)[key]
    assert (after["endpoint"], after["handshake"]) == (before["endpoint"], before["handshake"])
    assert now_json(a)["result"] == "in-sync"


def test_a_peer_added_by_hand_goes_where_node_toml_says_so(mesh: Mesh, a: Node, b: Node) -> None:
    host, key = guest(mesh, "unwanted", 32)
    now(a)
    assert key in dump(a)
    mesh.configure(a, foreign_peers="remove")
    found = now_json(a)
    assert key not in dump(a)
    assert key_of(b) in dump(a)
    assert all(change["text"].endswith("removed") for change in found["changes"])
    assert status(a)["drift"] == []
    assert host.run(["ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", "10.0.0.11"], check=False).returncode == 1
    first_answer(b, "10.0.0.11")


def test_a_peer_added_by_hand_does_not_keep_addresses_that_the_list_gives_to_another(mesh: Mesh, a: Node) -> None:
    """Whoever squats on an address of the mesh loses it; what else the peer has, it keeps."""
    key, listed = (keys.public_key(keys.generate()) for _ in range(2))
    a.run(["wg", "set", "wg0", "peer", key, "allowed-ips", "10.0.0.40/32,10.0.5.40/32"])
    mesh.set("c", public_key=listed, addresses=["10.0.0.40"], endpoint="203.0.113.40:51820")
    mesh.push()
    now(a)
    assert dump(a)[listed]["allowed_ips"] == "10.0.0.40/32"
    assert dump(a)[key]["allowed_ips"] == "10.0.5.40/32"
    assert kinds(status(a)["drift"]) == ["foreign-peer"]
