"""What the tests of trust share: a mesh with signers, and what it means to refuse a commit and to accept one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import count

from lab import Lab
from lab.host import Host
from lab.mesh import Mesh, dump, now, now_json, status
from lab.snapshot import untouched

ADMIN, OTHER = "anna@example.org", "otto@example.org"
ALL = ("removed-peers", "empty-list", "remove a", "re-key a", "all-endpoints")
_turns = count()
NODE_A, NODE_B = "a@node.lab", "b@node.lab"


def signed_mesh(lab: Lab) -> Mesh:
    """Peers a and b, up; a verifies signatures, and its trust begins at the first commit."""
    mesh = Mesh(lab)
    for number, name in enumerate("ab", start=21):
        mesh.node(name, number)
    mesh.allow(ADMIN, OTHER, NODE_A, NODE_B)
    mesh.sign_as(ADMIN)
    first = mesh.push("two peers")
    mesh.trust(mesh.nodes["a"], ADMIN, first_commit=first)
    mesh.now()
    return mesh


def verifying_mesh(lab: Lab, names: Collection[str], signing: Collection[str]) -> Mesh:
    """Peers 10.0.0.21 and on, up; all verify signatures, those of ``signing`` have the key that the list names."""
    mesh = Mesh(lab)
    for number, name in enumerate(names, start=21):
        mesh.node(name, number)
    mesh.allow(ADMIN, *(f"{name}@node.lab" for name in signing))
    mesh.sign_as(ADMIN)
    first = mesh.push(f"{len(names)} peers")
    for name, node in mesh.nodes.items():
        mesh.trust(node, ADMIN, first_commit=first)
        if name in signing:
            give_signing_key(mesh, name)
    mesh.now()
    return mesh


def give_signing_key(mesh: Mesh, name: str) -> None:
    """The key that the list names for the node."""
    file = mesh.nodes[name].path("/etc/mesh-sync/signing.key")
    file.touch(mode=0o600)
    file.write_text(mesh.operator.path(f"{mesh.home}/signers/{name}@node.lab").read_text())


@contextmanager
def begin(mesh: Mesh) -> Iterator[None]:
    """A test that begins with a good list, signed by an admin, which node a has applied and trusts anew."""
    mesh.sign_as(ADMIN)
    good = mesh.push("begin\n\n" + "".join(f"Mesh-Allow: {what}\n" for what in ALL), force=True)
    a = mesh.nodes["a"]
    mesh.configure(a, repository={"urls": [mesh.url]})
    mesh.trust(a, ADMIN, first_commit=good)
    with a.path("/etc/mesh-sync/allowed_signers").open("a") as file:
        file.write(f"# {next(_turns)}\n")  # root has changed it, so trust begins anew
    now(a)
    yield
    mesh.git("checkout", "-q", "-f", "-B", "main", good)
    mesh.git("clean", "-qfd")


def back(mesh: Mesh, commit: str | None = None) -> Mesh:
    """The operator goes back to a commit, else to the one that node a has applied, to go on from there."""
    mesh.git("reset", "-q", "--hard", commit or status(mesh.nodes["a"])["commit"])
    return mesh


def sh(host: Host, script: str) -> str:
    """What a shell script prints on a host; it has to succeed."""
    return host.run(["sh", "-ec", script]).stdout.strip()


def refused(mesh: Mesh, commit: str) -> str:
    """Node a refuses the head, with exit code 4 and the sentence that is returned, and touches nothing."""
    a = mesh.nodes["a"]
    before, applied = untouched(a), status(a)["commit"]
    done = now(a, exit_code=4)
    assert untouched(a) == before
    told = status(a)
    assert (told["refused_commits"], told["commit"], told["drift"]) == ([commit], applied, [])
    first, *rest = done.stderr.splitlines()
    assert len(rest) <= 1, f"more than a hint:\n{done.stderr}"
    return first.removeprefix("mesh-sync: ")


def accepts(mesh: Mesh) -> str:
    """A good commit on top of what the operator has is applied, and nothing is refused any more; return it."""
    mesh.sign_as(ADMIN)
    a = mesh.nodes["a"]
    [b] = (peer for key, peer in dump(a).items() if key)
    mesh.set("a", persistent_keepalive=22 if b["keepalive"] == "21" else 21)
    commit = mesh.commit("good")
    mesh.publish(force=True)
    found = now_json(a)
    assert (found["result"], found["commit"]) == ("applied", commit)
    assert status(a)["refused_commits"] == []
    return commit
