"""What mesh-sync takes for granted about WireGuard itself, whichever the machine has: the kernel's or wireguard-go.

No mesh-sync here: two interfaces, `wg` and `ping`. What the two kinds do differently is printed and not asserted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab import Lab, steady_ping
from lab.mesh import dump
from lab.node import Node
from lab.ping import pinging
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

OWED = 11
"""Seconds: KEEPALIVE_TIMEOUT, 10 s, and one to get here."""


class End:
    """One end of a tunnel, and what it knows of the other."""

    def __init__(self, node: Node, number: int) -> None:
        self.node = node
        self.address = f"10.0.0.{number}"
        self.private = keys.generate()
        self.other = ""
        node.add_wireguard()
        self.set("listen-port", "51820")
        self.use(self.private)
        node.ip(f"address add {self.address}/24 dev wg0", "link set wg0 up")

    @property
    def public(self) -> str:
        return keys.public_key(self.private)

    def set(self, *words: str, secret: str = "") -> None:
        self.node.run(["wg", "set", "wg0", *words], input=secret)

    def use(self, private: str) -> None:
        self.private = private
        self.set("private-key", "/dev/stdin", secret=private)

    def set_peer(self, *words: str, secret: str = "") -> None:
        self.set("peer", self.other, *words, secret=secret)

    def knows(self, other: End, *words: str) -> None:
        self.other = other.public
        self.set_peer("allowed-ips", f"{other.address}/32", *words)

    def peer(self, key: str | None = None) -> dict[str, str]:
        return dump(self.node)[key or self.other]

    def rx(self) -> int:
        return int(self.peer()["rx"])

    def tx(self) -> int:
        return int(self.peer()["tx"])

    def ping_once(self, address: str, seconds: int = 1) -> bool:
        return self.node.run(["ping", "-qn", "-c1", f"-w{seconds}", address], check=False).returncode == 0


@pytest.fixture(scope="module")
def nodes(lab: Lab) -> tuple[Node, Node]:
    print(f"WireGuard of the {'kernel' if lab.kernel_wireguard else 'program wireguard-go'}")
    return lab.node("a", "203.0.113.11"), lab.node("b", "203.0.113.12")


@pytest.fixture
def ends(nodes: tuple[Node, Node]) -> Iterator[tuple[End, End]]:
    """A tunnel that is up; only a knows where b is."""
    a, b = (End(node, number) for number, node in enumerate(nodes, 1))
    b.knows(a)
    a.knows(b, "endpoint", "203.0.113.12:51820")
    assert a.ping_once(b.address, 12)
    yield a, b
    for node in nodes:
        node.reboot()


def test_a_packet_from_a_source_that_is_not_allowed_is_answered_within_10_s(ends: tuple[End, End]) -> None:
    a, b = ends
    b.set_peer("allowed-ips", "10.0.0.99/32")
    before, of_b = a.rx(), b.rx()
    assert not a.ping_once(b.address)
    took = until(lambda: a.rx() > before, OWED)
    print(f"answered after {took + 1:.1f} s; the far end counts {b.rx() - of_b} bytes as received")


def test_another_private_key_leaves_peers_where_they_are(ends: tuple[End, End]) -> None:
    a, b = ends
    before = a.peer()
    a.use(keys.generate())
    after = a.peer()
    assert (after["endpoint"], after["allowed_ips"]) == (before["endpoint"], before["allowed_ips"])
    b.set_peer("remove")
    b.knows(a)
    began = time.time()
    with pinging(a.node, b.address, interval=0.1) as [ping]:
        print(f"traffic under the new key after {ping.flows(began):.2f} s")
    assert b.peer()["endpoint"] == "203.0.113.11:51820"


def test_the_same_private_key_again_and_a_preshared_key_keep_the_session(ends: tuple[End, End]) -> None:
    a, b = ends
    before = a.peer()["handshake"]
    preshared = keys.generate()
    with steady_ping(a.node, b.address) as loss:
        a.use(a.private)
        for end in ends:
            end.set_peer("preshared-key", "/dev/stdin", secret=preshared)
        b.ping_once(a.address)
    assert loss.lost == 0
    assert a.peer()["handshake"] == before
    assert {end.peer()["psk"] for end in ends} == {preshared}


def test_an_allowed_ip_is_taken_from_the_peer_that_had_it(ends: tuple[End, End]) -> None:
    a, b = ends
    another = keys.public_key(keys.generate())
    a.set("peer", another, "allowed-ips", f"{b.address}/32")
    assert a.peer(another)["allowed_ips"] == f"{b.address}/32"
    assert a.peer()["allowed_ips"] == "(none)"
    a.set_peer("allowed-ips", f"{b.address}/32")
    assert a.ping_once(b.address)


def test_peers_that_are_added_cost_the_others_no_packet(ends: tuple[End, End]) -> None:
    a, b = ends
    added = f"[Peer]\nPublicKey = {keys.public_key(keys.generate())}\nAllowedIPs = 10.0.0.77/32\n"
    a.node.path("/run/added").write_text(added)
    a.node.run(["sh", "-c", "umask 077; wg showconf wg0 | grep -v Endpoint >/run/whole"])
    lost = {}
    for verb, file in ("addconf", "added"), ("syncconf", "whole"):
        with steady_ping(a.node, b.address) as loss:
            again_and_again = f"while wg {verb} wg0 /run/{file}; do :; done"
            assert a.node.run(["timeout", "1", "sh", "-c", again_and_again], check=False).returncode == 124
        lost[verb] = (loss.lost, loss.sent)
    print(f"a second of it, packets lost of packets sent: {lost}")
    assert lost["addconf"][0] == 0


def test_an_endpoint_is_silent_and_a_keepalive_that_is_turned_on_speaks_at_once(ends: tuple[End, End]) -> None:
    a, b = ends
    a.set_peer("persistent-keepalive", "0")
    sent = a.tx()
    a.set_peer("endpoint", "203.0.113.12:51820")
    time.sleep(1)
    assert a.tx() == sent
    heard = b.rx()
    a.set_peer("persistent-keepalive", "25")
    until(lambda: b.rx() > heard, 1)


def test_a_peer_named_twice_in_one_command_has_its_keepalive_off_and_on_again(ends: tuple[End, End]) -> None:
    """And so it speaks at once, without allowed IPs."""
    a, b = ends
    a.set_peer("persistent-keepalive", "25", "allowed-ips", "")
    heard = b.rx()
    a.set_peer("persistent-keepalive", "0", "peer", b.public, "persistent-keepalive", "25")
    until(lambda: b.rx() > heard, 1)
    assert (a.peer()["keepalive"], a.peer()["allowed_ips"]) == ("25", "(none)")


def test_a_keepalive_that_is_on_for_a_moment_speaks_at_once_and_is_off_again(ends: tuple[End, End]) -> None:
    a, b = ends
    a.set_peer("persistent-keepalive", "0")
    heard = b.rx()
    a.set_peer("persistent-keepalive", "25", "peer", b.public, "persistent-keepalive", "0")
    until(lambda: b.rx() > heard, 1)
    assert a.peer()["keepalive"] == "off"


def test_a_peer_without_allowed_ips_goes_on_shaking_hands(ends: tuple[End, End]) -> None:
    a, b = ends
    moved = keys.public_key(keys.generate())
    a.set("peer", moved, "allowed-ips", f"{b.address}/32")
    a.use(keys.generate())  # which ends the session
    b.set_peer("remove")
    b.knows(a)
    a.set_peer("persistent-keepalive", "0", "peer", b.public, "persistent-keepalive", "25")
    until(lambda: int(b.peer()["handshake"]) > 0)


def test_allowed_ips_move_to_a_relay_and_back_by_one_command(
    ends: tuple[End, End],
) -> None:
    """Here b is the relay, and what it is asked about meanwhile is its own address."""
    a, b = ends
    third = keys.public_key(keys.generate())
    a.set("peer", third, "allowed-ips", "10.0.0.3/32,10.3.0.0/16")
    with steady_ping(a.node, b.address) as loss:
        for _ in range(20):
            a.set_peer("allowed-ips", f"{b.address}/32,10.0.0.3/32,10.3.0.0/16")
            assert a.peer(third)["allowed_ips"] == "(none)"
            a.set("peer", third, "allowed-ips", "10.0.0.3/32,10.3.0.0/16")
            assert a.peer()["allowed_ips"] == f"{b.address}/32"
    print(f"there and back 20 times: {loss.lost} packets lost of {loss.sent} sent to the relay itself")
