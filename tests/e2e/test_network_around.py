"""What a machine's network does to the tunnel: a LAN with the mesh's addresses, a firewall that forwards nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab, Node, Site
from lab.mesh import Mesh, now, now_json, status
from lab.waiting import eventually, until

pytestmark = pytest.mark.e2e

LAN = "192.168.20.0/24"
LAN_HOST = "192.168.20.10"

DOCKER = """
for tables in iptables-nft ip6tables-nft; do
    for chain in FORWARD BRIDGE CT ISOLATION-STAGE-1 ISOLATION-STAGE-2 USER; do $tables -N DOCKER-$chain; done
    $tables -N DOCKER
    $tables -P FORWARD DROP
    $tables -A FORWARD -j DOCKER-USER
    $tables -A FORWARD -j DOCKER-FORWARD
    $tables -A DOCKER ! -i docker0 -o docker0 -j DROP
    $tables -A DOCKER-FORWARD -j DOCKER-CT
    $tables -A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
    $tables -A DOCKER-FORWARD -j DOCKER-BRIDGE
    $tables -A DOCKER-FORWARD -i docker0 -j ACCEPT
    $tables -A DOCKER-BRIDGE -o docker0 -j DOCKER
    $tables -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $tables -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
    $tables -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
done
"""
"""As Docker 28 makes them for its one bridge, with IPv6: libnetwork/iptables of moby."""
OLD_DOCKER = """
iptables-nft -N DOCKER; iptables-nft -N DOCKER-ISOLATION-STAGE-1; iptables-nft -N DOCKER-USER
iptables-nft -P FORWARD DROP
iptables-nft -A DOCKER-USER -j RETURN
iptables-nft -A DOCKER-ISOLATION-STAGE-1 -j RETURN
iptables-nft -A FORWARD -j DOCKER-USER
iptables-nft -A FORWARD -j DOCKER-ISOLATION-STAGE-1
iptables-nft -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables-nft -A FORWARD -o docker0 -j DOCKER
iptables-nft -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
"""
UFW = """
for tables in iptables-nft ip6tables-nft; do
    for chain in ufw-before-forward ufw-after-forward ufw-reject-forward ufw-user-forward; do $tables -N $chain; done
    $tables -P FORWARD DROP
    for chain in ufw-before-forward ufw-after-forward ufw-reject-forward; do $tables -A FORWARD -j $chain; done
    $tables -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $tables -A ufw-before-forward -j ufw-user-forward
done
"""
FIREWALLD = """nft -f - <<END
table inet firewalld {
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        ct state invalid drop
        jump filter_FORWARD_POLICIES
        reject with icmpx admin-prohibited
    }
    chain filter_FORWARD_POLICIES {
        iifname "docker0" accept
    }
}
END
"""
OWN_RULES = "nft 'add table inet mine; add chain inet mine gate { type filter hook forward priority 0; policy drop; }'"
FIREWALLS = {
    "docker": (DOCKER, "ip filter DOCKER-USER"),
    "an older docker": (OLD_DOCKER, "ip filter DOCKER-USER"),
    "ufw": (UFW, "ip filter FORWARD"),
    "firewalld": (FIREWALLD, "inet firewalld filter_FORWARD"),
    "root's own": (OWN_RULES, "inet mine gate"),
}


@pytest.fixture(scope="module")
def site(lab: Lab) -> Site:
    return lab.site("office", LAN, "203.0.113.30")


@pytest.fixture(scope="module")
def mesh(lab: Lab, site: Site) -> Mesh:
    """Peers a and b on the internet, and gw, which routes for its LAN."""
    mesh = Mesh(lab)
    mesh.node("a", 21)
    mesh.node("b", 22)
    mesh.enlist("gw", site.gateway, address="10.0.0.2", endpoint="203.0.113.30:51820", subnets=[LAN])
    mesh.configure(site.gateway, gateway={}, confirm={"deadline": 0})
    mesh.push("a site")
    mesh.now()
    reaches(mesh.nodes["a"], LAN_HOST)
    return mesh


@pytest.fixture
def gateway(site: Site, mesh: Mesh) -> Iterator[Node]:
    """The gateway, without a firewall and in sync; so it is left."""
    yield site.gateway
    site.gateway.run(["nft", "flush", "ruleset"])
    mesh.configure(site.gateway, gateway={})
    now(site.gateway)


def pings(node: Node, address: str) -> bool:
    return node.run(["ping", "-n", "-c1", "-W1", address], check=False).returncode == 0


def reaches(node: Node, address: str) -> None:
    """It may take a handshake, with a peer that has lost its session."""
    until(lambda: pings(node, address), 40, what=f"{node.name} to {address}")


def codes(found: dict[str, Any]) -> list[str]:
    return [trouble["code"] for trouble in found["troubles"]]


def ours(node: Node) -> list[str]:
    """Our rules in the chains of others."""
    lines = node.run(["nft", "list", "ruleset"]).stdout.splitlines()
    return [line.strip() for line in lines if "mesh-sync wg0: " in line]


@pytest.mark.parametrize(("firewall", "place"), FIREWALLS.values(), ids=FIREWALLS)
def test_a_firewall_that_drops_what_is_forwarded_lets_the_lan_be_reached(
    mesh: Mesh, gateway: Node, firewall: str, place: str
) -> None:
    a = mesh.nodes["a"]
    gateway.run(["sh", "-ec", firewall])
    assert not pings(a, LAN_HOST)
    seen = status(gateway)
    assert set(codes(seen)) == {"forward-dropped"}
    assert place in seen["troubles"][0]["text"]
    found = now_json(gateway)
    assert {change["kind"] for change in found["changes"]} >= {"forward-added"}
    assert codes(found) == []
    reaches(a, LAN_HOST)
    assert codes(status(gateway)) == []
    assert now_json(gateway)["changes"] == []
    for program in ("iptables-nft", "ip6tables-nft"):
        gateway.run([program, "-S"])  # which Docker and ufw go on using


def test_what_a_restart_of_docker_took_away_is_back_with_the_next_run(mesh: Mesh, gateway: Node) -> None:
    gateway.run(["sh", "-ec", DOCKER])
    now(gateway)
    for tables in ("ip", "ip6"):
        gateway.run(["nft", "flush", "chain", tables, "filter", "DOCKER-USER"])
    assert not pings(mesh.nodes["a"], LAN_HOST)
    now(gateway)
    reaches(mesh.nodes["a"], LAN_HOST)


def test_rules_go_where_they_count_when_docker_comes_later(mesh: Mesh, gateway: Node) -> None:
    gateway.run(["iptables-nft", "-P", "FORWARD", "DROP"])
    now(gateway)
    assert len(ours(gateway)) == 2
    gateway.run(["nft", "delete", "table", "ip", "filter"])
    gateway.run(["sh", "-ec", DOCKER])
    now(gateway)
    listed = gateway.run(["nft", "list", "chain", "ip", "filter", "DOCKER-USER"]).stdout
    assert listed.count("mesh-sync wg0: ") == len(ours(gateway)) == 2
    assert pings(mesh.nodes["a"], LAN_HOST)


def test_down_and_a_node_that_is_no_gateway_leave_nothing_in_the_chains_of_others(mesh: Mesh, gateway: Node) -> None:
    gateway.run(["sh", "-ec", DOCKER])
    now(gateway)
    mesh.configure(gateway, gateway=None)
    now(gateway)
    assert ours(gateway) == []
    mesh.configure(gateway, gateway={})
    now(gateway)
    assert len(ours(gateway)) == 2
    gateway.run(["mesh-sync", "down"])
    assert ours(gateway) == []
    gateway.run(["mesh-sync", "up"])
    assert len(ours(gateway)) == 2


def test_where_root_speaks_of_the_interface_nothing_is_added(mesh: Mesh, gateway: Node) -> None:
    gateway.run(["sh", "-ec", DOCKER])
    gateway.run(["iptables-nft", "-A", "DOCKER-USER", "-i", "wg0", "-s", "10.0.0.22", "-j", "DROP"])
    now(gateway)
    assert ours(gateway) == []


def test_a_chain_that_only_its_program_may_change_is_named(mesh: Mesh, gateway: Node) -> None:
    owner = gateway.popen(["nft", "-i"], stdin=-1)
    assert owner.stdin
    owner.stdin.write(
        "add table inet firewalld { flags owner; }\n"
        "add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy drop; }\n"
    )
    owner.stdin.flush()
    assert eventually(lambda: "filter_FORWARD" in gateway.run(["nft", "list", "ruleset"]).stdout)
    found = now_json(gateway)
    assert codes(found) == ["forward-dropped"]
    assert "firewall-cmd" in found["troubles"][0]["fix"]
    assert now_json(gateway)["changes"] == []
    owner.stdin.close()
    owner.wait(timeout=10)


def test_a_relay_forwards_between_peers_and_nowhere_else(mesh: Mesh, gateway: Node) -> None:
    relay, leaf = mesh.nodes["a"], mesh.nodes["b"]
    mesh.set("b", via="a")
    mesh.push("b hangs below a")
    mesh.now()
    reaches(leaf, "10.0.0.2")
    try:
        relay.run(["sh", "-ec", DOCKER])
        assert not pings(leaf, "10.0.0.2")
        now(relay)
        reaches(leaf, "10.0.0.2")
        assert {rule.split(" counter ")[0] for rule in ours(relay)} == {'iifname "wg0" oifname "wg0"'}
    finally:
        relay.run(["nft", "flush", "ruleset"])
        mesh.set("b", via=None)
        mesh.push("b is a root again")
        mesh.now()


# -- routes


@pytest.fixture
def b(mesh: Mesh) -> Iterator[Node]:
    """A peer that is in a network of its own, `lan0`."""
    node = mesh.nodes["b"]
    node.ip("link add lan0 type bridge", "link set lan0 up")
    yield node
    node.ip("link delete lan0")
    now(node)


@pytest.mark.parametrize("address", ["10.0.0.99/24", "10.0.0.30/28"], ids=["equal", "more specific"])
def test_a_lan_with_the_addresses_of_the_mesh_is_seen(mesh: Mesh, b: Node, address: str) -> None:
    reaches(b, "10.0.0.21")
    b.ip(f"address add {address} dev lan0")
    assert not pings(b, "10.0.0.21")
    found = now_json(b)
    assert (found["result"], codes(found)) == ("in-sync", ["shadowed"])
    [trouble] = found["troubles"]
    assert "by lan0 (connected), not by wg0" in trouble["text"]
    assert status(b)["troubles"] == found["troubles"]
    b.run(["sh", "-ec", trouble["fix"].rpartition(": ")[2]])
    reached = trouble["fix"].split()[-3]
    reaches(b, reached)
    assert f"route add {reached} " not in json.dumps(now_json(b)["troubles"])
    b.ip(f"route delete {reached}/32 dev wg0")


def test_a_subnet_that_leaves_by_another_device_is_seen(b: Node) -> None:
    b.ip("address add 192.168.20.77/24 dev lan0")
    [trouble] = now_json(b)["troubles"]
    assert f"{LAN} goes by lan0 (connected), not by wg0: not reached are {LAN} behind gw" in trouble["text"]


def test_a_larger_network_around_the_mesh_and_another_default_route_shadow_nothing(b: Node) -> None:
    b.ip("address add 10.9.9.9/8 dev lan0", "route add default dev lan0 metric 5")
    assert now_json(b)["troubles"] == []


def test_an_address_of_this_machine_that_a_peer_has_and_a_route_into_nothing_are_seen(b: Node) -> None:
    b.ip("address add 10.0.0.21/32 dev lan0", "route add blackhole 192.168.20.0/25")
    found = sorted(now_json(b)["troubles"], key=lambda trouble: str(trouble["code"]))
    assert [trouble["code"] for trouble in found] == ["no-route", "shadowed"]
    assert "one of this machine's own" in found[1]["text"]
    b.ip("route delete blackhole 192.168.20.0/25")
