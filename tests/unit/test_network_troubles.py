"""What the network of a machine does to the tunnel, from the ways that the kernel takes and the chains that it has."""

from __future__ import annotations

import pytest
from attrs import evolve

from mesh_sync.diagnose.forward import forward_troubles
from mesh_sync.diagnose.routes import shadows, spread, targets
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.forward_chains import Found
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.ways import Way

B = DesiredPeer("b", "B", ("10.0.0.22", "fd00::22"), frozenset({"10.0.0.22/32", "fd00::22/128", "192.168.20.0/24"}))
EXIT = DesiredPeer("exit", "E", ("10.0.0.23",), frozenset({"10.0.0.23/32", "0.0.0.0/0"}))
DESIRED = Desired(
    "lab", "a", "A", 51820, 1420, frozenset({"10.0.0.21/32", "fd00::21/128"}),
    frozenset({"10.0.0.0/24", "192.168.20.0/24"}), (B, EXIT),
    exit_routes=frozenset({"0.0.0.0/0"}), passages=frozenset({"in 192.168.7.0/24", "out 192.168.7.0/24"}),
)  # fmt: skip
PLACE = "ip filter DOCKER-USER"


def test_one_address_of_every_network_is_asked_about() -> None:
    assert targets(DESIRED) == {
        "10.0.0.22": "b", "fd00::22": "b", "192.168.20.1": "192.168.20.0/24 behind b", "10.0.0.23": "exit",
    }  # fmt: skip
    assert "fd00::22" not in targets(evolve(DESIRED, addresses=frozenset({"10.0.0.21/32"})))


@pytest.mark.parametrize(("count", "most", "left"), [(5, None, 5), (5, 5, 5), (6, 5, 3), (1000, 100, 100), (0, 5, 0)])
def test_of_too_many_some_from_all_parts_are_asked_about(count: int, most: int | None, left: int) -> None:
    found = spread([str(number) for number in range(count)], most)
    assert len(found) == left
    assert not found or int(found[-1]) >= count * 0.6


@pytest.mark.parametrize("count", [40, 60, 150, 1000])
def test_of_a_large_mesh_peers_and_the_networks_behind_them_are_asked_about(count: int) -> None:
    both = [
        (f"10.1.{number // 250}.{number % 250}", f"10.{number // 250 + 2}.{number % 250}.0/24")
        for number in range(count)
    ]
    peers = [DesiredPeer(f"p{ip}", ip, (ip,), frozenset({f"{ip}/32", behind})) for ip, behind in both]
    asked = targets(evolve(DESIRED, peers=tuple(peers)), 50)
    assert 25 <= len(asked) <= 50
    assert len(asked) / 3 <= sum("behind" in what for what in asked.values()) <= len(asked) * 2 / 3


def shadow(way: Way | None, address: str = "10.0.0.22") -> list[str]:
    known = {address: targets(DESIRED)[address]}
    return [f"{each.code}: {each.text}" for each in shadows(known, "wg0", {address: way} if way else {})]


def test_what_leads_elsewhere_is_named_with_the_route_that_matched() -> None:
    assert shadow(Way("wg0", prefix=24)) == []
    assert shadow(Way("eth0", prefix=24)) == [
        "shadowed: 10.0.0.0/24 goes by eth0 (connected), not by wg0: not reached are b"
    ]
    assert shadow(Way("eth0", "192.0.2.1", prefix=16), "192.168.20.1") == [
        "shadowed: 192.168.0.0/16 goes by eth0 via 192.0.2.1, not by wg0: not reached are 192.168.20.0/24 behind b"
    ]
    [own] = shadow(Way("lo", prefix=32, local=True))
    assert own.startswith("shadowed: 10.0.0.22, an address of b, is one of this machine's own")
    assert shadow(None)[0].startswith("no-route: packets to b have no way")


def test_peers_behind_one_route_are_one_trouble() -> None:
    known = {f"10.0.0.{number}": f"p{number}" for number in range(10)}
    [found] = shadows(known, "wg0", dict.fromkeys(known, Way("eth0", prefix=24)))
    assert "p0, p1, p2, p3, p4 and 5 more" in found.text


def test_what_is_dropped_is_named_until_our_rules_are_there() -> None:
    both = {f"{PLACE} {passage}": (1,) for passage in DESIRED.passages}
    assert list(forward_troubles(DESIRED, "wg0", Live(forward=Found(frozenset({PLACE}), opened=both)))) == []
    assert list(forward_troubles(DESIRED, "wg0", Live())) == []
    assert list(forward_troubles(DESIRED, "wg0", None)) == []
    first, second = forward_troubles(DESIRED, "wg0", Live(forward=Found(frozenset({PLACE}))))
    assert (first.code, second.code) == ("forward-dropped", "forward-dropped")
    assert "insert rule ip filter DOCKER-USER" in first.fix
    [locked] = forward_troubles(DESIRED, "wg0", Live(forward=Found(locked=frozenset({PLACE}))))
    assert "firewall-cmd" in locked.fix
