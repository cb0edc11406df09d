"""What others have put on the interface, and a commit takes over: found before, and put back when it is rolled back."""

from __future__ import annotations

from attrs import evolve

from mesh_sync.reconcile.foreign import at_stake, joined, put_back
from mesh_sync.wireguard.desired import Desired, DesiredPeer, Owned
from mesh_sync.wireguard.live import Live, LivePeer


def desired(routes: str = "10.0.0.0/24", addresses: str = "10.0.0.1/32", **peers: str) -> Desired:
    made = tuple(DesiredPeer(key.lower(), key, (), frozenset({ip})) for key, ip in peers.items())
    addresses_, routes_ = frozenset(addresses.split()), frozenset(routes.split())
    exits = routes_ & {"0.0.0.0/0"}
    return Desired("lab", "a", "own", 51820, 1420, addresses_, routes_ - exits, made, exit_routes=exits)


def live(routes: str = "10.0.0.0/24", addresses: str = "10.0.0.1/32", **peers: str) -> Live:
    made = {key: LivePeer(key, frozenset({ip}), keepalive=9, preshared_key="psk") for key, ip in peers.items()}
    found = frozenset(routes.split())
    exits = found & {"0.0.0.0/0"}
    return Live("own", addresses=frozenset(addresses.split()), routes=found - exits, exit_routes=exits, peers=made)


HOME = desired(B="10.0.0.2/32")
FOUND = live(
    routes="10.0.0.0/24 192.168.7.0/24 192.168.8.0/24 0.0.0.0/0", addresses="10.0.0.1/32 10.9.9.9/32 10.0.0.41/32",
    B="10.0.0.2/32", L="10.77.0.1/32", R="10.0.0.5/32", X="10.78.0.1/32",
)  # fmt: skip
COMING = desired(
    routes="10.0.0.0/24 192.168.7.0/24 0.0.0.0/0", addresses="10.0.0.1/32 10.0.0.41/32",
    B="10.0.0.2/32", L="10.0.0.4/32", E="10.0.0.5/32",
)  # fmt: skip


def test_what_a_commit_takes_over_or_takes_from_is_at_stake() -> None:
    found = at_stake(FOUND, HOME.owned, COMING)
    assert found
    assert {peer.public_key: peer.allowed_ips for peer in found.peers} == {"L": {"10.77.0.1/32"}, "R": {"10.0.0.5/32"}}
    assert {(peer.keepalive, peer.preshared_key) for peer in found.peers} == {(9, "psk")}
    assert found.routes == {"192.168.7.0/24"}
    assert found.addresses == {"10.0.0.41/32"}


def test_what_is_ours_or_not_touched_is_not() -> None:
    assert at_stake(FOUND, HOME.owned, HOME) is None
    assert at_stake(FOUND, COMING.owned | Owned(frozenset("R")), COMING) is None


def test_it_is_put_back_beside_what_is_desired_without_taking_anything_from_that() -> None:
    whole = put_back(HOME, at_stake(FOUND, HOME.owned, COMING))
    assert whole.owned.peers == {"B", "L", "R"}
    assert whole.routes == {"10.0.0.0/24", "192.168.7.0/24"}
    assert not whole.exit_routes, "a default route by hand is drift"
    assert whole.addresses == {"10.0.0.1/32", "10.0.0.41/32"}
    assert put_back(HOME, None) is HOME
    again = put_back(desired(L="10.0.0.4/32", E="10.0.0.5/32"), at_stake(FOUND, HOME.owned, COMING))
    assert {peer.public_key: peer.allowed_ips for peer in again.peers} == {
        "L": {"10.0.0.4/32"}, "E": {"10.0.0.5/32"}, "R": frozenset(),
    }  # fmt: skip


def test_of_two_trials_what_the_first_has_found_counts() -> None:
    first = at_stake(live(B="10.0.0.2/32", L="10.77.0.1/32"), HOME.owned, COMING)
    more = at_stake(FOUND, HOME.owned, COMING)
    both = joined(first and evolve(first, routes=frozenset({"r"})), more)
    assert both
    assert [peer.public_key for peer in both.peers] == ["L", "R"]
    assert both.routes == {"r", "192.168.7.0/24"}
    assert (joined(None, more), joined(first, None), joined(None, None)) == (more, first, None)
