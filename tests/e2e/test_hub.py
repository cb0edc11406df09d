"""A phone that knows one hub, which moves from machine to machine: the phone's config stays as it was scanned."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab, reachability
from lab.mesh import WORK, Mesh, dump, now, now_json, status
from lab.node import Node
from lab.ping import first_answer
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

PHONE, HOME, LAN = "10.0.0.31", "10.0.0.21", "192.168.7.10"


class World:
    """home, which is the gateway of a LAN; hub, whose key is on the machines rack-a and rack-b; and a phone.

    Names are looked up by the phone when its tunnel is switched on, as phones do.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab, self.mesh = lab, Mesh(lab)
        site = lab.site("home", "192.168.7.0/24", "203.0.113.21")
        lab.dns.set("home.example", "203.0.113.21")
        self.home = self.mesh.enlist(
            "home", site.gateway, address=HOME, endpoint="home.example:51820", subnets=["192.168.7.0/24"]
        )  # fmt: skip
        self.mesh.configure(self.home, gateway={})
        a = self.mesh.node("hub", 11, endpoint="hub.example:51820", machine="rack-a")
        b = lab.node("rack-b", "203.0.113.12", "2001:db8::12")
        self.racks = {"rack-a": (a, "203.0.113.11"), "rack-b": (b, "203.0.113.12")}
        for name, (machine, _) in self.racks.items():
            key = machine.path("/etc/mesh-sync/private.key")
            key.touch(mode=0o600)
            key.write_text(a.path("/etc/mesh-sync/private.key").read_text())
            self.mesh.configure(machine, name="hub", machine=name)
        self.phone = lab.node("phone", "203.0.113.31", "2001:db8::31")
        private = keys.generate()
        lab.operator.path(f"{WORK}/../phone.key").write_text(private + "\n")
        lab.operator.path(f"{WORK}/../phone.key").chmod(0o600)
        self.mesh.set("phone", public_key=keys.public_key(private), addresses=[PHONE], managed=False, via="hub")
        self.is_on("rack-a")
        self.scanned = self.exported()
        file = self.phone.path("/etc/wireguard/wg0.conf")
        file.touch(mode=0o600)
        file.write_text(self.scanned)

    def exported(self) -> str:
        command = ["mesh-sync", "export", "phone", "--private-key-file", f"{WORK}/../phone.key", "-C", WORK]
        return self.lab.operator.run(command).stdout

    def is_on(self, machine: str, *without: Node) -> None:
        """Say in the list that the hub is on this machine now, and have its name lead there."""
        self.mesh.set("hub", machine=machine)
        self.mesh.push(f"the hub is on {machine}")
        self.lab.dns.set("hub.example", self.racks[machine][1])
        for node in (self.home, *(node for node, _ in self.racks.values())):
            if node not in without:
                now(node)

    def switch_on(self) -> None:
        """Switch the phone's tunnel off and on again."""
        if self.phone.run(["wg", "show", "wg0"], check=False).returncode == 0:
            self.phone.run(["wg-quick", "down", "wg0"])
        self.phone.run(["wg-quick", "up", "wg0"])

    def reaches_all(self) -> None:
        for address in ("10.0.0.11", HOME, LAN):
            first_answer(self.phone, address, seconds=60)
        first_answer(self.home, PHONE, seconds=60)

    def rack(self, name: str) -> Node:
        return self.racks[name][0]


@pytest.fixture
def world() -> Iterator[World]:
    with Lab() as lab:
        yield World(lab)


def peers(node: Node) -> set[str]:
    return set(dump(node)) - {""}


def test_the_hub_moves_and_the_phone_keeps_what_it_scanned(world: World) -> None:
    world.switch_on()
    world.reaches_all()
    assert peers(world.rack("rack-b")) == set()

    world.is_on("rack-b")
    assert world.exported() == world.scanned
    assert peers(world.rack("rack-a")) == set()
    world.switch_on()
    world.reaches_all()
    for node in (*(node for node, _ in world.racks.values()), world.home):
        assert status(node)["drift"] == []
        assert now_json(node)["result"] == "in-sync"


def test_a_machine_that_stands_by_says_so_and_stays_silent_after_it_was_restarted(world: World) -> None:
    b = world.rack("rack-b")
    assert "the list has hub on the machine rack-a" in now(b).stdout
    assert "the list has hub on the machine rack-a" in b.run(["mesh-sync", "status"]).stdout
    for command in ("down", "up"):
        b.run(["mesh-sync", command])
    assert peers(b) == set()
    assert "10.0.0.11" not in b.run(["ip", "address"]).stdout


def test_a_hub_that_died_is_replaced_and_its_machine_stands_by_when_it_is_back(world: World) -> None:
    world.switch_on()
    world.reaches_all()
    a = world.rack("rack-a")
    a.ip("link set eth0 down")
    world.is_on("rack-b", a)
    world.switch_on()
    world.reaches_all()

    a.ip("link set eth0 up")
    now(a)
    assert peers(a) == set()
    assert not reachability([(a, HOME)])["hub", HOME]
    world.reaches_all()
