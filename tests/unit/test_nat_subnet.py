"""`nat_subnet`: what the mesh sees instead of a network behind a peer, and what that peer does about it."""

from __future__ import annotations

import json

import pytest

from mesh_sync.diagnose.forward import translation_troubles
from mesh_sync.mesh import edit_toml, manifest
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.mesh.render import Renderer
from mesh_sync.node.config import Gateway, Node, Repository, Trust
from mesh_sync.node.desired import with_settings
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.table import table
from mesh_sync.wireguard.desired import Desired
from mesh_sync.workspace.graph import graph
from unit.bad_list import GOOD, MOMENT, Files, findings, peer

LAN = '["192.168.1.0/24"]'
SITES: Files = {
    **GOOD,
    "peers/a.toml": peer(1, subnets=LAN, nat_subnet='"10.1.1.0/24"'),
    "peers/b.toml": peer(2, subnets=LAN, nat_subnet='["10.1.2.0/24"]'),
    "peers/c.toml": peer(3),
}
NODE = Node(name="a", repository=Repository(urls=("x",)), trust=Trust(mode="none"))


def desired(name: str, files: Files = SITES) -> Desired:
    texts = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    mesh, found = manifest.read(texts)
    assert mesh
    assert not found
    return Renderer(mesh, MOMENT).desired(name)


def rules(made: Desired, gateway: Gateway | None = Gateway()) -> set[str]:  # noqa: B008 -- a frozen value
    node = Node(name="a", repository=NODE.repository, trust=NODE.trust, gateway=gateway)
    return {rule for rule in with_settings(made, node).firewall if "nat " in rule}


def test_two_sites_with_the_same_lan_are_no_error_once_both_are_seen_as_another() -> None:
    assert findings(SITES) == []


def test_others_route_only_what_the_mesh_sees() -> None:
    made = desired("c")
    assert made.routes == {"10.0.0.0/24", "10.1.1.0/24", "10.1.2.0/24"}
    assert [sorted(one.allowed_ips) for one in made.peers] == [
        ["10.0.0.1/32", "10.1.1.0/24"],
        ["10.0.0.2/32", "10.1.2.0/24"],
    ]
    assert not made.translated
    assert desired("a").routes == {"10.0.0.0/24", "10.1.2.0/24"}


def test_a_gateway_translates_both_ways_address_by_address() -> None:
    assert rules(desired("a")) == {
        'destination iifname "wg0" ip daddr 10.1.1.0/24 dnat ip prefix to 192.168.1.0/24',
        'postrouting oifname "wg0" ip saddr 192.168.1.0/24 snat ip prefix to 10.1.1.0/24',
    }
    made = with_settings(desired("a"), Node(name="a", repository=NODE.repository, trust=NODE.trust, gateway=Gateway()))
    assert made.passages == {"in 192.168.1.0/24", "out 192.168.1.0/24"}


def test_single_addresses_and_ipv6_are_written_as_nft_prints_them() -> None:
    listed = peer(
        1,
        subnets='["192.168.1.7/32", "fd00:1::/64", "fd00:9::1/128", "10.9.0.0/16"]',
        nat_subnet='["10.1.1.7/32", "fd00:a::/64", "fd00:b::1/128", "10.9.0.0/16"]',
    )
    files = {**GOOD, "peers/a.toml": listed}
    assert findings(files) == []
    assert rules(desired("a", files)) == {
        'destination iifname "wg0" ip daddr 10.1.1.7 dnat ip to 192.168.1.7',
        'postrouting oifname "wg0" ip saddr 192.168.1.7 snat ip to 10.1.1.7',
        'destination iifname "wg0" ip6 daddr fd00:a::/64 dnat ip6 prefix to fd00:1::/64',
        'postrouting oifname "wg0" ip6 saddr fd00:1::/64 snat ip6 prefix to fd00:a::/64',
        'destination iifname "wg0" ip6 daddr fd00:b::1 dnat ip6 to fd00:9::1',
        'postrouting oifname "wg0" ip6 saddr fd00:9::1 snat ip6 to fd00:b::1',
    }
    assert desired("b", files).routes >= {"10.9.0.0/16", "fd00:a::/64", "10.1.1.7/32"}


def test_a_node_that_is_no_gateway_translates_nothing_and_is_told_so() -> None:
    assert rules(desired("a"), gateway=None) == set()
    [trouble] = translation_troubles(desired("a"), routes=False)
    assert trouble.code == "not-translated"
    assert "192.168.1.0/24 as 10.1.1.0/24" in trouble.text
    assert not list(translation_troubles(desired("a"), routes=True))
    assert not list(translation_troubles(desired("c"), routes=False))


def test_what_is_translated_is_kept_with_the_state() -> None:
    made = desired("a")
    assert table(Desired)(json.loads(as_json(made))) == made


def test_people_are_shown_what_the_mesh_sees_and_what_is_behind_it() -> None:
    mesh, _ = manifest.read({path: str(text).encode() for path, text in SITES.items()})
    assert mesh
    view = PeerView(mesh, MOMENT)
    assert [row[3] for row in view.rows()] == ["subnets", "10.1.1.0/24", "10.1.2.0/24", "-"]
    [one] = (node for node in graph(view).nodes if node.name == "a")
    assert one.lines[-2:] == ("network 10.1.1.0/24", "10.1.1.0/24 is 192.168.1.0/24 there")
    assert view.declared(mesh.peers["a"])["nat_subnet"] == ["10.1.1.0/24"]


def test_an_edit_writes_one_network_as_text() -> None:
    assert edit_toml.made({"nat_subnet": ["10.1.1.0/24"]}) == 'nat_subnet = "10.1.1.0/24"\n'
    assert "[" in edit_toml.made({"nat_subnet": ["10.1.1.0/24", "10.1.2.0/24"]})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"peers/b.toml": peer(2, subnets=LAN)},
            "a.toml:nat_subnet: warning: hosts in 192.168.1.0/24 here and in b's 192.168.1.0/24 do not reach each other"
            "; a nat_subnet of b as well mends that",
        ),
        (
            {"peers/b.toml": peer(2, subnets='["192.168.1.64/26"]')},
            "a.toml:nat_subnet: warning: "
            "hosts in 192.168.1.0/24 here and in b's 192.168.1.64/26 do not reach each other",
        ),
        (
            {"peers/b.toml": peer(2, subnets='["192.168.0.0/16"]')},
            "a.toml:nat_subnet: warning: "
            "hosts in 192.168.1.0/24 here and in b's 192.168.0.0/16 do not reach each other",
        ),
        (
            {"peers/b.toml": peer(2, subnets=LAN, nat_subnet='"10.1.2.0/24"', managed="false")},
            "b.toml:nat_subnet: warning: mesh-sync does not translate on an unmanaged peer: it has to do so itself",
        ),
    ],
    ids=["the other is not translated", "a part of it", "what is around it", "unmanaged"],
)
def test_what_does_not_work_as_it_looks_is_a_warning(changed: Files, said: str) -> None:
    assert findings({**SITES, **changed}) == [f"peers/{said}"]
