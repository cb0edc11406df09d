"""Which relay a pair uses, and who has the allowed IPs of a peer that is relayed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.wireguard import relays
from mesh_sync.wireguard.desired import Desired, DesiredPeer, Owned
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.placement import placed
from mesh_sync.wireguard.plan import Change, Context, plan
from mesh_sync.wireguard.relays import carried, in_order
from mesh_sync.wireguard.syncconf import addconf_text

NOW = 1_000_000.0
NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


def peer(name: str, number: int, *more: str, **changed: Any) -> DesiredPeer:
    found = DesiredPeer(name, name.upper(), (f"10.0.0.{number}",), frozenset({f"10.0.0.{number}/32", *more}))
    return evolve(found, **changed)


B = peer("b", 2, "192.168.2.0/24", "10.0.0.20/32")  # with a network and a spoke behind it
C = peer("c", 3)
R, S = peer("r", 8, "192.168.8.0/24", direct_only=True), peer("s", 9, direct_only=True)
PHONE = peer("phone", 7, direct_only=True)
WANTED = Desired(
    mesh="m", name="a", public_key="A", listen_port=51820, mtu=1420, addresses=frozenset({"10.0.0.1/32"}),
    routes=frozenset({"10.0.0.0/24"}), peers=(B, C, PHONE, R, S), relays=frozenset({"r", "s"}),
)  # fmt: skip


def interface(desired: Desired, **allowed: frozenset[str]) -> Live:
    """The interface of a node that has applied ``desired``; ``allowed``: the allowed IPs of some, by name."""
    peers = (
        LivePeer(key, allowed.get(each.name, each.allowed_ips) if key == each.public_key else frozenset())
        for each in desired.peers
        for key in each.keys
    )
    return Live(
        public_key="A", listen_port=51820, mtu=1420, up=True, addresses=desired.addresses, routes=desired.routes,
        peers={one.public_key: one for one in peers},
    )  # fmt: skip


def relayed(by: DesiredPeer, *carried: DesiredPeer, of: Desired = WANTED) -> Live:
    """The interface while a relay carries for some peers."""
    moved = frozenset(ip for one in carried for ip in one.allowed_ips)
    nothing = {one.name: frozenset[str]() for one in carried}
    return interface(of, **{by.name: by.allowed_ips | moved, **nothing})


def changes(desired: Desired, live: Live) -> list[tuple[str, str]]:
    context = Context(owned=Owned(frozenset(live.peers)), moment=NOW)
    found = plan(placed(desired, live, NOW, desired), live, context)
    return [(change.kind, change.value) for change in found if change.kind != "keepalive"]


# -- the order


@given(NAMES, NAMES, st.sets(NAMES, max_size=6))
def test_both_ends_of_a_pair_have_the_same_order(one: str, other: str, names: set[str]) -> None:
    assert in_order(one, other, names) == in_order(other, one, sorted(names, reverse=True))
    assert sorted(in_order(one, other, names)) == sorted(names)


@given(NAMES, NAMES, st.sets(NAMES, min_size=1, max_size=6), NAMES)
def test_a_relay_that_goes_changes_nothing_for_those_that_did_not_use_it(
    one: str, other: str, names: set[str], gone: str
) -> None:
    before = in_order(one, other, names | {gone})
    assert in_order(one, other, names - {gone}) == tuple(name for name in before if name != gone)


def test_a_relay_that_was_renamed_keeps_its_place() -> None:
    for other in map(str, range(30)):
        before = in_order("a", other, ("r", "s", "t"))
        after = in_order("a", other, ("r", "new", "t"), {"new": "s"})
        assert after == tuple("new" if name == "s" else name for name in before)


def test_pairs_are_spread_over_the_relays() -> None:
    first = Counter(in_order(f"n{i}", f"n{j}", ("r", "s", "t"))[0] for i in range(30) for j in range(i))
    assert len(first) == 3
    assert min(first.values()) > 435 / 3 / 2


# -- the placement


ips = st.sampled_from(sorted(ip for one in WANTED.peers for ip in one.allowed_ips))
keys = st.sampled_from(["B", "B2", "C", "PHONE", "R", "R2", "S", "X"])
handshakes = st.dictionaries(keys, st.integers(0, int(NOW)))


@given(st.dictionaries(ips, keys), handshakes, st.booleans(), st.sets(st.sampled_from(["r", "s"])))
def test_every_allowed_ip_has_one_owner_who_is_the_peer_itself_or_a_listed_relay(
    owners: dict[str, str], shaken: dict[str, int], rotating: bool, listed: set[str]
) -> None:
    """Whatever is found on the interface."""
    second = {"b": "B2", "r": "R2"} if rotating else {}
    peers = tuple(evolve(one, next_public_key=second.get(one.name, "")) for one in WANTED.peers)
    desired = evolve(WANTED, peers=peers, relays=frozenset(listed))
    there = {*owners.values(), *shaken}
    live = Live(
        peers={
            key: LivePeer(key, frozenset(ip for ip, owner in owners.items() if owner == key), "", 0, shaken.get(key, 0))
            for key in there
        }
    )
    found = placed(desired, live, NOW, desired).peers
    assert {one.public_key for one in found} == desired.owned.peers
    assert Counter(ip for one in found for ip in one.allowed_ips) == Counter(
        ip for one in peers for ip in one.allowed_ips
    )
    holders = {ip: one.public_key for one in found for ip in one.allowed_ips}
    names = {key: one.name for one in peers for key in one.keys}
    for one in peers:
        [holder] = {names[holders[ip]] for ip in one.allowed_ips}
        assert holder == one.name or (holder in listed and not one.direct_only)


def test_what_is_relayed_is_in_sync_by_either_relay() -> None:
    for relay in (R, S):
        assert carried(WANTED, relayed(relay, B, C)) == {"b": relay.name, "c": relay.name}
        assert changes(WANTED, relayed(relay, B, C)) == []
        assert changes(WANTED, relayed(relay, B)) == []
    assert changes(WANTED, interface(WANTED)) == []


def test_a_change_of_another_peer_leaves_it_where_it_is() -> None:
    live = relayed(R, B)
    changed = evolve(WANTED, peers=(B, evolve(C, allowed_ips=C.allowed_ips | {"192.168.3.0/24"}), PHONE, R, S))
    assert changes(changed, live) == [("allowed-ips", "C")]
    fed = addconf_text(placed(changed, live, NOW, changed), [Change("", "", value="C")], {})
    assert "10.0.0.2/32" not in fed


def test_a_change_of_the_relay_itself_feeds_it_with_what_it_carries() -> None:
    live = relayed(R, B)
    changed = evolve(WANTED, peers=(B, C, PHONE, evolve(R, allowed_ips=R.allowed_ips | {"192.168.9.0/24"}), S))
    assert changes(changed, live) == [("allowed-ips", "R")]
    fed = addconf_text(placed(changed, live, NOW, changed), [Change("", "", value="R")], {})
    assert all(ip in fed for ip in (*B.allowed_ips, *R.allowed_ips, "192.168.9.0/24"))


def test_a_network_that_a_relayed_peer_gets_goes_to_the_relay_too() -> None:
    more = evolve(B, allowed_ips=B.allowed_ips | {"192.168.22.0/24"})
    assert changes(evolve(WANTED, peers=(more, C, PHONE, R, S)), relayed(R, B)) == [("allowed-ips", "R")]


def test_without_the_relay_on_the_list_everything_comes_back() -> None:
    live = relayed(R, B)
    no_relay = evolve(WANTED, relays=frozenset({"s"}))
    assert changes(no_relay, live) == [("allowed-ips", "B"), ("allowed-ips", "R")]
    gone = evolve(no_relay, peers=(B, C, PHONE, S))
    assert changes(gone, live) == [("allowed-ips", "B"), ("peer-removed", "R")]


def test_a_peer_that_leaves_is_not_left_on_the_relay() -> None:
    assert changes(evolve(WANTED, peers=(C, PHONE, R, S)), relayed(R, B)) == [
        ("allowed-ips", "R"),
        ("peer-removed", "B"),
    ]


def test_a_peer_that_gets_a_via_or_is_no_longer_managed_comes_back() -> None:
    bound = evolve(WANTED, peers=(evolve(B, direct_only=True), C, PHONE, R, S))
    assert changes(bound, relayed(R, B)) == [("allowed-ips", "B"), ("allowed-ips", "R")]


def test_a_peer_of_which_the_relay_has_only_a_part_is_not_relayed() -> None:
    part = interface(WANTED, r=R.allowed_ips | {"192.168.2.0/24"}, b=B.allowed_ips - {"192.168.2.0/24"})
    assert carried(WANTED, part) == {}
    assert changes(WANTED, part) == [("allowed-ips", "B"), ("allowed-ips", "R")]


def test_a_peer_of_which_only_one_address_is_on_the_relay_is_not_relayed() -> None:
    both = evolve(B, addresses=("10.0.0.2", "fd00::2"), allowed_ips=B.allowed_ips | {"fd00::2/128"})
    desired = evolve(WANTED, peers=(both, C, PHONE, R, S))
    for address in ("10.0.0.2/32", "fd00::2/128"):
        part = interface(desired, r=R.allowed_ips | {address}, b=both.allowed_ips - {address})
        assert carried(desired, part) == {}
    assert carried(desired, relayed(R, both, of=desired)) == {"b": "r"}


def test_a_phone_is_never_on_a_relay() -> None:
    assert changes(WANTED, relayed(R, PHONE)) == [("allowed-ips", "PHONE"), ("allowed-ips", "R")]


def test_a_relay_that_changes_its_key_takes_along_what_it_carries() -> None:
    moving = evolve(R, next_public_key="R2")
    desired = evolve(WANTED, peers=(B, C, PHONE, moving, S))
    live = relayed(moving, B, of=desired)
    assert changes(desired, live) == []
    spoke = {**live.peers, "R2": LivePeer("R2", frozenset(), "", 0, int(NOW) - 1)}
    found = {one.public_key: one.allowed_ips for one in placed(desired, evolve(live, peers=spoke), NOW, desired).peers}
    assert found["R2"] == R.allowed_ips | B.allowed_ips
    assert found["R"] == found["B"] == frozenset()


def test_a_relayed_peer_that_changes_its_key_stays_on_the_relay() -> None:
    moving = evolve(B, next_public_key="B2")
    desired = evolve(WANTED, peers=(moving, C, PHONE, R, S))
    live = relayed(R, moving, of=desired)
    spoke = {**live.peers, "B2": LivePeer("B2", frozenset(), "", 0, int(NOW) - 1)}
    assert [one for one in changes(desired, evolve(live, peers=spoke)) if one[0] == "allowed-ips"] == []


def test_an_exit_is_not_sent_to_a_relay() -> None:
    """It would leave by the relay's own network."""
    exit_ = evolve(B, allowed_ips=B.allowed_ips | {"0.0.0.0/0"})
    desired = evolve(WANTED, peers=(exit_, C, PHONE, R, S), exit_routes=frozenset({"0.0.0.0/0"}))
    found = {one.name: one.allowed_ips for one in relays.place(desired, {"b": "r"}).peers}
    assert found["b"] == {"0.0.0.0/0"}
    assert found["r"] == R.allowed_ips | B.allowed_ips


def test_a_relayed_peer_goes_on_being_tried() -> None:
    found = {one.name: one.keepalive for one in relays.place(WANTED, {"b": "r"}).peers}
    assert found == {"b": relays.TRYING, "c": 0, "phone": 0, "r": 0, "s": 0}
