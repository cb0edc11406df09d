"""Desired and live interface to changes, and those to what `wg syncconf` is fed."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from mesh_sync.wireguard.desired import Desired, DesiredPeer, Owned
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.plan import Change, Context, plan
from mesh_sync.wireguard.syncconf import addconf_text, syncconf_text

NOW = 1_000_000.0
FRESH, STALE = int(NOW) - 20, int(NOW) - 200
B, C = "B" * 43 + "=", "C" * 43 + "="

PEER_B = DesiredPeer("b", B, ("10.0.0.2",), frozenset({"10.0.0.2/32", "192.168.2.0/24"}), ("b.example:51820",), 25)
WANTED = Desired(
    mesh="m", name="a", public_key="A", listen_port=51820, mtu=1420, addresses=frozenset({"10.0.0.1/32"}),
    routes=frozenset({"10.0.0.0/24", "192.168.2.0/24"}), peers=(PEER_B,),
)  # fmt: skip
LIVE_B = LivePeer(B, PEER_B.allowed_ips, "203.0.113.2:51820", 25, handshake=FRESH)
LIVE = Live(
    public_key="A", private_key="SECRET-A", listen_port=51820, mtu=1420, up=True, addresses=WANTED.addresses,
    routes=WANTED.routes, peers={B: LIVE_B},
)  # fmt: skip
GIVEN = {B: "b.example:51820"}


def changes(desired: Desired = WANTED, live: Live | None = LIVE, **context: Any) -> tuple[Change, ...]:
    return plan(desired, live, Context(**{"owned": WANTED.owned, "given": GIVEN, "moment": NOW, **context}))


def kinds(*arguments: Any, **context: Any) -> list[str]:
    return [change.kind for change in changes(*arguments, **context)]


def live_peer(**changed: Any) -> Live:
    return evolve(LIVE, peers={B: evolve(LIVE_B, **changed)})


def wanted_peer(**changed: Any) -> Desired:
    return evolve(WANTED, peers=(evolve(PEER_B, **changed),))


def test_nothing_changes_when_the_interface_is_as_wanted() -> None:
    assert changes() == ()


def test_a_missing_interface_is_made_with_everything_on_it() -> None:
    found = kinds(WANTED, None)
    assert found[0] == "interface-added"
    assert {"address-added", "mtu", "private-key", "listen-port", "peer-added", "link-up", "route-added"} <= set(found)


@pytest.mark.parametrize(
    ("drifted", "kind"),
    [
        ({"listen_port": 1}, "listen-port"),
        ({"fwmark": 7}, "fwmark"),
        ({"mtu": 1280}, "mtu"),
        ({"up": False}, "link-up"),
        ({"public_key": "X"}, "private-key"),
        ({"addresses": frozenset()}, "address-added"),
        ({"routes": frozenset({"10.0.0.0/24"})}, "route-added"),
        ({"peers": {}}, "peer-added"),
        ({"exit_rules": frozenset({4})}, "exit-rule-removed"),
    ],
)
def test_every_drift_is_one_change(drifted: dict[str, Any], kind: str) -> None:
    assert kinds(WANTED, evolve(LIVE, **drifted)) == [kind]


@pytest.mark.parametrize(
    ("drifted", "kind"),
    [
        ({"allowed_ips": frozenset({"10.0.0.2/32"})}, "allowed-ips"),
        ({"keepalive": 0}, "keepalive"),
        ({"preshared_key": "p"}, "preshared-key"),
        ({"endpoint": ""}, "endpoint"),
    ],
)
def test_every_drift_of_a_peer_is_one_change(drifted: dict[str, Any], kind: str) -> None:
    assert kinds(WANTED, live_peer(**drifted)) == [kind]


def test_only_what_is_ours_is_taken_away() -> None:
    foreign = evolve(
        LIVE,
        addresses=LIVE.addresses | {"172.16.0.1/24"},
        routes=LIVE.routes | {"172.16.0.0/24"},
        peers={B: LIVE_B, C: LivePeer(C, frozenset({"10.9.9.9/32"}))},
    )
    assert [(change.kind, change.acted) for change in changes(WANTED, foreign)] == [("foreign-peer", False)]
    ours = Owned(frozenset({B, C}), foreign.addresses, foreign.routes)
    assert kinds(WANTED, foreign, owned=ours) == ["peer-removed", "route-removed", "address-removed"]


@pytest.mark.parametrize(
    ("names", "text"),
    [({C: "carol"}, "peer carol removed"), ({C: "b"}, f"peer b: key {C} removed"), ({}, f"peer {C} removed")],
)
def test_a_removed_peer_is_called_by_its_name(names: dict[str, str], text: str) -> None:
    both = evolve(LIVE, peers={B: LIVE_B, C: LivePeer(C, frozenset({"10.0.0.3/32"}))})
    (change,) = changes(WANTED, both, owned=Owned(frozenset({B, C})), names=names)
    assert (change.kind, change.text, change.peer) == ("peer-removed", text, names.get(C))


def test_a_foreign_peer_goes_when_node_toml_says_so() -> None:
    foreign = evolve(LIVE, peers={B: LIVE_B, C: LivePeer(C, frozenset())})
    (change,) = changes(WANTED, foreign, remove_foreign=True)
    assert change.kind == "foreign-peer"
    assert change.acted


def test_what_is_new_comes_before_what_goes() -> None:
    moved = evolve(WANTED, addresses=frozenset({"10.0.0.9/32"}), routes=frozenset({"10.0.0.0/24", "192.168.3.0/24"}))
    assert kinds(moved) == ["address-added", "route-added", "route-removed", "address-removed"]


class TestEndpoints:
    """The list never touches the endpoint of a live peer, and never forgets what it wants."""

    roamed = "198.51.100.7:4000"

    def test_a_roamed_live_peer_is_left_alone(self) -> None:
        assert kinds(WANTED, live_peer(endpoint=self.roamed)) == []
        assert kinds(wanted_peer(endpoint=("new.example:1",)), live_peer(endpoint=self.roamed)) == []

    def test_a_changed_endpoint_is_set_once_the_peer_is_stale(self) -> None:
        assert kinds(wanted_peer(endpoint=("new.example:1",)), live_peer(handshake=STALE)) == ["endpoint"]
        assert kinds(wanted_peer(endpoint=("new.example:1",)), live_peer(handshake=0)) == ["endpoint"]

    def test_a_roamed_stale_peer_of_a_name_is_the_watchdogs_matter(self) -> None:
        assert kinds(WANTED, live_peer(endpoint=self.roamed, handshake=STALE)) == []

    def test_a_strayed_stale_peer_of_a_literal_comes_back(self) -> None:
        literal = wanted_peer(endpoint=("203.0.113.2:51820",))
        given = {B: "203.0.113.2:51820"}
        assert kinds(literal, live_peer(endpoint=self.roamed, handshake=STALE), given=given) == ["endpoint"]
        assert kinds(literal, live_peer(handshake=STALE), given=given) == []

    def test_a_removed_endpoint_is_unset_once_the_peer_is_stale(self) -> None:
        assert kinds(wanted_peer(endpoint=())) == []
        assert kinds(wanted_peer(endpoint=()), live_peer(handshake=STALE)) == ["endpoint-removed"]

    def test_a_peer_that_never_had_one_in_the_list_keeps_what_it_roamed_to(self) -> None:
        assert kinds(wanted_peer(endpoint=()), live_peer(handshake=STALE), given={}) == []

    def test_a_clock_that_was_set_back_does_not_make_peers_stale(self) -> None:
        assert kinds(wanted_peer(endpoint=("new.example:1",)), live_peer(handshake=int(NOW) + 9999)) == []


class TestFeed:
    """What `wg syncconf` gets."""

    def feed(self, desired: Desired, live: Live, endpoints: dict[str, str] | None = None, **context: Any) -> str:
        return syncconf_text(desired, live, changes(desired, live, **context), "KEY", endpoints or {})

    def test_port_mark_key_and_keepalive_are_always_there(self) -> None:
        text = self.feed(wanted_peer(keepalive=0), LIVE)
        for line in ("PrivateKey = KEY", "ListenPort = 51820", "FwMark = 0", "PersistentKeepalive = 0"):
            assert line in text.splitlines()

    def test_a_known_peer_gets_no_endpoint(self) -> None:
        assert "Endpoint" not in self.feed(WANTED, live_peer(keepalive=1))

    def test_a_new_peer_gets_its_numeric_endpoint(self) -> None:
        text = self.feed(WANTED, evolve(LIVE, peers={}), {B: "203.0.113.2:51820"})
        assert "Endpoint = 203.0.113.2:51820" in text
        assert "b.example" not in text

    def test_a_foreign_peer_is_passed_on_without_what_the_mesh_claims(self) -> None:
        theirs = LivePeer(C, frozenset({"10.9.9.9/32", "192.168.2.0/24"}), "198.51.100.1:1", 5, preshared_key="PSK")
        text = self.feed(WANTED, evolve(LIVE, listen_port=1, peers={B: LIVE_B, C: theirs}))
        section = text.split("[Peer]")[1]
        assert C in section
        assert "AllowedIPs = 10.9.9.9/32\n" in section
        assert "PresharedKey = PSK" in section
        assert "PersistentKeepalive = 5" in section

    def test_a_removed_peer_is_not_in_it(self) -> None:
        live = evolve(LIVE, peers={B: LIVE_B, C: LivePeer(C, frozenset())})
        assert C not in self.feed(WANTED, live, owned=Owned(frozenset({B, C})))


def test_no_change_shows_a_secret() -> None:
    secret = evolve(LIVE, public_key="X", peers={B: evolve(LIVE_B, preshared_key="TOP-SECRET")})
    shown = repr(changes(WANTED, secret)) + repr(secret)
    assert "SECRET" not in shown


def test_a_preshared_key_is_set_without_feeding_the_peer_whose_allowed_ips_would_be_replaced() -> None:
    found = changes(WANTED, live_peer(preshared_key="p"))
    assert [change.kind for change in found] == ["preshared-key"]
    assert addconf_text(WANTED, found, {}) == ""
