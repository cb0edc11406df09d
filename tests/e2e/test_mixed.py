"""IPv6, both families in one mesh, an exit for everything, and the networks of Kubernetes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest

from lab import Lab, Node, reachability
from lab.mesh import Mesh, dump, now, now_json

pytestmark = pytest.mark.e2e

HANDSHAKE = 12
"""Seconds: a first handshake that came too early is repeated after REKEY_TIMEOUT, 5 s."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab of its own for each test: their meshes differ in everything."""
    with Lab() as lab:
        yield lab


def all_reach(nodes: Mapping[str, Node], addresses: Mapping[str, str]) -> Mapping[tuple[str, str], bool]:
    """Whether every node reaches the address of every other."""
    pairs = [(nodes[source], addresses[target]) for source, target in itertools.permutations(addresses, 2)]
    return reachability(pairs, deadline=HANDSHAKE)


def reaches(node: Node, address: str, seconds: int = HANDSHAKE) -> bool:
    return reachability([(node, address)], deadline=seconds)[node.name, address]


def without(node: Node, version: int) -> None:
    """Take one IP version from the node's only cable."""
    node.run(["ip", f"-{version}", "address", "flush", "dev", "eth0"])


def endpoints(node: Node) -> set[str]:
    return {fields["endpoint"] for key, fields in dump(node).items() if key}


# -- IPv6


def test_a_mesh_is_ipv6_inside_and_outside(lab: Lab) -> None:
    mesh = Mesh(lab, networks=["fd00:77::/64"])
    for name, number in {"anna": 21, "berta": 22, "clara": 23}.items():
        endpoint = f"[2001:db8::{number}]:51820"
        mesh.node(name, number, addresses=[f"fd00:77::{number}"], endpoint=endpoint, subnets=[f"fd00:{number}::/64"])
        mesh.nodes[name].ip(f"address add fd00:{number}::1/128 dev lo")
    mesh.push()
    mesh.now()
    inside = {name: f"fd00:77::{number}" for name, number in {"anna": 21, "berta": 22, "clara": 23}.items()}
    found = all_reach(mesh.nodes, inside)
    assert len(found) == 6
    assert all(found.values()), found
    anna = mesh.nodes["anna"]
    assert endpoints(anna) == {"[2001:db8::22]:51820", "[2001:db8::23]:51820"}
    assert reaches(anna, "fd00:22::1")
    assert {done["result"] for done in map(now_json, mesh.nodes.values())} == {"in-sync"}


def test_names_stand_for_ipv6_addresses_on_machines_without_ipv4(lab: Lab) -> None:
    mesh = Mesh(lab, networks=["10.0.0.0/24", "fd00:77::/64"])
    for name, number in {"anna": 21, "berta": 22}.items():
        node = mesh.node(name, number, addresses=[f"10.0.0.{number}", f"fd00:77::{number}"])
        lab.dns.set(f"{name}.example", f"2001:db8::{number}")
        node.set_resolvers(lab.dns.address6)
        without(node, 4)
    mesh.push()
    mesh.now()
    assert endpoints(mesh.nodes["anna"]) == {"[2001:db8::22]:51820"}
    for address in ("10.0.0.22", "fd00:77::22"):
        assert reaches(mesh.nodes["anna"], address)


def test_each_machine_takes_the_family_it_has_a_route_for(lab: Lab) -> None:
    mesh = Mesh(lab, networks=["10.0.0.0/24", "fd00:77::/64"])
    for name, number in {"both": 21, "four": 22, "six": 23}.items():
        mesh.node(name, number, addresses=[f"10.0.0.{number}", f"fd00:77::{number}"])
        lab.dns.set(f"{name}.example", f"203.0.113.{number}", f"2001:db8::{number}")
    four, six = mesh.nodes["four"], mesh.nodes["six"]
    without(four, 6)
    six.set_resolvers(lab.dns.address6)
    without(six, 4)
    lab.dns.set("four.example", "203.0.113.22")
    mesh.set("six", endpoint=["203.0.113.23:51820", "[2001:db8::23]:51820"], via="both")
    mesh.push()
    mesh.now()
    assert endpoints(four) == {"203.0.113.21:51820"}
    assert endpoints(six) == {"[2001:db8::21]:51820"}
    for family in ("10.0.0.", "fd00:77::"):
        found = all_reach(mesh.nodes, {"both": f"{family}21", "four": f"{family}22", "six": f"{family}23"})
        assert all(found.values()), found


def test_a_second_endpoint_is_used_where_the_first_has_no_route(lab: Lab) -> None:
    mesh = Mesh(lab)
    mesh.node("anna", 21)
    mesh.node("berta", 22, endpoint=["203.0.113.22:51820", "[2001:db8::22]:51820"])
    anna = mesh.nodes["anna"]
    anna.set_resolvers(lab.dns.address6)
    without(anna, 4)
    mesh.push()
    mesh.now("anna")
    assert endpoints(anna) == {"[2001:db8::22]:51820"}


# -- an exit


class Exit:
    """A node at home and one on the internet; all that is not in the mesh goes through the site `away`.

    The host behind `away` is in no subnet: only the exit reaches it. The LAN behind `home` is one.
    """

    def __init__(self, lab: Lab) -> None:
        self.mesh = Mesh(lab, networks=["10.0.0.0/24", "fd00:77::/64"])
        home = lab.site("home", "192.168.10.0/24", "203.0.113.11", "2001:db8::11")
        away = lab.site("away", "192.168.20.0/24", "203.0.113.12", "2001:db8::12")
        for number, site in {11: home, 12: away}.items():
            lab.dns.set(f"{site.name}.example", f"203.0.113.{number}")
            addresses = [f"10.0.0.{number}", f"fd00:77::{number}"]
            endpoint = f"{site.name}.example:51820"
            self.mesh.enlist(site.name, site.gateway, address=addresses[0], addresses=addresses, endpoint=endpoint)
            self.mesh.configure(site.gateway, gateway={"masquerade": "eth0"})
        self.mesh.set("home", subnets=["192.168.10.0/24"])
        self.mesh.node("berta", 22, addresses=["10.0.0.22", "fd00:77::22"])
        self.home, self.away, self.berta = home.gateway, away.gateway, self.mesh.nodes["berta"]
        self.home_host = home.host
        self.hidden = str(away.lan.v4[10]), str(away.lan.v6[10])
        self.serves()

    def serves(self, *subnets: str) -> None:
        """Let `away` be the exit for these, by commit, and the two others use it."""
        self.mesh.set("away", subnets=list(subnets) or None)
        for name in ("home", "berta"):
            self.mesh.set(name, exit="away" if subnets else None)
        self.mesh.push(f"away: the exit for {subnets}")
        self.mesh.now()


def outside(node: Node) -> Mapping[str, str]:
    """Where a node sends what is not for the mesh, and how."""
    programs = {
        "rules": "ip rule; ip -6 rule",
        "routes": "ip route show table all default; ip -6 route show table all default; ip route",
        "way": "ip route get 192.168.20.10; ip -6 route get 2001:db8:1::1",
        "src_valid_mark": "sysctl net.ipv4.conf.all.src_valid_mark",
        "firewall": "nft list ruleset",
    }
    return {what: node.run(["sh", "-c", line]).stdout for what, line in programs.items()}


@pytest.fixture(scope="module")
def lab_with_exit() -> Iterator[Exit]:
    with Lab() as lab:
        yield Exit(lab)


@pytest.fixture
def closed(lab_with_exit: Exit) -> Exit:
    """The mesh while nobody is its exit."""
    if "0.0.0.0/0" in lab_with_exit.home.path("/etc/wireguard/wg0.conf").read_text():
        lab_with_exit.serves()
    return lab_with_exit


@pytest.fixture
def opened(lab_with_exit: Exit) -> Exit:
    """The mesh while `away` is its exit for both IP versions."""
    if "::/0" not in lab_with_exit.home.path("/etc/wireguard/wg0.conf").read_text():
        lab_with_exit.serves("0.0.0.0/0", "::/0")
    return lab_with_exit


def test_an_exit_comes_and_goes_by_commit(closed: Exit) -> None:
    """All but the tunnels' own packets goes through it; without it everything is as it was."""
    before = outside(closed.home)
    asked = [(node, address) for node in (closed.home, closed.berta) for address in closed.hidden]
    assert not any(reachability(asked, deadline=1).values())
    closed.serves("0.0.0.0/0", "::/0")
    found = reachability(asked, deadline=HANDSHAKE)
    assert all(found.values()), found
    during = outside(closed.home)
    assert all(during[what] != before[what] for what in before)
    assert during["way"].count("dev wg0") == 2
    closed.serves()
    assert outside(closed.home) == before
    assert not any(reachability(asked, deadline=1).values())


def test_the_tunnels_keep_out_of_the_exit(opened: Exit) -> None:
    found = all_reach(opened.mesh.nodes, {"home": "10.0.0.11", "away": "10.0.0.12", "berta": "10.0.0.22"})
    assert all(found.values()), found
    for node, endpoint in ((opened.home, "203.0.113.12"), (opened.away, "203.0.113.11")):
        assert "dev eth0" in node.run(["ip", "route", "get", endpoint, "mark", "51820"]).stdout
    assert "dev wg0" in opened.home.run(["ip", "route", "get", "203.0.113.12"]).stdout
    assert {done["result"] for done in map(now_json, opened.mesh.nodes.values())} == {"in-sync"}


def test_the_exit_does_not_go_through_itself(opened: Exit) -> None:
    assert outside(opened.away)["way"].count("dev eth0") == 2
    assert dump(opened.away)[""]["fwmark"] == "off"


def test_git_and_names_are_reached_through_the_exit(opened: Exit) -> None:
    assert opened.home.run(["getent", "ahostsv4", "berta.example"]).stdout.startswith("203.0.113.22")
    opened.mesh.set("berta", persistent_keepalive=9)
    head = opened.mesh.push("berta: another keepalive")
    assert now_json(opened.home)["commit"] == head


def test_the_exit_serves_a_lan_whose_gateway_is_a_node(opened: Exit) -> None:
    """A host of the LAN behind `home` asks for what only the exit reaches, and is asked by the mesh."""
    assert reaches(opened.home_host, opened.hidden[0])
    assert reaches(opened.berta, "192.168.10.10")


def test_the_exit_works_where_the_reverse_path_is_filtered_strictly(opened: Exit) -> None:
    scopes = [f"net.ipv4.conf.{scope}.rp_filter" for scope in ("all", "eth0", "wg0")]
    opened.home.run(["sysctl", "-qw", *(f"{scope}=1" for scope in scopes)])
    try:
        assert reaches(opened.home, opened.hidden[0])
        assert reaches(opened.home, "10.0.0.22")
    finally:
        opened.home.run(["sysctl", "-qw", *(f"{scope}=0" for scope in scopes)])


def test_down_takes_the_exit_away_and_up_brings_it_back(opened: Exit) -> None:
    opened.home.run(["mesh-sync", "down"])
    after = outside(opened.home)
    assert "51820" not in after["rules"]
    assert "suppress" not in after["rules"]
    assert after["way"].count("dev eth0") == 2
    assert after["src_valid_mark"].endswith("= 0\n")
    assert after["firewall"] == ""
    opened.home.run(["mesh-sync", "up"])
    assert reaches(opened.home, opened.hidden[0])


def test_an_exit_for_one_ip_version_leaves_the_other_alone(closed: Exit) -> None:
    look = ["sh", "-c", "ip -6 rule; ip -6 route get 2001:db8:1::1"]
    before = closed.home.run(look).stdout
    closed.serves("0.0.0.0/0")
    assert reaches(closed.home, closed.hidden[0])
    assert closed.home.run(look).stdout == before


# -- Kubernetes


def test_pod_and_service_networks_are_routed_to_their_nodes(lab: Lab) -> None:
    mesh = Mesh(lab)
    mesh.node("laptop", 21, endpoint=None)
    mesh.node("cluster", 22, subnets=["10.244.0.0/16", "10.96.0.0/12"])
    mesh.node("edge", 23, subnets=["10.42.0.0/24", "10.43.0.0/16"])
    mesh.nodes["cluster"].ip("address add 10.244.3.7/32 dev lo", "address add 10.96.0.10/32 dev lo")
    mesh.nodes["edge"].ip("address add 10.42.0.5/32 dev lo")
    mesh.push()
    mesh.now()
    for name, address in itertools.product(("laptop", "edge"), ("10.244.3.7", "10.96.0.10")):
        assert reaches(mesh.nodes[name], address)
    assert reaches(mesh.nodes["cluster"], "10.42.0.5")
    for network in ("10.244.0.0/16", "10.96.0.0/12"):
        assert network in mesh.nodes["laptop"].run(["ip", "route", "show", "dev", "wg0"]).stdout
        assert network not in mesh.nodes["cluster"].run(["ip", "route", "show", "dev", "wg0"]).stdout


def test_a_service_network_that_would_swallow_the_mesh_is_refused(lab: Lab) -> None:
    mesh = Mesh(lab, networks=["10.100.0.0/24"])
    node = mesh.node("cluster", 22, address="10.100.0.22")
    mesh.push()
    mesh.now()
    mesh.set("cluster", subnets=["10.96.0.0/12"])
    mesh.push()
    refused = now(node, exit_code=4)
    assert "10.96.0.0/12" in refused.stdout + refused.stderr
