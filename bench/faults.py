"""Faults injected into one node of a mesh, and how many of them it survived: `script/bench faults`.

Survived means: with no more than what the timer does every minute the node is at the newest good commit, nothing
differs from it, and the node reaches everybody. What may never happen meanwhile is counted, too: packets lost between
the two nodes that have nothing to do with it.
"""

from __future__ import annotations

import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.fault_world import ADMIN, CONF, RUNS, STATE, World
from bench.series import duration
from bench.table import Lines

from lab import Lab, steady_ping
from lab.mesh import Mesh
from mesh_sync.wireguard import keys

Fault = Callable[[World], str | None]
"""Does it to a world; returns what went wrong at once, if anything did."""
NOTE = f"""\
Survived: after at most {RUNS} passes of `mesh-sync now` the node is at the newest good commit, nothing differs from it,
and it reaches every other node. Until then: from the end of the fault, median, each pass included. Others lost: of the
packets between two nodes that the fault does not concern, all the while."""


GIT_AND_DNS = ["203.0.113.10/32", "203.0.113.53/32", "2001:db8::10/128", "2001:db8::53/128"]


@dataclass
class Tally:
    """What became of one kind of fault. ``whole``: seconds until all was well again."""

    injected: int = 0
    whole: list[float] = field(default_factory=list)
    sent: int = 0
    lost: int = 0
    troubles: list[str] = field(default_factory=list)


def faults(times: int) -> Iterator[Lines]:
    """Inject every fault ``times`` times; yield the table, and what was not survived."""
    lines = [("fault", "injected", "survived", "lost", "well again after", "others lost")]
    troubles: list[tuple[str, ...]] = [("fault", "what was wrong")]
    for name, inject in FAULTS.items():
        with Lab() as lab:
            tally = _tally(World(lab), inject, times)
        survived = len(tally.whole)
        after = duration(statistics.median(tally.whole)) if tally.whole else ""
        row = (name, str(tally.injected), str(survived), str(tally.injected - survived), after)
        lines.append((*row, f"{tally.lost} of {tally.sent:,}"))
        print("  ".join(lines[-1]), file=sys.stderr)
        troubles += [(name, trouble) for trouble in tally.troubles]
    yield lines
    if troubles[1:]:
        yield troubles


def _tally(world: World, inject: Fault, times: int) -> Tally:
    tally = Tally()
    b, _ = world.others
    with steady_ping(b, "10.0.0.13", interval=0.05) as loss:
        for _ in range(times):
            wrong = inject(world)
            tally.injected += 1
            ended = time.monotonic()
            if trouble := wrong or world.recovered():
                tally.troubles.append(trouble)
            else:
                tally.whole.append(time.monotonic() - ended)
    tally.sent, tally.lost = loss.sent, loss.lost
    return tally


# -- a pass that is interrupted


def killed(world: World) -> None:
    """SIGKILL at a random step of a pass that has something to do; and the list moves on meanwhile."""
    world.change()
    world.die()
    world.change()


def stopped(world: World) -> None:
    """SIGTERM at a random moment of such a pass."""
    world.change()
    end = world.start()
    world.rest(0.05, 0.7)
    end(signal.SIGTERM)


def power_cut(world: World) -> None:
    """The machine loses power at a random step of a pass, and comes up again without asking anybody."""
    world.change()
    world.die()
    world.victim.reboot()
    world.victim.run(["mesh-sync", "up"], check=False)


# -- surroundings that fail


def git_gone(world: World) -> None:
    """The git host refuses connections for a pass, then is back."""
    world.change()
    world.lab.git.kill()
    world.now()
    world.lab.git.start()


def git_dies(world: World) -> None:
    """The git host is gone in the middle of a pass."""
    world.change()
    end = world.start()
    world.rest(0.02, 0.6)
    world.lab.git.kill()
    end(0)
    world.lab.git.start()


def names_gone(world: World) -> None:
    """The name server is gone for a pass."""
    world.change()
    world.lab.dns.kill()
    world.now()
    world.lab.dns.start()


def disk_full(world: World) -> None:
    """No room is left where the state is, for a pass."""
    world.change()
    world.victim.run(["mount", "-t", "tmpfs", "-o", "size=64k", "full", STATE + "/repo.git/objects/pack"], check=False)
    world.victim.run(["mount", "-t", "tmpfs", "-o", "size=4k", "full", "/etc/wireguard"], check=False)
    world.now()
    for place in (STATE + "/repo.git/objects/pack", "/etc/wireguard"):
        world.victim.run(["umount", place], check=False)


# -- a memory that is broken


def state_broken(world: World) -> None:
    """state.json is cut, zeroed, spoilt or lost; then the list changes."""
    world.spoil(world.file(f"{STATE}/state.json"))
    world.change()


def conf_broken(world: World) -> None:
    """So is wg0.conf."""
    world.spoil(world.file(CONF))


def copy_broken(world: World) -> None:
    """So is a file of the bare copy; then the list changes."""
    files = (path for path in world.file(f"{STATE}/repo.git").rglob("*") if path.is_file())
    world.spoil(world.chance.choice(sorted(path for path in files if path.stat().st_size)))
    world.change()


# -- an interface that others take apart


def interface_gone(world: World) -> None:
    """The interface is deleted by hand."""
    world.victim.run(["ip", "link", "delete", "wg0"])


def meddled(world: World) -> None:
    """Peers, addresses or routes are taken away by hand, or another key or port is set."""
    peers = world.victim.run(["wg", "show", "wg0", "peers"]).stdout.split()
    world.victim.run(
        world.chance.choice(
            [
                ["wg", "set", "wg0", "peer", world.chance.choice(peers), "remove"],
                ["ip", "address", "flush", "dev", "wg0"],
                ["ip", "route", "flush", "dev", "wg0"],
                ["ip", "link", "set", "wg0", "down"],
                ["wg", "set", "wg0", "listen-port", str(world.chance.randrange(1024, 60000))],
            ]
        )
    )


# -- commits that should not have been made, or were not made by those who may


def unsigned(world: World) -> str:
    """One who may push, and has no key."""

    def change(mesh: Mesh) -> None:
        mesh.sign_as(None)
        mesh.set("b", subnets=["0.0.0.0/0"])

    return world.offer(4, change)


def strange_key(world: World) -> str:
    """One with a key of their own, which the commit itself adds."""

    def change(mesh: Mesh) -> None:
        mesh.sign_as("mallory@example.org")
        mesh.allow(ADMIN, "mallory@example.org")

    return world.offer(4, change)


def rewritten(world: World) -> str:
    """A branch that goes on, well signed, from before what the node has."""

    def change(mesh: Mesh) -> None:
        mesh.git("reset", "-q", "--hard", "HEAD~1")

    return world.offer(4, change)


def mistyped(world: World) -> str:
    """A list with an error."""
    return world.offer(4, lambda mesh: mesh.edit("peers/b.toml", "public_key = \n"))


def emptied(world: World) -> str:
    """A list without anybody else."""

    def change(mesh: Mesh) -> None:
        for name in ("b", "c", "more"):
            mesh.set(name, enabled=False)

    return world.offer(4, change)


def cut_off(world: World) -> str:
    """A network that has git and DNS in it, behind a peer that is not set up."""
    key = keys.public_key(keys.generate())
    where = {"addresses": ["10.0.0.250"], "endpoint": "203.0.113.250:51820", "subnets": GIT_AND_DNS}
    return world.offer(5, lambda mesh: mesh.set("office", public_key=key, **where))


def mixed_up(world: World) -> str:
    """Each other node has a key that is not its own: none of them answers."""

    def change(mesh: Mesh) -> None:
        for name in ("b", "c"):
            mesh.set(name, public_key=keys.public_key(keys.generate()))

    return world.offer(5, change)


FAULTS: dict[str, Fault] = {
    "mesh-sync killed while it applies a commit": killed,
    "mesh-sync told to stop while it applies one": stopped,
    "power cut while it applies one": power_cut,
    "git host gone": git_gone,
    "git host gone in the middle": git_dies,
    "name server gone": names_gone,
    "disk full": disk_full,
    "state.json spoilt": state_broken,
    "wg0.conf spoilt": conf_broken,
    "bare copy spoilt": copy_broken,
    "interface deleted": interface_gone,
    "interface taken apart": meddled,
    "commit without a signature": unsigned,
    "commit signed by a key that it adds itself": strange_key,
    "branch rewritten, well signed": rewritten,
    "list with an error": mistyped,
    "list without anybody else": emptied,
    "commit that cuts off git and DNS": cut_off,
    "commit with the wrong keys of all others": mixed_up,
}
