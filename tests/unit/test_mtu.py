"""What the ways to the peers leave for the interface; the kernel is asked in tests/e2e/test_mtu.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_sync.node.interface_mtu import PathMtu, interface_mtu, save
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.mtu import fitting
from unit.believed import applied_node


@pytest.mark.parametrize(
    ("mtus", "ipv6", "fits"),
    [
        ([1500], True, 1420),
        ([1500, 1492, 9000], True, 1412),
        ([1300], True, 1280),
        ([1300], False, 1220),
        ([600], False, 576),
        ([], True, 0),
    ],
)
def test_the_smallest_way_counts_and_ipv6_keeps_what_it_needs(mtus: list[int], ipv6: bool, fits: int) -> None:
    assert fitting(mtus, ipv6=ipv6) == fits


@pytest.mark.parametrize(("address", "least"), [("fd00::1/128", 1280), ("10.0.1.1/32", 576)])
def test_a_peer_that_answers_small_packets_only_ends_no_ipv6(tmp_path: Path, address: str, least: int) -> None:
    """It is asked by IPv4, and for its sake alone the kernel would take the interface's IPv6 addresses away."""
    node, where = applied_node(tmp_path), "203.0.113.2:51820"
    desired = Desired("lab", "a", "me", 51820, 0, frozenset({"10.0.0.1/32", address}), frozenset(), ())
    live = Live(mtu=1420, fits=1420, peers={"b": LivePeer("b", frozenset(), where)})
    save(node.path_mtu_file, {"b": PathMtu(where, 576)})
    assert interface_mtu(node, desired, live) == least
    save(node.path_mtu_file, {"b": PathMtu(where, 1380)})
    assert interface_mtu(node, desired, live) == 1380


def test_a_path_is_as_narrow_under_the_next_key_of_its_peer(tmp_path: Path) -> None:
    node, where = applied_node(tmp_path), "203.0.113.2:51820"
    desired = Desired("lab", "a", "me", 51820, 0, frozenset({"10.0.0.1/32"}), frozenset(), ())
    save(node.path_mtu_file, {"old": PathMtu(where, 1380)})
    live = Live(mtu=1420, fits=1420, peers={"new": LivePeer("new", frozenset(), where)})
    assert interface_mtu(node, desired, live) == 1380
    assert interface_mtu(node, desired, Live(mtu=1420, fits=1420, peers={"c": LivePeer("c", frozenset())})) == 1420
