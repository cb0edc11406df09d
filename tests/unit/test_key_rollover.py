"""A peer with two keys: which one has its allowed IPs."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.reconcile.drift import public_keys
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.desired import Desired, DesiredPeer, Owned
from mesh_sync.wireguard.key_rollover import STAND_BY, carrier, placed
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.plan import Change, Context, plan
from mesh_sync.wireguard.syncconf import addconf_text

NOW = 1_000_000.0
OLD, NEW, OTHER = "O" * 43 + "=", "N" * 43 + "=", "X" * 43 + "="
ADDRESSES = frozenset({"10.0.0.2/32", "192.168.2.0/24"})
MOVING = DesiredPeer("b", OLD, ("10.0.0.2",), ADDRESSES, ("b.example:51820",), 0, next_public_key=NEW)
STEADY = DesiredPeer("c", OTHER, ("10.0.0.3",), frozenset({"10.0.0.3/32"}))
WANTED = Desired(
    mesh="m", name="a", public_key="A", listen_port=51820, mtu=1420, addresses=frozenset({"10.0.0.1/32"}),
    routes=frozenset({"10.0.0.0/24"}), peers=(MOVING, STEADY),
)  # fmt: skip
WHERE = "203.0.113.7:7000"


def interface(*peers: LivePeer) -> Live:
    return Live(
        public_key="A", listen_port=51820, mtu=1420, up=True, addresses=WANTED.addresses, routes=WANTED.routes,
        peers={peer.public_key: peer for peer in (*peers, LivePeer(OTHER, STEADY.allowed_ips))},
    )  # fmt: skip


def carrying(key: str, handshake: int = 0) -> LivePeer:
    return LivePeer(key, ADDRESSES, WHERE, 0, handshake)


def standing_by(key: str, handshake: int = 0) -> LivePeer:
    return LivePeer(key, frozenset(), WHERE, STAND_BY, handshake)


def changes(live: Live, desired: Desired = WANTED, given: str = WHERE) -> list[tuple[str, str]]:
    context = Context(
        owned=Owned(frozenset({OLD, NEW, OTHER})), given={OLD: "b.example:51820", NEW: given}, moment=NOW
    )  # fmt: skip
    return [(change.kind, change.value) for change in plan(placed(desired, live, NOW), live, context)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (0, 0, OLD),
        (int(NOW) - 50, 0, OLD),
        (0, int(NOW) - 50, NEW),
        (int(NOW) - 50, int(NOW) - 2, NEW),
        (int(NOW) - 2, int(NOW) - 2, NEW),
        (int(NOW) - 2, int(NOW) - 50, OLD),  # it has gone back
        (int(NOW) + 3600, int(NOW) - 2, NEW),  # the clock was set back in between
        (int(NOW) - 2, int(NOW) + 3600, OLD),  # the same, and it has gone back
        (int(NOW) + 3600, int(NOW) + 3601, NEW),  # the clock was set back afterwards
        (int(NOW) + 3601, int(NOW) + 3600, OLD),
        (0, int(NOW) + 3600, NEW),
    ],
)
def test_the_key_of_the_later_handshake_carries(old: int, new: int, expected: str) -> None:
    assert carrier(OLD, NEW, {OLD: old, NEW: new}, NOW) == expected


def test_a_key_that_the_interface_does_not_have_carries_nothing() -> None:
    assert carrier(OLD, NEW, {OLD: 5}, NOW) == OLD
    assert carrier(OLD, NEW, {}, NOW) == OLD
    assert carrier(OLD, NEW, {NEW: 5}, NOW) == NEW


handshakes = st.one_of(st.just(0), st.integers(int(NOW) - 400, int(NOW) + 400))
lives = st.dictionaries(st.sampled_from([OLD, NEW, OTHER, "F" * 43 + "="]), handshakes).map(
    lambda found: Live(peers={key: LivePeer(key, frozenset(), "", 0, shaken) for key, shaken in found.items()})
)


@given(st.one_of(st.none(), lives), st.floats(0, NOW * 2), st.booleans())
def test_allowed_ips_are_on_exactly_one_listed_key(live: Live | None, moment: float, rotating: bool) -> None:
    desired = WANTED if rotating else evolve(WANTED, peers=(evolve(MOVING, next_public_key=""), STEADY))
    found = placed(desired, live, moment)
    keys = Counter(peer.public_key for peer in found.peers)
    assert set(keys) == desired.owned.peers, "nobody who was taken from the list, nobody missing"
    assert set(keys.values()) == {1}
    allowed = Counter(network for peer in found.peers for network in peer.allowed_ips)
    assert allowed == Counter([*ADDRESSES, *STEADY.allowed_ips])


def test_a_published_key_is_prepared_without_allowed_ips() -> None:
    live = interface(carrying(OLD, int(NOW) - 20))
    assert changes(live) == [("peer-added", NEW)]
    text = addconf_text(placed(WANTED, live, NOW), [Change("peer-added", "", value=NEW)], {NEW: WHERE})
    assert text == f"[Peer]\nPublicKey = {NEW}\nEndpoint = {WHERE}\nPersistentKeepalive = 25\n"


def test_a_prepared_peer_is_in_sync_until_it_speaks() -> None:
    assert changes(interface(carrying(OLD, int(NOW) - 20), standing_by(NEW))) == []


def test_the_key_that_stands_by_follows_where_the_peer_roams() -> None:
    roamed = evolve(carrying(OLD, int(NOW) - 20), endpoint="203.0.113.9:9")
    assert changes(interface(roamed, standing_by(NEW))) == [("endpoint", NEW)]


def test_when_it_speaks_under_the_new_key_its_allowed_ips_go_there_before_the_old_one_is_touched() -> None:
    live = interface(carrying(OLD, int(NOW) - 20), standing_by(NEW, int(NOW) - 1))
    assert changes(live) == [("allowed-ips", NEW), ("keepalive", NEW), ("allowed-ips", OLD), ("keepalive", OLD)]
    text = addconf_text(placed(WANTED, live, NOW), [Change("", "", value=key) for key in (OLD, NEW)], {})
    assert text.index(NEW) < text.index("AllowedIPs") < text.index(OLD)


def test_both_placements_are_in_sync() -> None:
    assert changes(interface(standing_by(OLD, int(NOW) - 20), carrying(NEW, int(NOW) - 1))) == []


def test_a_machine_that_went_back_to_its_old_key_is_found_there() -> None:
    live = interface(standing_by(OLD, int(NOW) - 1), carrying(NEW, int(NOW) - 20))
    assert changes(live)[0] == ("allowed-ips", OLD)


def test_at_the_end_only_the_old_key_goes() -> None:
    after = evolve(WANTED, peers=(evolve(MOVING, public_key=NEW, next_public_key=""), STEADY))
    live = interface(standing_by(OLD, int(NOW) - 20), carrying(NEW, int(NOW) - 1))
    assert changes(live, after) == [("peer-removed", OLD)]


def test_a_revoked_peer_goes_with_both_its_keys() -> None:
    live = interface(standing_by(OLD, int(NOW) - 20), carrying(NEW, int(NOW) - 1))
    removed = evolve(WANTED, peers=(STEADY,))
    assert sorted(changes(live, removed)) == [("peer-removed", NEW), ("peer-removed", OLD)]


def test_the_file_for_people_says_the_same_wherever_the_traffic_goes() -> None:
    text = conf.text(WANTED)
    assert text.index(OLD) < text.index("AllowedIPs") < text.index(f"# b (other key)\n[Peer]\nPublicKey = {NEW}\n")
    assert public_keys(text) == {OLD, NEW, OTHER}
