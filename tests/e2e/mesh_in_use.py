"""A mesh of four nodes in use, and what must hold while a commit changes it: see `MeshInUse.changing`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from lab import Lab, Node, reachability, steady_ping
from lab.logged import LoggedPrograms, is_reading
from lab.mesh import WORK, Mesh, dump, now, now_json
from mesh_sync.wireguard import keys

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


class MeshInUse:
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

    def now_everywhere(self, refused: Collection[str] = (), at_once: int = 2) -> None:
        with ThreadPoolExecutor(at_once) as pool:
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
        at_once: int = 2,
    ) -> Iterator[None]:
        """Edit the list in the body; then it is pushed and applied everywhere while anna and berta talk.

        `refused` are the nodes that are no longer in the list, and keep what they had. On the `watched` ones
        a second `now` is looked at closely. So many nodes apply it `at_once`.
        """
        assert self.reaches("anna", "10.0.0.22")
        before = self.everywhere(ifindex)
        yield
        with steady_ping(self["anna"], "10.0.0.22") as loss:
            self.mesh.push(message)
            self.now_everywhere(refused, at_once)
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
