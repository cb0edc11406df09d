"""Rows that need a living node: idle runs, status, and one more peer, in the network lab with real WireGuard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import meshes
from bench.series import Command, Row, Runner, Series, measure

from lab import Lab
from lab.mesh import Mesh
from lab.node import Node
from mesh_sync.wireguard.keys import public_key

MANY = 1000


def idle(full: bool, before: Path | None = None) -> Iterator[Row]:
    """`mesh-sync now` with nothing to do, beside `git ls-remote` of the same remote; with 1 peer and with 1,000.

    ``before``: another checkout with its .venv; its `now` runs in turns with ours, on the same node and interface.
    """
    with Lab() as lab:
        mesh, node = small(lab)
        for name, url in (("ssh", lab.git.url), ("git", lab.git.daemon_url)):
            yield _idle(node, mesh, f"idle now over {name}://", url, 41 if full else 21, goal=name == "ssh")
            if before:
                yield _beside(node, before, f"idle now over {name}://", 41 if full else 21)
        grow(mesh, MANY)
        mesh.now("anna")
        yield _idle(node, mesh, f"idle now, {MANY:,} peers, ssh://", lab.git.url, 21 if full else 11)
        (status,) = measure(21 if full else 11, Command(["mesh-sync", "status"]), run=on(node))
        yield Row(f"status, {MANY:,} peers", status)


def apply(full: bool) -> Iterator[Row]:
    """One peer more on an interface that has 1,000."""
    with Lab() as lab:
        mesh, node = small(lab)
        grow(mesh, MANY)
        mesh.now("anna")
        member = meshes.Member(MANY + 1, next(meshes.members(1)).private_key)
        key = public_key(member.private_key)
        series = Series(())
        for _ in range(9 if full else 5):
            declare(mesh, member)
            mesh.push()
            series += measure(1, Command(["mesh-sync", "now"]), run=on(node))[0]
            (section,) = (
                part
                for part in node.run(["wg", "showconf", "wg0"]).stdout.split("\n\n")
                if f"PublicKey = {key}" in part
            )
            mesh.remove(member.name)
            mesh.push()
            mesh.now("anna")
        node.path("/etc/mesh-sync/more.conf").write_text(section + "\n")
        add = Command(
            ["wg", "addconf", "wg0", "/etc/mesh-sync/more.conf"],
            before=["wg", "set", "wg0", "peer", key, "remove"],
        )
        (alone,) = measure(21 if full else 11, add, run=on(node))
        yield Row(f"one peer more on {MANY:,}: now", series, "its wg addconf alone", alone)


def small(lab: Lab) -> tuple[Mesh, Node]:
    """A mesh of two that are in sync, and the first of them."""
    mesh = Mesh(lab, networks=[meshes.NETWORK], url=lab.git.url)
    node = mesh.node("anna", 5)
    mesh.node("berta", 6)
    mesh.push()
    mesh.now()
    return mesh, node


def grow(mesh: Mesh, count: int) -> None:
    """More peers, none of which is there: nothing is kept alive, so that only mesh-sync works."""
    mesh.set("anna", persistent_keepalive=0)
    for member in meshes.members(count - 1):
        declare(mesh, member)
    mesh.push()


def declare(mesh: Mesh, member: meshes.Member) -> None:
    """List a peer that no machine stands behind."""
    number = member.number + 1000  # clear of the lab's own addresses
    moved = meshes.Member(number, member.private_key)
    mesh.edit(f"peers/{member.name}.toml", moved.toml.replace(f"{moved.host}:51820", f"203.0.113.200:{20000 + number}"))


def _idle(node: Node, mesh: Mesh, name: str, url: str, runs: int, *, goal: bool = False) -> Row:
    mesh.configure(node, repository={"urls": [url]})
    node.run(["mesh-sync", "now"])
    ours, theirs = measure(
        runs, Command(["mesh-sync", "now"]), Command(["git", "ls-remote", url, "refs/heads/main"]), run=on(node)
    )
    row = Row(name, ours, "git ls-remote", theirs)
    if not goal:
        return row
    met = (row.ratio or 9) <= 2.5 and ours.mib < 25
    return Row(name, ours, row.peer, theirs, "2.5x, 25 MiB", met)


def _beside(node: Node, before: Path, name: str, runs: int) -> Row:
    """Ours and another version's, each with a state of its own."""
    config = node.path("/etc/mesh-sync/before.toml")
    lines = node.path("/etc/mesh-sync/node.toml").read_text().splitlines()
    known = [line for line in lines if not line.startswith("clock")]  # a key that the version before may not know
    config.write_text("\n".join([*known, "[paths]", 'state = "/var/lib/before"', ""]))
    theirs = [str(before / ".venv/bin/mesh-sync"), "now", "--config", "/etc/mesh-sync/before.toml"]
    node.run(theirs)
    ours, other = measure(runs, Command(["mesh-sync", "now"]), Command(theirs), run=on(node))
    return Row(name, ours, "the version before", other)


def on(node: Node) -> Runner:
    """Run on a node of the lab."""

    def run(argv: Sequence[str], text: str) -> str:
        return node.run(argv, input=text, timeout=600).stdout

    return run
