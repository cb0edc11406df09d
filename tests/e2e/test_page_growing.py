"""docs/growing.md: nodes at home, behind a NAT, and with an address of its own get what the page adds."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

import pytest

from e2e.joined_mesh import Signed
from e2e.running_watchdog import endpoint, watching
from lab import Lab, Node
from lab.mesh import WORK, key_of, now
from lab.nat import EASY
from lab.ping import first_answer
from lab.story import Story
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs/growing.md"
LAN_HOST = "192.168.10.10"


def found(node: Node, key: str, where: str) -> bool:
    """Whether the node has the peer there."""
    return endpoint(node, key) == where


def test_each_addition_does_what_the_page_says(lab: Lab) -> None:
    mesh = Signed(lab)
    alice = mesh.operator
    alice.run(["git", "-C", WORK, "remote", "add", "origin", mesh.url])
    site = lab.site("home", "192.168.10.0/24", "203.0.113.32")
    cabin = lab.site("cabin", "192.168.20.0/24", "203.0.113.33", nat=EASY)
    mesh.member("aws", 31)
    mesh.admit(site.gateway, "home", "--endpoint", "203.0.113.32:51820")
    mesh.admit(cabin.gateway, "cabin")
    phone = lab.node("phone", "203.0.113.34")
    alice.run(["git", "-C", WORK, "push", "-q", "-u", "origin", "main"])
    nodes = mesh.nodes
    for node in nodes.values():
        now(node)
    story = Story(PAGE, {"alice": alice, "phone": phone, **nodes})
    with contextlib.ExitStack() as stack:
        dogs = {name: stack.enter_context(watching(node)) for name, node in nodes.items()}
        home = key_of(nodes["home"])

        story.tell("Add a site")

        lab.dns.set("home.example.org", "203.0.113.32")
        story.tell("A name that moves", 2)
        first_answer(nodes["cabin"], LAN_HOST)
        site.router.renumber("203.0.113.132")
        site.router.forget_translations()
        lab.dns.set("home.example.org", "203.0.113.132")
        for name in ("aws", "cabin"):
            until(partial(found, nodes[name], home, "203.0.113.132:51820"), 120, what=dogs[name].said)
            first_answer(nodes[name], LAN_HOST)
        story.tell("A name that moves")

        story.tell("Behind a NAT", 2)
        until(lambda: dogs["cabin"].all_are("up"), 120, what=dogs["cabin"].said)
        until(lambda: dogs["cabin"].written()["nat"] == "easy", 120, what=dogs["cabin"].said)
        until(lambda: dogs["cabin"].peer("home")["endpoint"] == "203.0.113.132:51820", 120, what=dogs["cabin"].said)
        story.tell("Behind a NAT")

        story.tell("Add a phone", 2)
        phone.path("/run/home/phone.conf").touch(mode=0o600)
        phone.path("/run/home/phone.conf").write_text(alice.path("/run/home/phone.conf").read_text())
        story.tell("Add a phone")
        assert "█" in alice.path("/run/home/phone.txt").read_text()
    assert not story.untold
