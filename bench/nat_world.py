"""A mesh of homes behind NATs and of public peers, each with its watchdog, in a lab of its own."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen
from bench.recovery_world import Pings

from lab import Lab, Router, Site
from lab.mesh import PORT, Mesh, dump, key_of, now
from lab.nat import EASY, EASY_BY_ADDRESS, HARD, MAPPED, ONE_TO_ONE, Nat
from lab.node import Node
from lab.ping import reachability
from lab.program import Program

DOUBLE = "double, carrier's"
KINDS: Mapping[str, Nat] = {
    "easy": EASY,
    "easy, by address": EASY_BY_ADDRESS,
    "hard": HARD,
    "port mapped": MAPPED,
    "1:1": ONE_TO_ONE,
    DOUBLE: EASY,
}
"""All but the last have one router; behind the last one's is a carrier's NAT of the same kind."""
DIRECT, RELAYED, NONE = "direct", "relayed", "none"
LEAD = 2.0
"""Seconds for which public peers watch before the others come."""
PATIENCE = 90.0
"""Seconds for which anything is waited for."""


@frozen
class Home:
    """A site, and the router whose address others see."""

    site: Site
    outer: Router

    @property
    def node(self) -> Node:
        return self.site.gateway


class World:
    """`with World() as world:` make peers, `begin()`, and look on."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.mesh = Mesh(self.lab)
        self.publics: list[str] = []
        self.homes: dict[str, Home] = {}
        self.keys: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self._watchdogs: dict[str, Program] = {}
        self._numbers = itertools.count(30)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.close()

    def public(self, *names: str, relay: bool) -> None:
        """Peers that all can reach."""
        for name in names:
            number = next(self._numbers)
            self.publics.append(name)
            self.addresses[name] = f"10.0.0.{number}"
            self.mesh.node(name, number, **({"relay": True} if relay else {}))

    def home(self, name: str, nat: Nat, *, double: bool = False, carrier: Router | None = None) -> Home:
        """A peer behind a NAT at a provider of its own; behind two, or a carrier's and its own, if so told."""
        number = next(self._numbers)
        if carrier is None:
            line = self.lab.provider(f"isp{number}")
            address = str(line.network.v4[number])
            if double:
                carrier = self.lab.carrier(f"carrier{number}", address, nat, at=line)
        if carrier is not None:
            line, address = carrier.line, f"100.64.0.{number}"
        site = self.lab.site(name, f"192.168.{number}.0/24", address, nat=nat, at=line)
        keys = {"endpoint": f"{address}:{nat.forwards}"} if nat.forwards and not double else {}
        self.addresses[name] = f"10.0.0.{number}"
        self.mesh.enlist(name, site.gateway, address=self.addresses[name], **keys)
        self.homes[name] = Home(site, carrier or site.router)
        return self.homes[name]

    def beside(self, name: str, home: Home) -> Node:
        """One more peer in the same LAN."""
        number = next(self._numbers)
        node = self.lab.beside(home.site, name, 20)
        self.addresses[name] = f"10.0.0.{number}"
        return self.mesh.enlist(name, node, address=self.addresses[name], listen_port=PORT + 1)

    def begin(self) -> None:
        """Push the list, let all apply it, and start the watchdogs: those of the public peers first."""
        self.mesh.push("all")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(now, self.mesh.nodes.values()))
        self.keys = {name: key_of(node) for name, node in self.mesh.nodes.items()}
        self.watch(*self.publics)
        until(lambda: all("watching" in self.log(name).read_text() for name in self.publics), time.time())
        time.sleep(LEAD)
        self.watch(*(name for name in self.mesh.nodes if name not in self.publics))

    def watch(self, *names: str) -> None:
        """Start the watchdogs of these, or restart them."""
        for name in names:
            if program := self._watchdogs.get(name):
                program.terminate()
                program.wait(timeout=10)
            with self.log(name).open("ab") as log:
                self._watchdogs[name] = self.node(name).popen(["mesh-watchdog", "run"], stdout=log.fileno())

    def log(self, name: str) -> Path:
        return self.node(name).directory / "watchdog.log"

    def node(self, name: str) -> Node:
        return self.mesh.nodes[name]

    # -- what is seen from outside of mesh-watchdog

    def holder(self, here: str, there: str) -> str:
        """The peer to whose key the interface sends packets for another one; empty if to none."""
        wanted = f"{self.addresses[there]}/32"
        lines = self.node(here).run(["wg", "show", "wg0", "allowed-ips"]).stdout.splitlines()
        keys = [line.split()[0] for line in lines if wanted in line.split()]
        return next((name for name, key in self.keys.items() if key in keys), "")

    def is_direct(self, one: str, other: str) -> bool:
        """Whether either end sends what is for the other to the other itself."""
        return self.holder(one, other) == other and self.holder(other, one) == one

    def outcomes(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """How each pair meets now: by a ping, and by the interface."""
        pairs = list(pairs)
        answers = reachability([(self.node(one), self.addresses[other]) for one, other in pairs])
        return {
            (one, other): self._outcome(one, other, answers[self.node(one).name, self.addresses[other]])
            for one, other in pairs
        }

    def _outcome(self, one: str, other: str, answers: bool) -> str:
        if not answers:
            return NONE
        found = dump(self.node(one))[self.keys[other]]
        return DIRECT if f"{self.addresses[other]}/32" in found["allowed_ips"].split(",") else RELAYED

    def connected(self, *pairs: tuple[str, str], by: str = "", seconds: float = PATIENCE) -> bool:
        """Wait until these pairs reach each other (``by``: in this way); whether they do in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = set(self.outcomes(pairs).values())
            if NONE not in found and (not by or found == {by}):
                return True
            time.sleep(0.5)
        return False

    @contextlib.contextmanager
    def pings(self, one: str, other: str) -> Iterator[Pings]:
        """Ten pings to the second."""
        pings = Pings(self.node(one), self.addresses[other], every=0.1)
        try:
            yield pings
        finally:
            pings.end()


def until(true: Callable[[], bool], since: float, seconds: float = PATIENCE) -> float:
    """Wait for it; return how many seconds after ``since``, by the wall clock, it was seen; infinity if it was not."""
    while time.time() < since + seconds:
        if true():
            return time.time() - since
        time.sleep(0.1)
    return math.inf
