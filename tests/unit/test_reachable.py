"""What is inside the tunnel is what the kernel routes into it, on this node; no list says so."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

import pytest

from mesh_sync.names.nameservers import Answer, Nameserver, Unresolved
from mesh_sync.names.usable import addresses, usable
from mesh_sync.reconcile.reachable import choose
from mesh_sync.wireguard.endpoint import Address, Endpoint
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.underlay import Reach, Tunnel
from mesh_sync.wireguard.ways import Way, Ways

LAN = "192.168.7.0/24"
ROUTER, PIHOLE, PUBLIC, STUB = (
    Nameserver(address) for address in ("192.168.7.1", "10.10.0.9", "8.8.8.8", "127.0.0.53")
)
TUNNEL = Tunnel("wg0", ["10.10.0.0/24", LAN])
ON_LINK, BY_DEFAULT, INTO = Way("eth0", prefix=24), Way("eth0", "192.168.7.1"), Way("wg0", prefix=24)
EXIT, MARK = Way("wg0", table="51820"), 51820


@pytest.mark.parametrize(
    ("way", "reach"),
    [
        (ON_LINK, Reach.OUTSIDE),
        (BY_DEFAULT, Reach.INSIDE),
        (INTO, Reach.INSIDE),
        (None, Reach.INSIDE),
        (Way("eth0", "192.168.7.1", prefix=32), Reach.OUTSIDE),
        (Way("eth0", "192.168.7.1", table="100"), Reach.OUTSIDE),
        (Way("lo", prefix=32, table="local", local=True), Reach.OUTSIDE),
    ],
    ids=[
        "the LAN that this node is in",
        "elsewhere",
        "by our route",
        "offline",
        "by a route of its own",
        "a rule",
        "own",
    ],
)
def test_a_subnet_of_the_list_is_inside_where_the_kernel_takes_it_there(way: Way | None, reach: Reach) -> None:
    """A route that is yet to be added counts already where it will win: a connected one is as specific, and is kept."""
    assert TUNNEL.reach(ipaddress.ip_address("192.168.7.9"), way) is reach


def test_what_no_route_of_ours_concerns_goes_its_way() -> None:
    address = ipaddress.ip_address("2001:db8::9")
    assert TUNNEL.reach(address, Way("eth0", "fe80::1", prefix=3)) is Reach.OUTSIDE
    assert TUNNEL.reach(address, None) is Reach.NOT


def test_the_most_specific_network_counts() -> None:
    networks = ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "2000::/3")
    found = LongestPrefix((ipaddress.ip_network(network), number) for number, network in enumerate(networks))
    told = {
        address: found.find(ipaddress.ip_address(address)) for address in ("10.1.2.3", "10.2.0.1", "8.8.8.8", "::1")
    }
    assert [hit and hit[1] for hit in told.values()] == [2, 1, 0, None]


# -- endpoints


def chosen(way: Way | None, port: int = 51820, name: str = "b.example", own_port: int = 51820) -> tuple[str, str]:
    address = ipaddress.ip_address("192.168.7.9")
    answers = {"b.example": Answer("b.example", (address,))}
    ways = {str(address): way} if way else {}
    return choose([Endpoint(name, port)], answers, ways, TUNNEL, own_port)


@pytest.mark.parametrize("name", ["b.example", "192.168.7.9"])
def test_an_endpoint_in_a_peers_subnet_is_good_where_the_underlay_reaches_it(name: str) -> None:
    assert chosen(ON_LINK, name=name) == ("192.168.7.9:51820", "")
    assert chosen(INTO, name=name) == ("", f"{name}: from here 192.168.7.9 is reached only through the mesh itself")


def test_without_a_route_there_is_none() -> None:
    answers = {"b.example": Answer("b.example", (ipaddress.ip_address("2001:db8::9"),))}
    endpoint = Endpoint("b.example", 51820)
    assert choose([endpoint], answers, {}, TUNNEL, 1)[1] == "b.example: this machine has no route to 2001:db8::9"
    assert choose([endpoint], {}, {}, TUNNEL, 1) == ("", "")
    unknown = {"b.example": Answer("b.example", reason=Unresolved.NO_NAME)}
    assert choose([endpoint], unknown, {}, TUNNEL, 1)[1] == "b.example: the name does not exist"


def test_this_machines_own_address_is_left_out_on_its_own_port_only() -> None:
    """Another peer may be a container on the same machine."""
    own = Way("lo", prefix=32, local=True)
    assert chosen(own, port=51821) == ("192.168.7.9:51821", "")
    assert chosen(own) == ("", "b.example: 192.168.7.9 is this machine itself, on its own port 51820")


# -- nameservers


def ask(
    *servers: Nameserver,
    plain: Mapping[str, Way],
    marked: Mapping[str, Way] | None = None,
    up: bool = True,
    upstreams: tuple[Nameserver, ...] = (),
) -> list[tuple[str, int]]:
    def carried(_: Address) -> bool:
        return up

    ways, mark = Ways(plain, plain if marked is None else marked), 0 if marked is None else MARK
    return [(one.address, one.mark) for one in usable(servers, upstreams, ways, mark, TUNNEL, carried)]


def test_the_router_of_a_lan_that_a_peer_announces_is_asked() -> None:
    assert ask(ROUTER, plain={ROUTER.address: ON_LINK}, up=False) == [(ROUTER.address, 0)]
    assert ask(ROUTER, plain={ROUTER.address: INTO}, up=False) == []


def test_a_resolver_behind_a_peer_is_the_last_choice_while_that_peer_is_up() -> None:
    plain = {PIHOLE.address: INTO, PUBLIC.address: BY_DEFAULT}
    assert ask(PIHOLE, PUBLIC, plain=plain) == [(PUBLIC.address, 0), (PIHOLE.address, 0)]
    assert ask(PIHOLE, plain=plain) == [(PIHOLE.address, 0)]
    assert ask(PIHOLE, PUBLIC, plain=plain, up=False) == [(PUBLIC.address, 0)]
    assert ask(PIHOLE, plain=plain, up=False) == []


def test_nothing_leaks_past_an_exit_that_answers_and_everything_may_past_one_that_does_not() -> None:
    plain, marked = {PUBLIC.address: EXIT}, {PUBLIC.address: BY_DEFAULT}
    assert ask(PUBLIC, plain=plain, marked=marked) == [(PUBLIC.address, 0)]
    assert ask(PUBLIC, plain=plain, marked=marked, up=False) == [(PUBLIC.address, MARK)]
    assert ask(PUBLIC, plain=plain, marked={}, up=False) == []


def test_behind_a_local_stub_the_upstreams_are_asked_only_past_a_dead_exit() -> None:
    plain, marked = {PUBLIC.address: EXIT, ROUTER.address: ON_LINK}, {PUBLIC.address: BY_DEFAULT}
    behind = (PUBLIC, ROUTER)
    assert ask(STUB, plain=plain, marked=marked, upstreams=behind) == [(STUB.address, 0)]
    assert ask(STUB, plain=plain, marked=marked, up=False, upstreams=behind) == [
        (STUB.address, 0),
        (PUBLIC.address, MARK),
    ]
    assert addresses((STUB,), behind) == [PUBLIC.address, ROUTER.address]
