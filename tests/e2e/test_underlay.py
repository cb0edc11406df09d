"""What is inside the tunnel, which IP version works, which uplink is used: as the kernel of each node says.

gate, desk   two nodes of one LAN, which `gate` announces; the LAN's router resolves names for it, and says of
             `gate` that it is in the LAN
nas          one more there; the list has its address in the LAN
phone        its only resolver is a peer, `pihole`
six          has a route to all of IPv6 that is given out, and no default route
dual         has two uplinks, of which the metric chooses
away, away6  move without a word: `away` to another address, `away6` to one of IPv6 only
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.running_watchdog import Watchdog, endpoint, watching
from lab import Host, Lab
from lab.firewall import NEVER_SPEAKS_FIRST
from lab.logged import LogsByNode
from lab.mesh import Mesh, key_of, now
from lab.node import Node
from lab.ping import Pings, first_answer, pinging
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PORT = 51820
LAN = "192.168.50.0/24"
ROUTER, GATE, NAS = "192.168.50.1", "192.168.50.2", "192.168.50.30"
PUBLIC, LTE = "203.0.113.61", "203.0.113.62"
"""The addresses of the two uplinks of `dual`."""
FLOWING = 10
"""Seconds of traffic before the moves: after so long it is a conversation."""
SETTLED = 2
"""Seconds between two changes of the uplinks: a change and its end within the debounce is none."""
WATCHED = ("desk", "phone", "six", "dual")
MEETING = {"desk": "dual", "dual": "desk"}
"""Neither has an endpoint: they meet with the help of others, and what they set for that has nothing to lose."""
WITNESSES = ("p1", "p2", "p3")


class World:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mesh = mesh = Mesh(lab)
        for number, name in enumerate((*WITNESSES, "pihole", "phone", "six"), 11):
            mesh.node(name, number, endpoint=f"203.0.113.{number}:{PORT}", persistent_keepalive=0)
        for number, name in enumerate(("away", "away6"), 21):
            mesh.node(name, number, persistent_keepalive=0).nft(NEVER_SPEAKS_FIRST)
        self._office()
        self._two_uplinks()
        mesh.push()
        names = [name for name in mesh.nodes if name != "nas"]
        mesh.now("pihole")
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(mesh.now, names))
        self.keys = {name: key_of(mesh.nodes[name]) for name in names}
        self._pihole()
        mesh.nodes["six"].ip("route delete ::/0", "route add 2000::/3 via 2001:db8::1 dev eth0")

    def _office(self) -> None:
        site = self.lab.site("office", LAN, "203.0.113.31")
        self.lab.dns.set("gate.example", "203.0.113.31")
        self._resolver(site.router, ROUTER, f"gate.example={GATE}")
        self.mesh.enlist(
            "gate", site.gateway, address="10.0.0.31", endpoint=f"gate.example:{PORT}", subnets=[LAN],
            persistent_keepalive=0,
        )  # fmt: skip
        desk = self.lab.beside(site, "desk", 20, resolvers=(ROUTER,))
        self.mesh.enlist("desk", desk, address="10.0.0.32", listen_port=PORT + 1, persistent_keepalive=0)
        nas = self.lab.beside(site, "nas", 30)
        self.mesh.enlist(
            "nas", nas, address="10.0.0.33", endpoint=f"{NAS}:{PORT + 2}", listen_port=PORT + 2, persistent_keepalive=0
        )

    def _two_uplinks(self) -> None:
        """NetworkManager has such metrics: 100 for a cable, 600 for what is wireless."""
        cable = self.lab.site("cable", "192.168.61.0/24", PUBLIC, port=None)
        lte = self.lab.site("lte", "192.168.62.0/24", LTE, port=None)
        dual = self.lab.beside(cable, "dual", 20)
        self.lte = lte.router.lan.plug("dual-lte", dual.tree, "eth1")
        dual.ip(
            "link set eth1 up",
            "address add 192.168.62.20/24 dev eth1",
            "route delete ::/0",
            "route delete default",
            "route add default via 192.168.61.1 dev eth0 metric 100",
            "route add default via 192.168.62.1 dev eth1 metric 600",
        )
        dual.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown"])
        self.mesh.enlist("dual", dual, address="10.0.0.34", persistent_keepalive=0)

    def _pihole(self) -> None:
        self._resolver(self.mesh.nodes["pihole"], "10.0.0.14")
        phone = self.mesh.nodes["phone"]
        first_answer(phone, "10.0.0.14")
        phone.set_resolvers("10.0.0.14")

    def _resolver(self, host: Host, address: str, *own: str) -> None:
        program = Path(__file__).with_name("failing_resolver.py")
        log = self.lab.directory / f"questions.{address}"
        host.popen([sys.executable, program, address, self.lab.dns.address, log, *own])

    def node(self, name: str) -> Node:
        return self.mesh.nodes[name]

    def endpoint(self, of: str, at: str) -> str:
        return endpoint(self.node(at), self.keys[of])

    def flush(self) -> None:
        """Nothing of an old address reaches a machine that has another one."""
        for host in self.mesh.nodes.values():
            host.run(["ip", "neigh", "flush", "all"], check=False)  # an entry may go by itself meanwhile

    def silent_moves(self) -> None:
        away, away6 = self.node("away"), self.node("away6")
        away.renumber("203.0.113.121")
        away6.renumber("203.0.113.122", "2001:db8::122")
        away6.port.block("ipv4")
        self.flush()
        self.lab.dns.set("away.example", "203.0.113.121")
        self.lab.dns.set("away6.example", "203.0.113.122", "2001:db8::122")


class Story:
    """What happens, side by side: the silent moves, and the uplinks of `dual` that take turns."""

    def __init__(self, world: World, dogs: dict[str, Watchdog], logs: LogsByNode, pings: dict[str, Pings]) -> None:
        self.world, self.dogs, self.logs = world, dogs, logs
        time.sleep(FLOWING)
        self.before = {name: logs[name].endpoints_set() for name in dogs}
        world.silent_moves()
        moved = time.time()
        with ThreadPoolExecutor(1) as pool:
            uplinks = pool.submit(self._uplinks)
            self.found = {name: ping.flows(moved, 40) for name, ping in pings.items()}
            self.failovers = uplinks.result()

    def _uplinks(self) -> dict[str, float]:
        """Seconds until every witness has the new path, for each way in which an uplink gives way to the other."""
        dual, took = self.world.node("dual"), {}
        best = "default via 192.168.61.1 dev eth0 metric"
        worse = [f"route add {best} 20100", f"route delete {best} 100"]  # as NetworkManager does without connectivity
        took["its metric is raised"] = self._until(LTE, lambda: dual.ip(*worse))
        better = [f"route add {best} 100", f"route delete {best} 20100"]
        took["its metric is lowered"] = self._until(PUBLIC, lambda: dual.ip(*better))
        took["it is deleted"] = self._until(LTE, lambda: dual.ip(f"route delete {best} 100"))
        took["it is back"] = self._until(PUBLIC, lambda: dual.ip(f"route add {best} 100"))
        took["its carrier is lost"] = self._until(LTE, dual.port.unplug)
        took["its carrier is back"] = self._until(PUBLIC, dual.port.plug)
        return took

    def _until(self, address: str, change: Callable[[], None]) -> float:
        time.sleep(SETTLED)
        change()
        witnesses = [self.world.node(name) for name in WITNESSES]
        key = self.world.keys["dual"]
        return until(
            lambda: all(endpoint(node, key).startswith(f"{address}:") for node in witnesses), 30, what=lambda: address
        )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Lab() as lab:
        yield World(lab)


@pytest.fixture(scope="module")
def story(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    logs = LogsByNode(tmp_path_factory.mktemp("logs"))
    with ExitStack() as stack:
        dogs = {name: stack.enter_context(watching(world.node(name), logs[name].env)) for name in WATCHED}
        asked = {"desk": "10.0.0.21", "phone": "10.0.0.21", "six": "10.0.0.22"}
        pings = {name: stack.enter_context(pinging(world.node(name), to))[0] for name, to in asked.items()}
        story = Story(world, dogs, logs, pings)
        print({**story.found, **story.failovers})
        yield story


# -- which nodes a list concerns


def test_where_the_routers_of_a_lan_resolve_a_name_into_the_lan_that_is_where_the_peer_is(world: World) -> None:
    assert world.endpoint("gate", "desk") == f"{GATE}:{PORT}"
    assert world.endpoint("gate", "p1") == f"203.0.113.31:{PORT}"
    first_answer(world.node("desk"), "10.0.0.31")


def test_a_literal_of_a_lan_that_is_announced_is_used_by_those_in_it(world: World) -> None:
    """`nas` comes to the others; none of them sends to its address by the tunnel that it is to make."""
    nas = world.node("nas")
    now(nas)
    key = key_of(nas)
    assert endpoint(world.node("desk"), key) == f"{NAS}:{PORT + 2}"
    first_answer(world.node("desk"), "10.0.0.33")
    assert not endpoint(world.node("phone"), key).startswith("192.168.")
    checked = world.mesh.operator.run(["mesh-sync", "check", "/run/home/mesh"])
    assert "warning" in checked.stdout
    assert NAS in checked.stdout


# -- silent moves


def test_the_router_of_a_lan_that_is_announced_is_asked_by_those_in_it(story: Story) -> None:
    assert story.found["desk"] < 30
    assert story.world.endpoint("away", "desk") == f"203.0.113.121:{PORT}"


def test_a_resolver_behind_a_peer_is_asked_while_that_peer_is_up(story: Story) -> None:
    assert story.found["phone"] < 30
    assert story.world.endpoint("away", "phone") == f"203.0.113.121:{PORT}"


def test_a_resolver_behind_a_peer_serves_mesh_sync_too(story: Story) -> None:
    phone = story.world.node("phone")
    phone.run(["wg", "set", "wg0", "peer", story.world.keys["away6"], "remove"])
    now(phone)
    assert story.world.endpoint("away6", "phone") == f"203.0.113.122:{PORT}"


def test_ipv6_without_a_default_route_is_tried(story: Story) -> None:
    assert story.found["six"] < 30
    assert story.world.endpoint("away6", "six") == f"[2001:db8::122]:{PORT}"


# -- uplinks


def test_a_failover_of_uplinks_is_told_to_every_peer_whatever_makes_it(story: Story) -> None:
    assert len(story.failovers) == 6
    assert max(story.failovers.values()) < 8, story.failovers  # a keepalive or a probe alone: 10 s and more


def test_no_live_peer_was_written_to(story: Story) -> None:
    keys = story.world.keys
    for name in WATCHED:
        told = {keys[other] for other in keys if other != MEETING.get(name)}
        assert not [call for call in story.before[name] if told.intersection(call.split())], name
        live = told - {keys["away"], keys["away6"]}
        assert not [call for call in story.logs[name].endpoints_set() if live.intersection(call.split())], name
