"""Phones with nothing but an exported config: who leaves by an exit, and which routes each has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.exit_lab import BOTH, becomes_seen, seen_from
from e2e.phones_lab import Phone, PhonesLab
from lab import Lab
from lab.mesh import WORK, now_json
from lab.ping import first_answer
from lab.waiting import until

pytestmark = pytest.mark.e2e

WORLD, WORLD6 = "203.0.113.99", "2001:db8::99"
NAMESERVER = "203.0.113.53"
EXIT, EXIT6 = "203.0.113.12", "2001:db8::12"


class World(PhonesLab):
    """`leaves` and `stays` have the exit as their hub, `twice` and `beside` one that uses it."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.leaves = self.phone("leaves", 31, via="exit", exit="exit", dns=[NAMESERVER, "example"])
        self.stays = self.phone("stays", 32, via="exit", export_routes=["10.0.0.12/32"])
        self.twice = self.phone("twice", 33, via="hub", exit="exit")
        self.beside = self.phone("beside", 34, via="hub")
        self.phones = (self.leaves, self.stays, self.twice, self.beside)
        self.push("two hubs and four phones")

    def push(self, message: str) -> None:
        self.mesh.push(message)
        self.mesh.now()
        for phone in self.phones:
            phone.scan(self.exported(phone))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Lab() as lab:
        yield World(lab)


def own(phone: Phone) -> str:
    return f"198.51.100.{ {'leaves': 31, 'stays': 32, 'twice': 33, 'beside': 34}[phone.name] }"


def test_who_has_the_key_leaves_by_the_exit_and_who_has_not_does_not(world: World) -> None:
    for phone in (world.leaves, world.twice):
        assert becomes_seen(phone.node, WORLD, {EXIT}) == EXIT, phone.name
        assert becomes_seen(phone.node, WORLD6, {EXIT6}) == EXIT6, phone.name
    for phone in (world.stays, world.beside):
        assert seen_from(phone.node, WORLD) == own(phone), phone.name
    for phone, address in ((world.leaves, "10.0.0.22"), (world.twice, "10.0.0.31"), (world.beside, "10.0.0.12")):
        first_answer(phone.node, address, seconds=60)
    assert {now_json(node)["result"] for node in world.mesh.nodes.values()} == {"in-sync"}


def test_routes_of_its_own_are_all_that_a_phone_sends(world: World) -> None:
    first_answer(world.stays.node, "10.0.0.12", seconds=60)
    found = world.stays.node.run(["ip", "route", "get", "10.0.0.22"]).stdout
    assert "wg0" not in found, "left to its own network"
    assert "wg0" in world.beside.node.run(["ip", "route", "get", "10.0.0.22"]).stdout


def test_a_phone_looks_names_up_where_its_config_says(world: World) -> None:
    """By a nameserver that it reaches through the exit only, and in the domain beside it."""
    world.lab.dns.set("witness.example", WORLD)
    found = world.leaves.node.path("/etc/resolv.conf").read_text()
    assert found == f"nameserver {NAMESERVER}\nsearch example\n"
    until(lambda: WORLD in world.leaves.node.run(["getent", "hosts", "witness"], check=False).stdout, 60)


def test_what_the_exit_does_not_carry_is_not_sent_to_it(world: World) -> None:
    world.mesh.set("exit", subnets=["0.0.0.0/0"])
    try:
        world.push("exit: IPv4 only")
        for phone in (world.leaves, world.twice):
            assert becomes_seen(phone.node, WORLD, {EXIT}) == EXIT, phone.name
            assert seen_from(phone.node, WORLD6).startswith("2001:db8:f::"), "by its own network"
    finally:
        world.mesh.set("exit", subnets=BOTH)
        world.push("exit: both again")


def test_a_hub_that_uses_another_way_is_refused_and_check_says_what_to_do(world: World) -> None:
    operator = world.lab.operator
    done = operator.run(["mesh-sync", "peer", "set", "hub", "--exit", "none", "-C", WORK], check=False)
    assert done.returncode == 1
    assert "peers/twice.toml:exit: exit is behind the relay hub, which does not use that exit" in done.stderr
    assert 'exit = "exit" in peers/hub.toml as well, or via = "exit" here' in done.stderr
