"""Two gateways of one network: what the list may say, who sees what, and who has the network on an interface."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from mesh_sync.check.examine import examine
from mesh_sync.mesh import manifest
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.table import table
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.gateways import held
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.placement import placed
from mesh_sync.workspace.graph import graph
from unit.bad_list import GOOD, MESH, MOMENT, Files, findings, peer

LAN = "192.168.1.0/24"
NET = f'["{LAN}"]'
NOW = 1_000_000.0
TWO: Files = {
    **GOOD,
    "peers/a.toml": peer(1, subnets=NET, priority="10"),
    "peers/b.toml": peer(2, subnets=NET, priority="20"),
    "peers/c.toml": peer(3),
}


def rendered(files: Files = TWO) -> Renderer:
    mesh, found = examine(Tree({path: str(text).encode() for path, text in files.items()}), MOMENT)
    assert mesh
    assert not found
    return Renderer(mesh, MOMENT)


def holders(desired: Desired) -> list[str]:
    return [one.name for one in desired.peers if LAN in one.allowed_ips]


# -- the list


def test_two_peers_may_name_the_same_network_when_both_have_a_priority() -> None:
    assert findings(TWO) == []
    [said] = findings({**TWO, "peers/b.toml": peer(2, subnets=NET)})
    assert said.startswith(f"peers/b.toml:subnets[0]: {LAN} overlaps a's {LAN}; ")
    assert said.endswith("two gateways of one network a `priority` each")


SEEN = {"subnets": NET, "nat_subnet": '"10.1.1.0/24"'}
WRONG: dict[str, tuple[Files, list[str]]] = {
    "one priority": (
        {"peers/b.toml": peer(2, subnets=NET, priority="10")},
        [f"b.toml:priority: is also that of a, which leads to {LAN} as well: which of them comes first?"],
    ),
    "behind a relay": (
        {"peers/b.toml": peer(2, subnets=NET, priority="20", via='"c"')},
        [f"b.toml:via: b shares {LAN} with a, and only c would see whether it is alive"],
    ),
    "a part of the other's": (
        {"peers/b.toml": peer(2, subnets='["192.168.1.0/25"]', priority="20")},
        [f"b.toml:subnets[0]: 192.168.1.0/25 overlaps a's {LAN}"],
    ),
    "twice": (
        {"peers/b.toml": peer(2, subnets=f'["{LAN}", "{LAN}"]', priority="20")},
        [f"b.toml:subnets[1]: {LAN} overlaps a's {LAN}"],
    ),
    "other networks that are seen as one": (
        {
            "peers/a.toml": peer(1, **SEEN, priority="10"),
            "peers/b.toml": peer(2, **{**SEEN, "subnets": '["192.168.2.0/24"]'}, priority="20"),
        },
        [
            "b.toml:nat_subnet: 10.1.1.0/24 is 192.168.2.0/24 here and 192.168.1.0/24 at a, which leads to it as well",
        ],
    ),
    "no number": (
        {"peers/b.toml": peer(2, subnets=NET, priority="70000")},
        ["b.toml:priority: 70000 is not a priority (0 to 65535)"],
    ),
}


@pytest.mark.parametrize(("files", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_it(files: Files, said: list[str]) -> None:
    found = [line.removeprefix("peers/") for line in findings({**TWO, **files})]
    assert [line.partition("; give two sites")[0] for line in found] == said


def test_both_may_translate_it_alike() -> None:
    files = {**TWO, "peers/a.toml": peer(1, **SEEN, priority="10"), "peers/b.toml": peer(2, **SEEN, priority="20")}
    assert findings(files) == []
    assert dict(rendered(files).desired("c").gateways) == {"10.1.1.0/24": ("b", "a")}


def test_an_expectation_takes_the_first_one_and_none_of_a_gateway_itself() -> None:
    expect = f'[[expect]]\nfrom = "c"\nto = "{LAN}"\n[[expect]]\nfrom = "a"\nto = "192.168.1.10"\n'
    assert findings({**TWO, "mesh.toml": MESH + expect}) == []


# -- who sees what


def test_the_highest_has_it_for_everybody_and_others_are_known() -> None:
    made = rendered().desired("c")
    assert holders(made) == ["b"]
    assert made.gateways == ((LAN, ("b", "a")),)
    assert LAN in made.routes
    assert f"AllowedIPs = 10.0.0.2/32, {LAN}" in conf.text(made)


@pytest.mark.parametrize("name", "ab")
def test_who_is_in_it_sends_nothing_for_it_to_the_other(name: str) -> None:
    made = rendered().desired(name)
    assert holders(made) == []
    assert LAN not in made.routes
    assert made.gateways == ()
    assert made.subnets == {LAN}


def test_a_phone_sends_it_to_its_relay_which_decides() -> None:
    for via, its in (("a", []), ("c", ["b"])):
        files = {**TWO, "peers/p.toml": peer(4, via=f'"{via}"')}
        made = rendered(files).desired("p")
        assert (holders(made), made.gateways) == ([via], ())
        assert LAN in made.routes
        assert holders(rendered(files).desired(via)) == its


def test_one_that_is_off_leaves_it_to_the_other() -> None:
    made = rendered({**TWO, "peers/b.toml": peer(2, subnets=NET, priority="20", enabled="false")}).desired("c")
    assert (holders(made), made.gateways) == (["a"], ())


def test_one_that_expires_while_the_list_cannot_be_read_leaves_it_to_the_other() -> None:
    soon = MOMENT + timedelta(hours=1)
    files = {**TWO, "peers/b.toml": peer(2, subnets=NET, priority="20", expires=f"{soon:%Y-%m-%dT%H:%M:%SZ}")}
    files["peers/d.toml"] = peer(4, subnets=NET, priority="5")
    made = rendered(files).desired("c").without_expired(soon.timestamp() + 1)
    assert (holders(made), made.gateways) == (["a"], ((LAN, ("a", "d")),))
    assert LAN in made.routes


def test_it_is_kept_with_the_state() -> None:
    made = rendered().desired("c")
    assert table(Desired)(json.loads(as_json(made))) == made


def test_people_are_told_who_comes_first() -> None:
    mesh, _ = manifest.read({path: str(text).encode() for path, text in TWO.items()})
    assert mesh
    view = PeerView(mesh, MOMENT)
    assert view.shared == (f"{LAN} is reached by b, while that is silent by a",)
    assert view.effective(mesh.peers["a"])["gateways"] == {LAN: ["b", "a"]}
    lines = {node.name: node.lines for node in graph(view).nodes}
    assert lines["a"][-1] == f"{LAN} while b is silent"
    assert lines["b"][-1] == f"network {LAN}"


# -- who has it on an interface


MADE = evolve(rendered().desired("c"), relays=frozenset({"r"}))
R = DesiredPeer("r", "R", ("10.0.0.9",), frozenset({"10.0.0.9/32"}), direct_only=True)
WITH_RELAY = evolve(MADE, peers=(*MADE.peers, R))


def interface(desired: Desired, **more: Any) -> Live:
    """The interface as `desired` says; ``more``: the allowed IPs of some, by name."""
    peers = (LivePeer(one.public_key, frozenset(more.get(one.name, one.allowed_ips))) for one in desired.peers)
    return Live(peers={one.public_key: one for one in peers})


AT_A = interface(MADE, a=["10.0.0.1/32", LAN], b=["10.0.0.2/32"])


def test_where_it_was_moved_is_right_while_the_list_has_them_in_this_order() -> None:
    assert held(MADE, AT_A, MADE) == {LAN: "a"}
    assert holders(placed(MADE, AT_A, NOW, MADE)) == ["a"]
    assert holders(placed(MADE, interface(MADE), NOW, MADE)) == ["b"]


@pytest.mark.parametrize("former", [((LAN, ("a", "b")),), ((LAN, ("b", "a", "d")),), ()])
def test_another_order_begins_with_its_first(former: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    assert holders(placed(MADE, AT_A, NOW, evolve(MADE, gateways=former))) == ["b"]
    assert holders(placed(MADE, AT_A, NOW, None)) == ["b"]
    assert holders(placed(MADE, None, NOW, MADE)) == ["b"]


def test_a_gateway_that_is_renamed_keeps_what_it_has() -> None:
    peers = (evolve(one, name="z", original_name="a") if one.name == "a" else one for one in MADE.peers)
    renamed = evolve(MADE, peers=tuple(peers), gateways=((LAN, ("b", "z")),))
    assert held(renamed, AT_A, MADE) == {LAN: "z"}


def test_a_peer_that_leads_nowhere_is_never_right() -> None:
    elsewhere = interface(WITH_RELAY, b=["10.0.0.2/32"], r=["10.0.0.9/32", LAN])
    assert holders(placed(WITH_RELAY, elsewhere, NOW, WITH_RELAY)) == ["b"]


def test_a_gateway_that_is_relayed_has_it_at_its_relay() -> None:
    both = interface(WITH_RELAY, a=[], r=["10.0.0.9/32", "10.0.0.1/32", LAN], b=["10.0.0.2/32"])
    assert held(WITH_RELAY, both, WITH_RELAY) == {LAN: "a"}
    assert holders(placed(WITH_RELAY, both, NOW, WITH_RELAY)) == ["r"]
    first = interface(WITH_RELAY, b=[], r=["10.0.0.9/32", "10.0.0.2/32", LAN])
    assert held(WITH_RELAY, first, WITH_RELAY) == {LAN: "b"}
    assert holders(placed(WITH_RELAY, first, NOW, WITH_RELAY)) == ["r"]


def test_each_network_has_one_holder_whatever_the_interface_shows() -> None:
    for one in (AT_A, interface(MADE), interface(MADE, a=[LAN], b=[]), Live()):
        assert len(holders(placed(MADE, one, NOW, MADE))) == 1
