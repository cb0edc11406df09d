"""Preshared keys of phones: the exported config has the pair's key, and no tunnel comes up without it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from e2e.phones_lab import Phone, PhonesLab
from e2e.preshared_mesh import SECRET, at, connects, secret
from lab import Lab
from lab.mesh import dump, now
from lab.node import Node
from lab.tree import HOME
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

EXIT = "10.0.0.12"
OUT = f"{HOME}/phone.conf"


class World(PhonesLab):
    """A mesh with preshared keys, and two phones at the peer `exit`: `first`, and `late` after a rotation."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.first, self.late = (self.phone(name, number, via="exit") for name, number in (("first", 31), ("late", 32)))
        secret(self.mesh, "new", "--secret-file", SECRET)
        secret(self.mesh, "retire", "--force")
        self.push("a mesh with preshared keys")

    def push(self, message: str) -> None:
        self.mesh.push(message)
        self.mesh.now()

    def written(self, phone: Phone) -> str:
        """What `export -o` has written for a phone, at the operator's."""
        self.exported(phone, "--secret-file", SECRET, "-o", OUT)
        file = self.lab.operator.path(OUT)
        assert file.stat().st_mode & 0o777 == 0o600
        return file.read_text()

    def psk(self, phone: Phone) -> str:
        """What the hub has for a phone."""
        key = keys.public_key(self.lab.operator.path(phone.key_file).read_text().strip())
        return dump(self.exit)[key]["psk"]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Lab() as lab:
        yield World(lab)


def without(config: str) -> str:
    """A config that has lost its preshared key."""
    kept = [line for line in config.splitlines(keepends=True) if not line.startswith("PresharedKey")]
    assert len(kept) == config.count("\n") - 1
    return "".join(kept)


def runs(*nodes: Node) -> None:
    for node in nodes:
        now(node)


def test_a_phone_connects_with_the_key_of_its_pair_and_not_without(world: World) -> None:
    scanned = world.written(world.first)
    assert f"PresharedKey = {world.psk(world.first)}\n" in scanned
    assert world.psk(world.first) != world.psk(world.late)
    world.first.scan(without(scanned))
    assert not connects(world.first.node, EXIT, seconds=12)
    world.first.scan(scanned)
    assert connects(world.first.node, EXIT, seconds=60)


def test_a_rotation_costs_no_phone_its_tunnel_until_the_former_secret_is_retired(world: World) -> None:
    former = world.written(world.first)
    world.first.scan(former)
    assert connects(world.first.node, EXIT, seconds=60)
    said = world.mesh.operator.run(
        ["mesh-sync", "secret", "rotate", "--secret-file", SECRET, *at(time.time() - 30), "-C", f"{HOME}/mesh"]
    ).stderr
    assert "they have the former preshared key until then: first, late" in said
    world.push("the secret changes")
    newer = world.written(world.late)
    world.first.scan(former)
    assert connects(world.first.node, EXIT, seconds=60), "with what it scanned before"

    world.late.scan(newer)

    def has_come() -> bool:
        runs(world.exit)
        return connects(world.late.node, EXIT, seconds=3)

    until(has_come, 400)
    assert f"PresharedKey = {world.psk(world.late)}\n" in newer

    secret(world.mesh, "retire", "--force")
    world.push("the former secret is retired")
    world.first.scan(former)
    assert not connects(world.first.node, EXIT, seconds=12)
    world.first.scan(world.written(world.first))
    assert connects(world.first.node, EXIT, seconds=60)
    assert connects(world.late.node, EXIT, seconds=60)
