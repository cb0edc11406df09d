"""Exits: what is one, who uses it, what each node gets of it, and what `check` says."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner

from mesh_sync.check.examine import examine
from mesh_sync.cli.main import cli
from mesh_sync.mesh.differing import Differing
from mesh_sync.mesh.exits import default_route
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.node.desired import with_exit
from mesh_sync.repository.hosts import hosts
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.workspace import preview
from unit.bad_list import GOOD, MESH, Files, findings, peer

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
BOTH = '["0.0.0.0/0", "::/0"]'
NODE = Node(name="a", repository=Repository(urls=("x",)), trust=Trust(mode="none"))


def networks(*texts: str) -> list[Network]:
    return [ipaddress.ip_network(text) for text in texts]


def all_but(*holes: str) -> list[Network]:
    """What a calculator of allowed IPs makes of "everything but these"."""
    parts = networks("0.0.0.0/0")
    for hole in networks(*holes):
        inside = [part for part in parts if hole.subnet_of(part)]  # type: ignore[arg-type]
        parts = [part for part in parts if part not in inside]
        parts += [left for part in inside for left in part.address_exclude(hole)]  # type: ignore[arg-type]
    return parts


def rendered(files: Files) -> Renderer:
    mesh, found = examine(Tree({path: str(text).encode() for path, text in files.items()}), MOMENT)
    assert mesh, found
    return Renderer(mesh, MOMENT)


def exits(files: Files) -> dict[str, str | None]:
    made = rendered(files)
    return {name: made.topology.exit_of(name) for name in made.names}


def carried(desired: Desired) -> dict[str, bool]:
    """Of each peer of a node, whether it is given the default route."""
    return {peer.name: "0.0.0.0/0" in peer.allowed_ips for peer in desired.peers}


# -- what is an exit

PIECES = {
    "whole": networks("0.0.0.0/0"),
    "halves": networks("0.0.0.0/1", "128.0.0.0/1"),
    "one half": networks("128.0.0.0/1"),
    "everything but private networks": all_but("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "everything but a LAN and the endpoint": all_but("192.168.1.0/24", "203.0.113.9/32"),
    "IPv6": networks("::/0"),
    "IPv6 in halves": networks("::/1", "8000::/1"),
    "all that is assigned of IPv6": networks("2000::/3"),
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
def test_a_default_route_is_known_whole_and_in_pieces(pieces: list[Network]) -> None:
    assert set(default_route(pieces)) == set(pieces)


@pytest.mark.parametrize(
    "texts",
    [("10.0.0.0/8",), ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"), ("198.51.0.0/16",),
     ("fd00::/8",), ("2001:db8::/32",), ("224.0.0.0/3",), ()],
)  # fmt: skip
def test_the_networks_of_an_organisation_are_none(texts: tuple[str, ...]) -> None:
    assert list(default_route(networks(*texts))) == []


def test_networks_that_are_named_beside_an_exit_are_everybodys() -> None:
    behind = networks("192.168.20.0/24", "198.51.100.0/24", "10.1.0.0/16")
    for pieces in (networks("0.0.0.0/0"), all_but("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")):
        assert set(default_route([*pieces, *behind])) == set(pieces)


# -- who uses it, and what each node gets


def test_an_exit_that_is_offered_is_used_by_nobody_who_does_not_ask() -> None:
    files = {**GOOD, "peers/a.toml": peer(1, subnets=BOTH), "peers/c.toml": peer(3, exit='"a"')}
    assert exits(files) == {"a": None, "b": None, "c": "a"}
    made = rendered(files)
    assert {name: (carried(made.desired(name)), made.desired(name).exit_routes) for name in "bc"} == {
        "b": ({"a": False, "c": False}, frozenset()),
        "c": ({"a": True, "b": False}, {"0.0.0.0/0", "::/0"}),
    }


def test_the_meshs_exit_is_for_all_that_neither_decline_nor_choose_nor_offer_one() -> None:
    files = {
        "mesh.toml": MESH + 'exit = "a"\n',
        "peers/a.toml": peer(1, subnets=BOTH), "peers/b.toml": peer(2), "peers/c.toml": peer(3, exit='"none"'),
        "peers/d.toml": peer(4, exit='"e"'), "peers/e.toml": peer(5, subnets='["0.0.0.0/1", "128.0.0.0/1"]'),
    }  # fmt: skip
    assert exits(files) == {"a": None, "b": "a", "c": None, "d": "e", "e": None}
    made = rendered(files).desired("d")
    assert made.exit_routes == {"0.0.0.0/1", "128.0.0.0/1"}
    assert not carried(made)["a"], "another exit's networks are nothing to this node"


def test_a_peer_behind_a_relay_leaves_by_it_and_beyond_it() -> None:
    hub = peer(1, subnets=BOTH)
    phone = peer(3, via='"a"', exit='"a"', managed="false", endpoint=None)
    made = rendered({**GOOD, "peers/a.toml": hub, "peers/phone.toml": phone})
    assert carried(made.desired("phone")) == {"a": True}
    assert not any(carried(made.desired("b")).values())
    beyond = {
        "peers/a.toml": peer(1, exit='"b"'), "peers/b.toml": peer(2, subnets=BOTH),
        "peers/phone.toml": peer(3, via='"a"', exit='"b"', endpoint=None),
    }  # fmt: skip
    made = rendered({**GOOD, **beyond})
    assert carried(made.desired("phone")) == {"a": True}
    assert carried(made.desired("a")) == {"b": True, "phone": False}
    assert findings({**GOOD, **beyond}) == []


def test_a_machine_declines_what_the_list_says() -> None:
    made = rendered({**GOOD, "peers/a.toml": peer(1, exit='"b"'), "peers/b.toml": peer(2, subnets=BOTH)}).desired("a")
    assert with_exit(made, NODE) == made
    declined = with_exit(made, evolve(NODE, accept_exit=False))
    assert (declined.fwmark, declined.exit_routes, carried(declined)) == (0, frozenset(), {"b": False})
    assert declined.routes == made.routes


def test_what_is_expected_is_seen_as_the_source_sees_it() -> None:
    expect = '[[expect]]\nfrom = "b"\nto = "9.9.9.9"\n'
    files = {"mesh.toml": MESH + expect, "peers/a.toml": peer(1, subnets=BOTH), "peers/b.toml": peer(2, exit='"a"')}
    assert findings(files) == []
    [*_, unused] = findings({**files, "peers/b.toml": peer(2)})
    assert "b does not reach 9.9.9.9: no peer has 9.9.9.9" in findings({**files, "peers/b.toml": peer(2)})[0]
    assert "no peer uses" in unused


# -- what `check` and `plan` say

A_USER = {"peers/b.toml": peer(2, exit='"a"')}
SAID: dict[str, tuple[Files, str]] = {
    "an exit that no peer uses": (
        {"peers/a.toml": peer(1, subnets=BOTH)},
        "peers/a.toml:subnets: warning: is offered as an exit (0.0.0.0/0, ::/0) that no peer uses: "
        'exit = "a" in a peer\'s file, or in mesh.toml for all',
    ),
    "one IP version": (
        {**A_USER, "peers/a.toml": peer(1, subnets='["0.0.0.0/0"]')},
        "peers/a.toml:subnets: warning: offer an exit without IPv6: what b sends by IPv6 does not leave by it",
    ),
    "an exit that is disabled": (
        {**A_USER, "peers/a.toml": peer(1, subnets=BOTH, enabled="false")},
        "peers/b.toml:exit: warning: a is disabled or expired: "
        "what should leave by it leaves by each peer's own network",
    ),
    "an exit that has an exit": (
        {**A_USER, "peers/a.toml": peer(1, subnets=BOTH, exit='"c"'), "peers/c.toml": peer(3, subnets=BOTH)},
        "peers/a.toml:exit: is c, while a is an exit of others (b): what they send would not return",
    ),
    "a relay that does not use it": (
        {"peers/a.toml": peer(1, subnets=BOTH), "peers/c.toml": peer(3, via='"b"', exit='"a"')},
        "peers/c.toml:exit: a is behind the relay b, which does not use that exit and would not pass it on: "
        'say exit = "a" in peers/b.toml as well, or via = "a" here',
    ),
    "a peer called none": (
        {"peers/none.toml": peer(3)},
        'peers/none.toml:: no peer can be called "none": as an exit, it means that there is none',
    ),
}


@pytest.mark.parametrize(("files", "line"), SAID.values(), ids=SAID)
def test_check_says(files: Files, line: str) -> None:
    assert findings({**GOOD, **files}) == [line]


def test_an_endpoint_in_a_network_behind_a_peer_is_a_warning_and_one_behind_an_exit_is_none() -> None:
    [said] = findings({**GOOD, "peers/a.toml": peer(1, subnets='["203.0.113.0/29"]', endpoint=None)})
    assert "warning: 203.0.113.2:51820 lies in a's subnet 203.0.113.0/29" in said
    assert findings({**GOOD, **A_USER, "peers/a.toml": peer(1, subnets=BOTH)}) == []


def test_plan_says_who_will_leave_by_which_exit() -> None:
    offered = {**GOOD, "peers/a.toml": peer(1, subnets=BOTH)}
    used = {**offered, **A_USER}
    before, after = rendered(offered), rendered(used)
    there, back = Differing(before, after), Differing(after, before)
    assert not [change for change in preview.changes_of("a", there) if change.kind == "exit"]
    came, went = preview.changes_of("b", there)[0], preview.changes_of("b", back)[0]
    assert (came.kind, came.peer, came.text) == ("exit", "a", "all that has no other route leaves by the exit a")
    assert (went.kind, went.text) == ("exit", "no longer leaves by an exit (before: a)")


def test_plan_says_nothing_of_an_exit_that_stays() -> None:
    used = {**GOOD, "peers/a.toml": peer(1, subnets=BOTH), **A_USER}
    more = {**used, "peers/c.toml": peer(3)}
    changes = preview.changes_of("b", Differing(rendered(used), rendered(more)))
    assert [change.kind for change in changes] == ["peer-added"]


def test_the_hosts_of_remotes_are_known_whatever_the_address_looks_like() -> None:
    urls = (
        "git://git.example.org/mesh.git", "ssh://git@ssh.example.org:2222/mesh", "git@scp.example.org:mesh.git",
        "https://user:word@[2001:db8::1]:8443/mesh", "/srv/mesh.git", "file:///srv/mesh.git",
    )  # fmt: skip
    assert hosts(urls) == ["git.example.org", "ssh.example.org", "scp.example.org", "2001:db8::1"]


def test_check_and_show_say_who_leaves_by_which_exit(tmp_path: Path) -> None:
    for path, text in {**GOOD, **A_USER, "peers/a.toml": peer(1, subnets=BOTH)}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(str(text))
    run = CliRunner().invoke
    assert "1 peer will leave by the exit a: b\n" in run(cli, ["check", str(tmp_path)]).stderr
    assert "leaves by:            a\n" in run(cli, ["peer", "show", "b", "-C", str(tmp_path)]).stdout
    assert "exit of:              b\n" in run(cli, ["peer", "show", "a", "-C", str(tmp_path)]).stdout
