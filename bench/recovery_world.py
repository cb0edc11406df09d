"""A mesh in a lab of its own in which addresses change, while nothing, reresolve-dns.sh or mesh-watchdog looks on."""

from __future__ import annotations

import math
import re
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

from lab import Host, Lab, Site
from lab.firewall import LETS_NOTHING_BEGIN
from lab.logged import LoggedPrograms
from lab.mesh import PORT, Mesh, dump
from lab.node import Node
from lab.program import Program

ALONE, SCRIPT, WATCHDOG = "WireGuard alone", "reresolve-dns.sh", "mesh-watchdog"
WAYS = (ALONE, SCRIPT, WATCHDOG)
OWN, NAT, NAME, BOTH = "own address", "behind its NAT", "behind its NAT, mute", "both ends"
CASES = (OWN, NAT, NAME, BOTH)
BAD = "behind its NAT, mute, and one bad name in the list"
SCRIPT_FILES = (
    Path("/usr/share/doc/wireguard-tools/examples/reresolve-dns/reresolve-dns.sh"),
    Path(__file__).parents[1] / ".venv-bench/reresolve-dns.sh",
)
NUMBERS = {"obs": 11, "mover": 12, "mute": 23, "left": 24, "right": 25}
EVERY = 30
TTL = 5
BOUND = 170.0
"""Seconds for which an end of the outage is waited for; reresolve-dns.sh has done what it can after 135 + 30."""
SETTLED = 30.0
"""Seconds after which all that begins with a watchdog is over, in all labs that are up: they share two cores."""
IDLE = 210.0
"""Seconds from the start after which the peer that roamed, and was idle since, is asked: 135 + 30 are over by then."""

_ANSWER = re.compile(r"^\[([\d.]+)\] \d+ bytes from ", re.MULTILINE)


def script() -> Path | None:
    """Where reresolve-dns.sh is, if it is."""
    return next((file for file in SCRIPT_FILES if file.exists()), None)


@frozen
class Kind:
    """What is looked at in one lab: by whom, with which keepalive; ``part`` of a run, 0 to 1, staggers the runs."""

    way: str
    keepalive: int
    part: float
    bad_name: bool = False


@frozen
class Found:
    """Seconds of outage by case; writes to the two ends of the tunnel that roamed and lived; was it alive after?"""

    kind: Kind
    outages: Mapping[str, float]
    writes: int = 0
    lives: bool = True


class Pings:
    """A ping, five to the second unless told otherwise."""

    def __init__(self, host: Host, address: str, every: float = 0.2) -> None:
        self._file = host.directory / f"ping.{address}"
        with self._file.open("wb") as out:
            self.program: Program = host.popen(["ping", "-D", "-n", "-i", str(every), address], stdout=out.fileno())

    def end(self) -> None:
        self.program.send_signal(signal.SIGINT)
        self.program.wait(timeout=10)

    def first(self, since: float) -> float:
        """Wait for the first answer after that moment (wall clock), and return its own; infinity if none comes."""
        begin = self._file.stat().st_size if since > time.time() - 1 else 0
        while time.time() < since + BOUND:
            with self._file.open() as text:
                text.seek(begin)
                answers = [when for when in map(float, _ANSWER.findall(text.read())) if when > since]
            if answers:
                return answers[0]
            time.sleep(0.5)
        return math.inf


class World:
    """`obs` stands still and pings whom the cases move; `left` pings `right`, and both are moved.

    `mover` moves itself, which all its peers learn from it, while DNS does not; it is idle then, until it is asked at
    the end. `mute`, `left` and `right` are sites behind routers; that of `mute` lets nothing begin from inside, so
    that only its name tells where it is. Each site has a second node, which has no endpoint and nothing to
    say. `left` is first moved alone. With a bad name, there is only `mute`, and a peer before it in the list whose name
    does not exist.

    WireGuard that is a process, and a watchdog, take one of the machine's 128 inotify instances each.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.lab = Lab()
        self.sites: dict[str, Site] = {}
        self.logged: dict[str, LoggedPrograms] = {}

    def build(self) -> None:
        self.mesh = mesh = Mesh(self.lab)
        self._node("obs")
        self._site("mute")
        self.sites["mute"].router.nft(LETS_NOTHING_BEGIN)
        if self.kind.bad_name:
            self.lab.dns.set("bad.example", "203.0.113.200")
            mesh.set("bad", public_key=f"{'B' * 42}A=", addresses=["10.0.0.99"], endpoint=f"bad.example:{PORT}")
        else:
            self._node("mover")
            self._site("left")
            self._site("right")
        mesh.push()
        mesh.now()
        self.lab.dns.remove("bad.example")

    def _node(self, name: str) -> None:
        self.mesh.node(name, NUMBERS[name], persistent_keepalive=self.kind.keepalive)

    def _site(self, name: str) -> None:
        number = NUMBERS[name]
        site = self.sites[name] = self.lab.site(name, f"192.168.{number}.0/24", f"203.0.113.{number}")
        self.lab.dns.set(f"{name}.example", f"203.0.113.{number}", ttl=TTL)
        where = {"address": self._address(name), "endpoint": f"{name}.example:{PORT}"}
        self.mesh.enlist(name, site.gateway, **where, persistent_keepalive=self.kind.keepalive)
        second = self.lab.beside(site, f"{name}2", 20)
        self.mesh.enlist(
            f"{name}2", second, address=f"10.0.0.{number + 20}", listen_port=PORT + 1,
            persistent_keepalive=self.kind.keepalive,
        )  # fmt: skip

    # -- a run

    def run(self) -> Found:
        """Let everything happen, each case in its own time; the runs differ in the age of the sessions."""
        for number, node in enumerate(self.mesh.nodes.values()):
            self._look_on(node, phase=(number * 11 + self.kind.part * EVERY) % EVERY)
        time.sleep(SETTLED)
        began = time.monotonic()
        later = 90 * self.kind.part
        moves: dict[str, tuple[float, Callable[[Pings], float], Pings]] = {
            NAME: (65 + later, self._mute, self._pings("obs", "mute"))
        }
        if not self.kind.bad_name:
            moves[OWN] = 12, self._own, self._pings("obs", "mover")
            moves[NAT] = 27, self._nat, self._pings("obs", "left")
            moves[BOTH] = 50 + later, self._both, self._pings("left", "right")

        def move(case: str) -> float:
            moment, event, pings = moves[case]
            pings.first(0)
            time.sleep(max(0.0, began + moment - time.monotonic()))
            outage = event(pings)
            pings.end()
            return outage

        with ThreadPoolExecutor() as pool:
            outages = dict(zip(moves, pool.map(move, moves), strict=True))
        if self.kind.bad_name:
            return Found(self.kind, {BAD: outages[NAME]})
        return Found(self.kind, outages, *self._ask_mover(began))

    def _look_on(self, node: Node, *, phase: float) -> None:
        place = node.directory / "logged"
        place.mkdir()
        logged = self.logged[node.name] = LoggedPrograms(place, ["wg"])
        loop = f"sleep {phase}; while :; do bash {script()} wg0; sleep {EVERY}; done"
        argv = {ALONE: [], SCRIPT: ["sh", "-c", loop], WATCHDOG: ["mesh-watchdog", "run"]}[self.kind.way]
        if argv:
            with (node.directory / "looks-on.log").open("wb") as log:
                node.popen(argv, env=logged.env, stdout=log.fileno())

    def _pings(self, here: str, there: str) -> Pings:
        return Pings(self.mesh.nodes[here], self._address(there))

    def _address(self, name: str) -> str:
        return f"10.0.0.{NUMBERS[name]}"

    # -- what happens

    def _own(self, pings: Pings) -> float:
        """A machine gets another address, and knows; DNS is not told."""
        moved = time.time()
        self.mesh.nodes["mover"].renumber("203.0.113.112")
        return pings.first(time.time()) - moved

    def _nat(self, pings: Pings) -> float:
        return self._provider_moves(pings, {"left": 104})

    def _mute(self, pings: Pings) -> float:
        return self._provider_moves(pings, {"mute": 123})

    def _both(self, pings: Pings) -> float:
        return self._provider_moves(pings, {"left": 124, "right": 125})

    def _provider_moves(self, pings: Pings, sites: Mapping[str, int]) -> float:
        """These sites get other addresses in the same moment; unnoticed behind their routers; DNS is told."""
        routers = [self.sites[name].router for name in sites]
        new = [f"203.0.113.{number}" for number in sites.values()]
        moved = time.time()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda router, address: router.renumber(address), routers, new))
            # Whoever knows the router's MAC address would still reach it by the old address.
            list(pool.map(_forget_neighbours, [*routers, self.mesh.nodes["obs"]]))
        since = time.time()
        for name, address in zip(sites, new, strict=True):
            self.lab.dns.set(f"{name}.example", address, ttl=TTL)
        return pings.first(since) - moved

    def _ask_mover(self, began: float) -> tuple[int, bool]:
        """Writes to the tunnel of one who moved and told, but not to DNS; and whether it still carries anything."""
        time.sleep(max(0.0, began + IDLE - time.monotonic()))
        ends = [self.mesh.nodes["obs"], self.mesh.nodes["mover"]]
        keys = [dump(node)[""]["public_key"] for node in reversed(ends)]
        ask = ["ping", "-q", "-c5", "-i0.2", "-w6", self._address("mover")]
        lives = ends[0].run(ask, check=False).returncode == 0
        calls = [self.logged[node.name].calls() for node in ends]
        writes = (f"peer {key} endpoint" in call for key, made in zip(keys, calls, strict=True) for call in made)
        return sum(writes), lives


def _forget_neighbours(host: Host) -> None:
    host.run(["ip", "neigh", "flush", "all"])
