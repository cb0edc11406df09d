"""What the ways to the peers leave for the interface; the kernel is asked in tests/e2e/test_mtu.py."""

from __future__ import annotations

import pytest

from mesh_sync.wireguard.mtu import fitting


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
