"""What the guard stops, by comparing two meshes."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from attrs import evolve

from mesh_sync.mesh.model import Mesh, Peer, PublicKey
from mesh_sync.mesh.render import Renderer
from mesh_sync.trust.guard import Standing, remembered, standing, trips
from mesh_sync.wireguard.endpoint import Endpoint

MOMENT = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = "abcdefgh"


def key(number: int) -> PublicKey:
    return PublicKey(base64.b64encode(bytes([number]) * 32).decode())


def mesh(names: Iterable[str] = NAMES, **changes: dict[str, Any]) -> Mesh:
    """Peers with an endpoint each, with other values for some of them."""
    peers = {
        name: evolve(
            Peer(
                name=name, public_key=key(ord(name)), addresses=(ip_address(f"10.0.0.{ord(name)}"),),
                endpoint=(Endpoint(f"{name}.example", 51820),),
            ),
            **changes.get(name, {}),
        )
        for name in names
    }  # fmt: skip
    return Mesh(format=1, name="lab", networks=(ip_network("10.0.0.0/24"),), peers=peers)


def tripped(before: Mesh, after: Mesh, most: int = 3) -> list[str]:
    found = trips(standing(before, "a", MOMENT), standing(after, "a", MOMENT), most)
    return [trip.what for trip in found]


def called(names: dict[str, str], **changes: dict[str, Any]) -> Mesh:
    """The mesh with other names for some of its peers, whose ``changes`` are under the new name."""
    peers = [evolve(peer, name=names.get(name, name)) for name, peer in mesh().peers.items()]
    return evolve(mesh(), peers={peer.name: evolve(peer, **changes.get(peer.name, {})) for peer in peers})


def followed(before: Mesh, after: Mesh, most: int = 3) -> list[str]:
    """The same for the node a, whatever it is called afterwards."""
    was = standing(before, "a", MOMENT)
    return [trip.what for trip in trips(was, standing(after, "a", MOMENT, was.own_keys), most)]


def test_a_rename_is_no_removal() -> None:
    assert followed(mesh(), called({name: f"{name}{name}" for name in NAMES})) == []
    assert followed(mesh(), called({name: f"{name}{name}" for name in "bcdefgh"}), 0) == []
    assert remembered(Renderer(mesh(), MOMENT).desired("a")).own_keys == {key(ord("a"))}


def test_what_is_done_to_renamed_peers_is_seen() -> None:
    elsewhere = {"endpoint": (Endpoint("elsewhere.example", 1),)}
    assert followed(mesh(), called({"a": "z"}, z={"enabled": False})) == ["remove a"]
    assert followed(mesh(), called({"a": "z"}, z={"public_key": key(1)})) == ["remove a"]
    assert followed(mesh("abc"), called({"b": "z"}, **dict.fromkeys("zcdefgh", elsewhere))) == ["all-endpoints"]
    assert followed(mesh(), called({"b": "z", "c": "y"}, z={"enabled": False}, y={"public_key": key(1)}), 1) == [
        "removed-peers"
    ]


def test_names_that_are_given_to_other_keys_are_no_rename() -> None:
    assert followed(mesh(), called({"a": "b", "b": "a"})) == ["re-key a"]
    assert followed(mesh(), called({"b": "a", "a": "z"})) == ["re-key a"]


moved = {"endpoint": (Endpoint("elsewhere.example", 1),)}
off = {"enabled": False}
hidden: dict[str, Any] = {"endpoint": ()}


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (mesh(), []),
        (mesh("abcdefghijklmnop"), []),
        (mesh("abcde"), []),
        (mesh("abcd"), ["removed-peers"]),
        (mesh(e=off, f=off, g=off, h=off), ["removed-peers"]),
        (mesh(e={"expires": date(2020, 1, 1)}, f=off, g=off, h=off), ["removed-peers"]),
        (mesh("abcde", e={"via": "d"}), []),
        (mesh("a"), ["removed-peers", "empty-list"]),
        (mesh(""), ["removed-peers", "empty-list", "remove a"]),
        (mesh("bcdefgh"), ["remove a"]),
        (mesh(a=off), ["remove a"]),
        (mesh(a={"expires": date(2020, 1, 1)}), ["remove a"]),
        (mesh(a={"via": "b"}, b=off), ["remove a"]),
        (mesh(a={"public_key": key(9)}), ["re-key a"]),
        (mesh(b={"public_key": key(9)}), []),
        (mesh(**dict.fromkeys("bcdefgh", moved)), ["all-endpoints"]),
        (mesh(**dict.fromkeys("bcdefg", moved)), []),
        (mesh("abc", b=moved, c=moved), ["removed-peers", "all-endpoints"]),
        (mesh(**dict.fromkeys("bcdefgh", hidden)), ["all-endpoints"]),
        (mesh(a=moved), []),
    ],
)
def test_what_has_to_be_meant(after: Mesh, what: list[str]) -> None:
    assert tripped(mesh(), after) == what


def test_the_limit_is_the_meshs_own() -> None:
    assert tripped(mesh(), mesh("abcdefg"), most=0) == ["removed-peers"]
    assert tripped(mesh(), mesh("ah"), most=6) == []


def test_peers_whose_time_is_over_do_not_count_as_removed() -> None:
    over = {"expires": date(2026, 5, 31)}
    assert tripped(mesh(d=over, e=over, f=over, g=over, h=over), mesh("abc")) == []


def test_an_announced_key_needs_no_trailer() -> None:
    announced = mesh(a={"next_public_key": key(9)})
    assert tripped(announced, mesh(a={"public_key": key(9)})) == []
    assert tripped(announced, mesh(a={"public_key": key(8)})) == ["re-key a"]


def test_one_peer_that_moves_is_not_all_of_them() -> None:
    assert tripped(mesh("ab"), mesh("ab", b=moved)) == []
    assert tripped(mesh("abc", c={"endpoint": ()}), mesh("abc", b=moved, c={"endpoint": ()})) == []


def test_what_is_remembered_of_an_interface_does_as_well() -> None:
    before = remembered(Renderer(mesh(), MOMENT).desired("a"))
    assert before == standing(mesh(a={"endpoint": ()}), "a", MOMENT)
    assert [trip.what for trip in trips(before, standing(mesh("ab"), "a", MOMENT), 3)] == ["removed-peers"]


def test_the_sentences_name_names() -> None:
    [trip] = trips(standing(mesh(), "a", MOMENT), standing(mesh("ab"), "a", MOMENT), 3)
    assert trip.does == "removes 6 of 7 peers (c, d, e, f, g and 1 more), more than max_removed_peers = 3"


def test_nothing_is_lost_from_nothing() -> None:
    assert not list(trips(Standing(), standing(mesh(), "a", MOMENT), 0))
