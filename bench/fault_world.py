"""Where faults are injected: three nodes of a signed mesh, of which one suffers and two must not notice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab import Lab, reachability
from lab.mesh import WORK, Mesh, dump, status
from mesh_sync.wireguard import keys

STATE = "/var/lib/mesh-sync/wg0"
CONF = "/etc/wireguard/wg0.conf"
ADMIN = "admin@example.org"
CONFIRM = 4
"""Seconds that a new commit has to prove itself; 30 if nothing is said."""
KILLED_AT = Path(__file__).parents[1] / "tests/e2e/killed_at.py"
STEPS = 80
"""How many steps a pass has, about, that changes something."""
RUNS = 4
"""Passes of the timer that a node has to get over a fault."""
PATIENCE = 15
"""Seconds in which the first packet has to come through after them."""


@dataclass
class World:
    """``victim`` suffers; ``others`` ping each other all the while."""

    lab: Lab
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self.mesh = Mesh(self.lab)
        self.victim, *self.others = (self.mesh.node(name, 10 + n) for n, name in enumerate(("a", "b", "c"), 1))
        self.mesh.allow(ADMIN)
        self.mesh.sign_as(ADMIN)
        first = self.mesh.push("the mesh begins")
        for node in self.mesh.nodes.values():
            self.mesh.trust(node, ADMIN, first_commit=first)
            self.mesh.configure(node, confirm={"deadline": CONFIRM})
        self._number = 30
        self.change()
        self.mesh.now()

    # -- what a fault is made of

    def change(self) -> None:
        """Push a good commit: one more peer, with a network behind it."""
        self._number = 30 + (self._number - 29) % 200
        key = keys.public_key(keys.generate())
        number = self._number
        self.mesh.set("more", public_key=key, addresses=[f"10.0.0.{number}"], subnets=[f"192.168.{number}.0/24"])
        self.mesh.push("more: another one")

    def start(self) -> Callable[[int], None]:
        """Start a pass on the victim; return how to end it, with a signal."""
        process = self.victim.popen(["mesh-sync", "now"], stdout=subprocess.DEVNULL)

        def end(signal: int) -> None:
            process.send_signal(signal)
            process.communicate(timeout=60)

        return end

    def die(self) -> None:
        """A pass on the victim that ends by SIGKILL at a random one of the steps that leave a trace."""
        step = self.chance.randint(1, STEPS)
        self.victim.run([sys.executable, KILLED_AT, str(step), "now"], check=False, timeout=60)

    def rest(self, least: float, most: float) -> None:
        """Wait for some time between these, in seconds."""
        time.sleep(self.chance.uniform(least, most))

    def now(self) -> int:
        """One pass on the victim; return its exit code."""
        return self.victim.run(["mesh-sync", "now"], check=False, timeout=150).returncode

    def file(self, path: str) -> Path:
        """A file of the victim."""
        return self.victim.path(path)

    def spoil(self, file: Path) -> None:
        """Do to a file what a dying disk does: cut it, fill it with zeros or noise, or lose it."""
        content = file.read_bytes()
        match self.chance.randrange(4):
            case 0:
                file.write_bytes(content[: self.chance.randrange(len(content))])
            case 1:
                file.write_bytes(bytes(len(content)))
            case 2:
                place = self.chance.randrange(len(content))
                file.write_bytes(content[:place] + self.chance.randbytes(16) + content[place + 16 :])
            case _:
                file.unlink()

    def offer(self, exit_code: int, change: Callable[[Mesh], object]) -> str:
        """Push a bad change, which the victim has to end with this exit code and without a trace; then take it back.

        Return what went wrong.
        """
        good, before = self.mesh.git("rev-parse", "HEAD"), self.shape()
        change(self.mesh)
        self.mesh.push("bad", force=True)
        self.mesh.sign_as(ADMIN)
        code = self.now()
        wrong = "" if code == exit_code else f"exit code {code} and not {exit_code}"
        if self.shape() != before:
            wrong = "the interface is not as it was"
        self.mesh.git("reset", "-q", "--hard", good)
        self.mesh.publish(force=True)
        self.change()
        return wrong

    def shape(self) -> tuple[object, ...]:
        """What a commit can change on the victim: peers without their counters, addresses, routes, rules, wg0.conf."""
        peers = {key: (peer.get("allowed_ips"), peer.get("endpoint")) for key, peer in dump(self.victim).items()}
        shown = (["ip", "-brief", "address", "show", "wg0"], ["ip", "route"], ["ip", "rule"])
        return peers, [self.victim.run(words).stdout for words in shown], self.file(CONF).read_bytes()

    # -- what has become of it

    def recovered(self) -> str:
        """Give the victim the passes it has, then look: nothing when all is well, else what is not."""
        for _ in range(RUNS):
            code, drift = self.now(), status(self.victim)["drift"]
            if code == 0 and not drift:
                break
        else:
            wrong = "; ".join(change["text"] for change in drift) or f"exit code {code}"
            return f"after {RUNS} passes there is still: {wrong}"
        wanted = self.mesh.operator.run(["git", "-C", WORK, "rev-parse", "HEAD"]).stdout.strip()
        if status(self.victim)["commit"] != wanted:
            return "another commit is applied than the newest good one"
        return self.cut_off() or self.strangers()

    def cut_off(self) -> str:
        """Whom the victim does not reach, or nothing."""
        end = time.monotonic() + PATIENCE
        while True:
            answers = reachability([(self.victim, f"10.0.0.{number}") for number in (12, 13)])
            if all(answers.values()) or time.monotonic() > end:
                break
        return ", ".join(f"{address} is not reached" for (_, address), reached in answers.items() if not reached)

    def strangers(self) -> str:
        """Peers on the victim that are not in the list, or nothing."""
        files = self.mesh.operator.path(f"{WORK}/peers").glob("*.toml")
        listed = {tomllib.loads(file.read_text())["public_key"] for file in files}
        left = dump(self.victim).keys() - listed - {""}
        return f"peers that are in no list are left: {len(left)}" if left else ""
