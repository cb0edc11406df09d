"""Every kind of change by commit, on a mesh that is in use.

What holds for each of them is in `Net.changing`: the interface is not bounced, two peers that are not part of
the change lose no packet, and a second `now` finds nothing to do.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import pytest

from lab import Lab, Node, reachability, steady_ping
from lab.logged import LoggedPrograms, is_reading
from lab.mesh import WORK, Mesh, dump, now, now_json
from lab.waiting import eventually
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

T = TypeVar("T")

NUMBERS = {"anna": 21, "berta": 22, "clara": 23, "dora": 24}
KEY_FILE = "/etc/mesh-sync/private.key"
ABSENT = "ella"
"""A peer in the list whose machine is off."""
HANDSHAKE = 12
"""Seconds: a first handshake that came too early is repeated after REKEY_TIMEOUT, 5 s."""


def ip_json(node: Node, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(node.run(["ip", "-json", *words]).stdout or "[]")
    return found


def ifindex(node: Node) -> int:
    return int(link(node)["ifindex"])


def link(node: Node) -> dict[str, Any]:
    return ip_json(node, "address", "show", "dev", "wg0")[0]


def addresses(node: Node) -> set[str]:
    return {f"{info['local']}/{info['prefixlen']}" for info in link(node)["addr_info"] if info["scope"] != "link"}


def routes(node: Node) -> set[str]:
    return {route["dst"] for route in ip_json(node, "route", "show", "dev", "wg0")}


SHOW_ALL = r"""
wg show wg0 dump | cut -f 1-4,8 | sort
ip address show dev wg0
ip route show table all; ip -6 route show table all
ip rule; ip -6 rule
nft list ruleset
stat -c '%n %y' /etc/wireguard/* /var/lib/mesh-sync/wg0/*
cat /etc/wireguard/wg0.conf
"""


def settled(node: Node) -> str:
    """Everything that a run of `now` could write; no counters."""
    return node.run(["sh", "-ec", SHOW_ALL]).stdout


class Net:
    """Four nodes directly on the internet, in sync with the list, and one peer that is off."""

    def __init__(self, lab: Lab, logged: LoggedPrograms) -> None:
        self.lab = lab
        self.logged = logged
        self.mesh = Mesh(lab)
        self.nodes = self.mesh.nodes
        for name, number in NUMBERS.items():
            self.mesh.node(name, number)
        self.absent_key = keys.public_key(keys.generate())
        self.mesh.set(ABSENT, public_key=self.absent_key, addresses=["10.0.0.29"])
        self.base = self.mesh.push("mesh: begins")
        self.private_keys = {name: self[name].path(KEY_FILE).read_text() for name in NUMBERS}
        self.now_everywhere()

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def key(self, name: str) -> str:
        """The public key that the list has for a peer."""
        return keys.public_key(self.private_keys[name].strip())

    def seen(self, by: str, peer: str) -> dict[str, str]:
        """How the live interface of one node has another peer."""
        return dump(self[by])[self.key(peer)]

    def everywhere(self, look: Callable[[Node], T]) -> dict[str, T]:
        """Ask something of every node."""
        return {name: look(node) for name, node in self.nodes.items()}

    def now_everywhere(self, refused: Collection[str] = ()) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: now(self[name], exit_code=4 if name in refused else 0), self.nodes))

    def begin_again(self) -> None:
        """Bring the list, not yet pushed, and the keys back to how they began: the next push changes from there."""
        for name in self.nodes.keys() - NUMBERS.keys():
            self.nodes.pop(name).run(["mesh-sync", "down"])
        for name, key in self.private_keys.items():
            if self[name].path(KEY_FILE).read_text() != key:
                self[name].path(KEY_FILE).write_text(key)
        self.lab.operator.run(["git", "-C", WORK, "read-tree", "--reset", "-u", self.base])
        self.lab.operator.run(["git", "-C", WORK, "clean", "-qfd"])

    @contextlib.contextmanager
    def changing(
        self,
        message: str = "change",
        *,
        refused: Collection[str] = (),
        watched: Collection[str] = ("anna", "clara"),
    ) -> Iterator[None]:
        """Edit the list in the body; then it is pushed and applied everywhere while anna and berta talk.

        `refused` are the nodes that are no longer in the list, and keep what they had. On the `watched` ones
        a second `now` is looked at closely.
        """
        assert self.reaches("anna", "10.0.0.22")
        before = self.everywhere(ifindex)
        yield
        with steady_ping(self["anna"], "10.0.0.22") as loss:
            self.mesh.push(message)
            self.now_everywhere(refused)
        assert loss.sent > 30
        assert loss.lost == 0, loss
        assert self.everywhere(ifindex).items() >= before.items()
        for name in watched:
            self.is_settled(name, "refused" if name in refused else "in-sync")

    def is_settled(self, name: str, result: str) -> None:
        """Another `now` finds nothing to do, asks for nothing but to be shown things, and changes nothing."""
        before = settled(self[name])
        self.logged.calls()
        done = now_json(self[name], env=self.logged.env, exit_code=4 if result == "refused" else 0)
        assert (done["result"], done["changes"]) == (result, [])
        calls = self.logged.calls()
        assert "wg show wg0 dump" in calls
        assert [call for call in calls if not is_reading(call)] == []
        assert settled(self[name]) == before

    def forget_session(self, by: str, peer: str) -> None:
        """As if nothing had been heard for long: the same peer, with an endpoint and no handshake."""
        key, known = self.key(peer), self.seen(by, peer)
        self[by].run(["wg", "set", "wg0", "peer", key, "remove"])
        rest = ["endpoint", known["endpoint"], "allowed-ips", known["allowed_ips"]]
        self[by].run(["wg", "set", "wg0", "peer", key, *rest])

    def reaches(self, source: str, address: str, seconds: int = HANDSHAKE) -> bool:
        return reachability([(self[source], address)], deadline=seconds)[source, address]


@pytest.fixture(scope="module")
def whole_net(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Net:
    return Net(lab, LoggedPrograms(tmp_path_factory.mktemp("logged")))


@pytest.fixture
def net(whole_net: Net) -> Net:
    whole_net.begin_again()
    return whole_net


# -- peers


def test_a_new_peer_is_reached_by_all(net: Net) -> None:
    with net.changing():
        net.mesh.node("frida", 26)
    assert all(net.reaches(name, "10.0.0.26") for name in NUMBERS)
    assert routes(net["anna"]) == {"10.0.0.0/24"}


def test_a_peer_that_is_removed_is_gone_everywhere(net: Net) -> None:
    with net.changing(refused=["clara"]):
        net.mesh.remove("clara")
    for name in ("anna", "berta", "dora"):
        assert net.key("clara") not in dump(net[name])
    assert not net.reaches("clara", "10.0.0.21", seconds=1)
    assert dump(net["clara"]).keys() > {net.key(name) for name in ("anna", "berta", "dora")}, "it keeps its last state"


def test_a_peer_that_is_disabled_is_gone_until_it_is_enabled(net: Net) -> None:
    with net.changing(refused=["clara"]):
        net.mesh.set("clara", enabled=False)
    for name in ("anna", "berta", "dora"):
        assert net.key("clara") not in dump(net[name])
    with net.changing():
        net.mesh.set("clara", enabled=True)
    assert net.reaches("anna", "10.0.0.23")


def test_a_peer_with_a_past_date_is_gone(net: Net) -> None:
    with net.changing(refused=["clara"]):
        net.mesh.set("clara", expires=date(2020, 2, 29))
    for name in ("anna", "berta", "dora"):
        assert net.key("clara") not in dump(net[name])


def test_a_peer_expires_by_the_clock_without_a_commit(net: Net) -> None:
    net.mesh.set(ABSENT, expires=datetime.now(UTC) + timedelta(seconds=4))
    net.mesh.push()
    net.mesh.now("anna")
    assert net.absent_key in dump(net["anna"])
    assert eventually(lambda: [c["kind"] for c in now_json(net["anna"])["changes"]] == ["peer-removed"])
    assert net.absent_key not in dump(net["anna"])
    assert now_json(net["anna"])["result"] == "in-sync"


# -- what a peer is


def test_a_subnet_is_routed_and_moves_from_one_peer_to_another(net: Net) -> None:
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


def test_an_address_follows_on_the_node_and_on_all_others(net: Net) -> None:
    with net.changing():
        net.mesh.set("clara", addresses=["10.0.0.123"])
    assert addresses(net["clara"]) == {"10.0.0.123/32"}
    for name in ("anna", "berta", "dora"):
        assert net.seen(name, "clara")["allowed_ips"] == "10.0.0.123/32"
    assert net.reaches("anna", "10.0.0.123")
    assert net.reaches("clara", "10.0.0.21")
    assert not net.reaches("anna", "10.0.0.23", seconds=1)


def test_two_peers_exchange_their_addresses(net: Net) -> None:
    with net.changing():
        net.mesh.set("clara", addresses=["10.0.0.24"])
        net.mesh.set("dora", addresses=["10.0.0.23"])
    assert addresses(net["clara"]) == {"10.0.0.24/32"}
    assert net.seen("anna", "dora")["allowed_ips"] == "10.0.0.23/32"
    assert net.reaches("clara", "10.0.0.23")
    assert net.reaches("anna", "10.0.0.24")


def test_an_endpoint_is_taken_at_once_where_there_is_no_session_and_goes(net: Net) -> None:
    with net.changing():
        net.mesh.set(ABSENT, endpoint="[2001:db8::98]:40000")
    assert dump(net["anna"])[net.absent_key]["endpoint"] == "[2001:db8::98]:40000"
    with net.changing():
        net.mesh.set(ABSENT, endpoint=None)
    assert dump(net["anna"])[net.absent_key]["endpoint"] == "(none)"


def test_an_endpoint_waits_while_the_session_works(net: Net) -> None:
    net.mesh.push("mesh: as it began")
    net.now_everywhere()
    assert net.reaches("anna", "10.0.0.23")
    with net.changing():
        net.mesh.set("clara", endpoint="203.0.113.98:51820")
    assert net.seen("anna", "clara")["endpoint"] == "203.0.113.23:51820"
    assert net.reaches("anna", "10.0.0.23")
    assert "203.0.113.98:51820" in net["anna"].path("/etc/wireguard/wg0.conf").read_text()
    net.forget_session("anna", "clara")
    net.mesh.now("anna")
    assert net.seen("anna", "clara")["endpoint"] == "203.0.113.98:51820"


def test_a_port_follows_and_the_others_follow_it(net: Net) -> None:
    with net.changing():
        net.mesh.set("clara", listen_port=51999, endpoint="clara.example:51999")
    assert dump(net["clara"])[""]["port"] == "51999"
    assert eventually(lambda: net.seen("anna", "clara")["endpoint"] == "203.0.113.23:51999")
    assert net.reaches("anna", "10.0.0.23")


def test_an_mtu_follows(net: Net) -> None:
    with net.changing():
        net.mesh.set("clara", mtu=1300)
    assert [link(net[name])["mtu"] for name in NUMBERS] == [1420, 1420, 1300, 1420]


def test_a_keepalive_follows_and_can_be_off(net: Net) -> None:
    with net.changing():
        net.mesh.set("clara", persistent_keepalive=7)
        net.mesh.set("dora", persistent_keepalive=0)
    assert {net.seen("clara", name)["keepalive"] for name in ("anna", "berta", "dora")} == {"7"}
    assert {net.seen("dora", name)["keepalive"] for name in ("anna", "berta", "clara")} == {"off"}
    assert net.seen("anna", "clara")["keepalive"] == "25"


def test_a_key_is_exchanged(net: Net) -> None:
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


def test_a_peer_goes_behind_a_relay_and_comes_back(net: Net) -> None:
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


# -- the mesh's defaults; anna and berta are part of these changes, and still lose nothing


def test_the_default_port_follows(net: Net) -> None:
    """Whoever has a port of its own is no part of it."""
    for name in ("anna", "berta"):
        net.mesh.set(name, listen_port=51820)
    with net.changing():
        net.mesh.set_mesh(listen_port=51999)
        for name in ("clara", "dora"):
            net.mesh.set(name, endpoint=f"{name}.example:51999")
    assert [dump(net[name])[""]["port"] for name in NUMBERS] == ["51820", "51820", "51999", "51999"]
    assert net.reaches("clara", "10.0.0.24")
    assert net.reaches("anna", "10.0.0.23")


def test_the_default_mtu_follows(net: Net) -> None:
    with net.changing():
        net.mesh.set_mesh(mtu=1380)
    assert [link(net[name])["mtu"] for name in NUMBERS] == [1380] * 4


def test_the_default_keepalive_follows(net: Net) -> None:
    with net.changing():
        net.mesh.set_mesh(persistent_keepalive=13)
    assert {net.seen(one, other)["keepalive"] for one in NUMBERS for other in NUMBERS if one != other} == {"13"}


def test_a_second_network_is_routed_whole(net: Net) -> None:
    with net.changing():
        net.mesh.set_mesh(networks=["10.0.0.0/24", "10.99.0.0/24"])
        net.mesh.set("clara", addresses=["10.0.0.23", "10.99.0.23"])
    assert routes(net["anna"]) == {"10.0.0.0/24", "10.99.0.0/24"}
    assert addresses(net["clara"]) == {"10.0.0.23/32", "10.99.0.23/32"}
    assert net.reaches("anna", "10.99.0.23")


def test_what_only_people_and_other_programs_read_changes_no_interface(net: Net) -> None:
    before = net.everywhere(lambda node: dump(node).keys())
    with net.changing():
        net.mesh.set_mesh(name="renamed", dns_zone="lab.internal")
        net.mesh.set("clara", tags=["a"], owner="somebody")
    assert net.everywhere(lambda node: dump(node).keys()) == before


# -- the witness itself


def test_the_logged_programs_do_see_a_change(net: Net) -> None:
    net.mesh.set("clara", subnets=["192.168.77.0/24"])
    net.mesh.push()
    net.logged.calls()
    now(net["anna"], env=net.logged.env)
    written = [call for call in net.logged.calls() if not is_reading(call)]
    assert any(call.startswith("wg ") for call in written)
    assert any(call.startswith("ip -batch") for call in written)
