"""With its own uplink down, mesh-watchdog looks for no peer; with it back, all are there at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from e2e.running_watchdog import watching
from lab import Lab
from lab.logged import LogsByNode
from lab.mesh import Mesh, dump
from lab.node import Node
from lab.ping import pinging
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PORT = 51820
DOWN = 30
MANY = 30


class Crowd:
    """Two observers, each with the same thirty peers: `x` sees its link go down, to `y` the world just falls silent."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        mesh = Mesh(lab)
        self.names = [f"p{number}" for number in range(MANY)]
        observers = {"x": mesh.node("x", 41, persistent_keepalive=0), "y": mesh.node("y", 42, persistent_keepalive=0)}
        self.x, self.y = observers.values()
        secrets = {name: keys.generate() for name in self.names}
        for number, name in enumerate(self.names):
            lab.dns.set(f"{name}.example", f"203.0.113.{150 + number}")
            mesh.set(
                name, public_key=keys.public_key(secrets[name]), addresses=[f"10.0.0.{150 + number}"],
                endpoint=f"{name}.example:{PORT}", persistent_keepalive=0,
            )  # fmt: skip
        mesh.push()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._peer, range(MANY), secrets.values()))
        mesh.now()
        self.keys = {keys.public_key(secret): name for name, secret in secrets.items()}

    def _peer(self, number: int, secret: str) -> None:
        """A machine that speaks WireGuard and nothing else."""
        host = self.lab.node(f"p{number}", f"203.0.113.{150 + number}")
        host.add_wireguard()
        host.path("/run/home/key").write_text(secret)
        words = ["wg", "set", "wg0", "listen-port", str(PORT), "private-key", "/run/home/key"]
        for address, observer in (("10.0.0.41", "x"), ("10.0.0.42", "y")):
            words += ["peer", self._public(observer), "allowed-ips", f"{address}/32"]
        host.run(words)
        host.ip(f"address add 10.0.0.{150 + number}/24 dev wg0", "link set wg0 up")

    def _public(self, observer: str) -> str:
        node = self.x if observer == "x" else self.y
        return keys.public_key(node.path("/etc/mesh-sync/private.key").read_text().strip())

    def received(self, node: Node) -> dict[str, str]:
        return {name: fields["rx"] for key, fields in dump(node).items() if (name := self.keys.get(key))}


def all_heard(crowd: Crowd, node: Node, since: float, seconds: float) -> float:
    """Seconds from the moment until every peer was heard again."""
    before = crowd.received(node)
    silent = set(before)
    while silent and time.monotonic() - since < seconds:
        time.sleep(0.05)
        received = crowd.received(node)
        silent -= {name for name in silent if received[name] != before[name]}
    assert not silent, f"not heard after {seconds} s: {sorted(silent)}"
    return time.monotonic() - since


def test_with_the_own_uplink_down_nobody_is_looked_for_and_all_are_back_with_it(
    logs: LogsByNode,
) -> None:
    with ExitStack() as stack:
        crowd = Crowd(stack.enter_context(Lab()))
        dogs = {node.name: stack.enter_context(watching(node, logs[node.name].env)) for node in (crowd.x, crowd.y)}
        for node in (crowd.x, crowd.y):
            stack.enter_context(pinging(node, *(f"10.0.0.{150 + number}" for number in range(6)), interval=0.5))
        until(lambda: all(dog.all_are("up") for dog in dogs.values()))
        time.sleep(5)  # for the traffic to be a habit
        asked = {name: dog.shown()["dns_queries"] for name, dog in dogs.items()}

        crowd.x.port.unplug()
        crowd.y.port.block("ipv4")
        crowd.y.port.block("ipv6")
        time.sleep(DOWN)
        crowd.x.port.plug()
        x_up = time.monotonic()
        x_took = all_heard(crowd, crowd.x, x_up, 20)
        crowd.y.port.unblock("ipv4")
        crowd.y.port.unblock("ipv6")
        y_took = all_heard(crowd, crowd.y, time.monotonic(), 20)
        shown = {name: dog.shown() for name, dog in dogs.items()}
    queries = {name: view["dns_queries"] - asked[name] for name, view in shown.items()}
    print(f"back after: x {x_took:.1f} s, y {y_took:.1f} s; DNS queries: {queries}")
    assert {name: logs[name].endpoints_set() for name in dogs} == {"x": [], "y": []}
    assert {name: view["writes"] for name, view in shown.items()} == {"x": 0, "y": 0}
    assert max(queries.values()) <= 10
    assert x_took < 5
    assert y_took < 15
