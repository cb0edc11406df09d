"""Routes that cover what has to stay outside the tunnel are treated like a default route."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.wireguard.covering import candidates, covered, is_private, lies_in, may_cover, set_apart
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import longest_outside

PUBLIC, LAN, OFFICE = "203.0.113.0/24", "192.168.20.0/24", "10.5.0.0/16"
HERE = Desired(
    "lab", "a", "own", 51820, 1420, frozenset({"10.0.0.1/32"}),
    routes=frozenset({"10.0.0.0/24", "fd00::/64", PUBLIC, LAN, OFFICE}),
    peers=(DesiredPeer("b", "B", ("10.0.0.2", "fd00::2"), frozenset({"10.0.0.2/32", PUBLIC, LAN, OFFICE})),),
    exit_routes=frozenset({"::/0"}),
)  # fmt: skip


def test_the_meshs_own_networks_never_count() -> None:
    assert candidates(HERE) == {PUBLIC, LAN, OFFICE}


@pytest.mark.parametrize(
    ("address", "outside", "apart"),
    [
        ("203.0.113.5", 0, {PUBLIC}),  # a default route leads to it: ours would be longer
        ("203.0.113.5", 16, {PUBLIC}),
        ("203.0.113.5", 24, set()),  # this machine is in that network: its own route stays first
        ("203.0.113.5", None, set()),  # nothing leads to it but the tunnel
        ("192.168.20.1", 0, set()),  # a nameserver behind the peer: a default route leads to no private network
        ("10.5.0.53", 8, {OFFICE}),  # the company's own network is larger than what is behind the peer
        ("10.0.0.2", 0, set()),
        ("198.51.100.7", 0, set()),
    ],
)
def test_what_covers_an_address_that_is_reached_outside_is_set_apart(
    address: str, outside: int | None, apart: set[str]
) -> None:
    over = covered(candidates(HERE), [address])
    found = set_apart(HERE, (), over, {address: outside})
    assert found.covering == apart
    assert found.routes == HERE.routes - apart
    assert found.exit_routes == apart | {"::/0"}
    assert found.exits == {"::/0"}


def test_it_stays_apart_while_the_list_has_it_and_comes_back_with_nothing_else() -> None:
    apart = set_apart(HERE, (), covered(candidates(HERE), ["203.0.113.5"]), {"203.0.113.5": 0})
    assert set_apart(apart, apart.covering, {}, {}) == apart
    assert set_apart(HERE, apart.covering, {}, {}) == apart
    assert set_apart(apart, (), {}, {}) == HERE


def test_networks_and_addresses_of_both_versions() -> None:
    assert lies_in("2001:db8::1", "2001:db8::/32")
    assert not lies_in("2001:db8::1", "0.0.0.0/0")
    assert lies_in("203.0.113.9", "0.0.0.0/0")
    assert [is_private(one) for one in ("10.0.0.0/8", "10.0.0.0/7", "fd00::/64", "2001:db8::/32", "0.0.0.0/0")] == [
        True, False, True, False, False,
    ]  # fmt: skip


some_addresses = st.sampled_from(
    (
        "10.0.0.0", "10.5.0.0", "172.16.0.0", "172.32.0.0", "192.168.0.0", "192.169.0.0", "203.0.113.0",
        "100.127.0.0", "fc00::", "fdff::", "2001:db8::",
    )
)  # fmt: skip
some_networks = st.builds(
    lambda address, length: str(ip_network(f"{address}/{length}", strict=False)),
    some_addresses,
    st.integers(0, 32),
)


@given(st.frozensets(some_networks), st.frozensets(some_addresses))
def test_most_nodes_are_told_at_once_that_nothing_is_covered(routes: frozenset[str], addresses: frozenset[str]) -> None:
    asked = not all(map(is_private, routes)) or bool(covered(routes, addresses))
    assert may_cover(routes, addresses) == asked


def test_the_longest_way_outside_is_read_from_what_ip_shows() -> None:
    shown = json.loads((Path(__file__).parent / "data/ip-route-match.json").read_text())
    assert longest_outside(shown, "wg0") == 0
    assert longest_outside(shown, "eth0") == 24
    assert longest_outside([], "wg0") is None
