"""Each kind of NAT that the lab has does to plain UDP what its name says.

A home is behind a NAT of an access provider of its own, and its node sends from port 51820, to `told` first. What is
not let in is known not to come: a word that was sent after it has arrived.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator

import pytest

from lab import Lab, Site
from lab.nat import EASY, EASY_BY_ADDRESS, HARD, HARD_MAPPED, MAPPED, ONE_TO_ONE, Nat
from lab.segment import Line
from lab.udp import Udp

pytestmark = pytest.mark.e2e

PORT = 51820
TOLD, OTHER = "203.0.113.5", "203.0.113.6"
KINDS = {
    "easy": EASY,
    "easy, filter by address": EASY_BY_ADDRESS,
    "hard": HARD,
    "easy, port mapped": MAPPED,
    "hard, port mapped": HARD_MAPPED,
    "one to one": ONE_TO_ONE,
}
BOTH = {**KINDS, **{f"{name}, accepts": nat.accepting() for name, nat in KINDS.items()}}
all_kinds = pytest.mark.parametrize("nat", BOTH.values(), ids=BOTH.keys())


class World:
    """Two hosts on the internet, of which `told` has a second port, and as many homes as tests want."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        told, other = lab.node("told", TOLD), lab.node("other", OTHER)
        self.told, self.told_too, self.other = Udp(told, PORT), Udp(told, PORT + 1), Udp(other, PORT)

    def home(self, nat: Nat, *, subscriber_of: Line | None = None) -> tuple[Site, Udp]:
        """A home and its node's socket."""
        number = next(NUMBERS)
        line = subscriber_of or self.lab.provider(f"isp{number}")
        site = self.lab.site(f"home{number}", f"192.168.{number}.0/24", str(line.network.v4[number]), nat=nat, at=line)
        return site, Udp(site.gateway, PORT)


NUMBERS = itertools.count(10)
WORDS = map("word{}".format, itertools.count())


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Lab() as lab:
        yield World(lab)


def send(source: Udp, to: tuple[str, int], ttl: int = 64) -> str:
    """Send a word there; return it, for `got` and `wait`."""
    word = next(WORDS)
    source.send(*to, word, ttl=ttl)
    return word


def seen(source: Udp, target: Udp, address: str) -> tuple[str, int]:
    """From where a word arrives that is sent to the target."""
    return target.wait(send(source, (address, PORT)))


# -- which port others see, and who is let in


@all_kinds
def test_a_hard_nat_shows_each_another_port_and_all_others_the_same(world: World, nat: Nat) -> None:
    site, inside = world.home(nat)
    first, second = seen(inside, world.told, TOLD), seen(inside, world.other, OTHER)
    assert first[0] == second[0] == wan(site)
    if nat.hard:
        assert len({first[1], second[1], PORT}) == 3
    else:
        assert first[1] == second[1] == PORT


@all_kinds
def test_a_filter_lets_in_whom_its_name_says(world: World, nat: Nat) -> None:
    site, inside = world.home(nat)
    at = seen(inside, world.told, TOLD)
    if nat.forwards:
        at = wan(site), nat.forwards
    another_port, a_stranger = send(world.told_too, at), send(world.other, at)
    assert inside.wait(send(world.told, at))
    assert bool(inside.got(a_stranger)) == bool(nat.whole or nat.forwards)
    assert bool(inside.got(another_port)) == bool(nat.whole or nat.forwards or nat.by_address)


@pytest.mark.parametrize("accepts", [False, True], ids=["drops", "accepts"])
@pytest.mark.parametrize("nat", [EASY, EASY_BY_ADDRESS], ids=["easy", "by address"])
def test_a_router_that_accepts_gives_the_port_away_that_a_stranger_knocked_at(
    world: World, nat: Nat, accepts: bool
) -> None:
    site, inside = world.home(nat.accepting() if accepts else nat)
    seen(inside, world.told, TOLD)
    send(world.other, (wan(site), PORT))
    assert (seen(inside, world.other, OTHER)[1] == PORT) == (not accepts)


# -- two homes


@pytest.mark.parametrize("ttl", [2, 3, 4])
def test_an_opener_ends_on_its_way_and_lets_two_homes_in(world: World, ttl: int) -> None:
    (one, inside), (two, inside_too) = world.home(EASY.accepting()), world.home(EASY.accepting())
    send(inside, (wan(two), PORT), ttl)
    send(inside_too, (wan(one), PORT), ttl)
    assert inside_too.wait(send(inside, (wan(two), PORT))) == (wan(one), PORT)
    assert inside.wait(send(inside_too, (wan(one), PORT))) == (wan(two), PORT)


def test_without_openers_two_homes_whose_routers_accept_do_not_meet(world: World) -> None:
    (one, inside), (two, inside_too) = world.home(EASY.accepting()), world.home(EASY.accepting())
    early, late = send(inside, (wan(two), PORT)), send(inside_too, (wan(one), PORT))
    again = send(inside, (wan(two), PORT))
    seen(inside, world.told, TOLD)
    seen(inside_too, world.told, TOLD)
    assert not inside_too.got(early)
    assert not inside.got(late)
    assert not inside_too.got(again)


def test_two_nodes_of_one_lan_do_not_meet_by_its_public_address(world: World) -> None:
    site, inside = world.home(EASY)
    second = world.lab.beside(site, "second", 20)
    beside, same_port = Udp(second, PORT + 1), Udp(second, PORT)
    assert seen(inside, world.told, TOLD) == (wan(site), PORT)
    assert seen(beside, world.told, TOLD) == (wan(site), PORT + 1)
    assert seen(same_port, world.told, TOLD)[1] not in (PORT, PORT + 1)
    by_wan = send(beside, (wan(site), PORT))
    assert inside.wait(send(beside, (str(site.lan.v4[2]), PORT))) == (str(site.lan.v4[20]), PORT + 1)
    assert not inside.got(by_wan)


@pytest.mark.parametrize("nat", [EASY, HARD], ids=["easy", "hard"])
def test_subscribers_of_one_carrier_share_its_address(world: World, nat: Nat) -> None:
    isp = world.lab.provider(f"isp{next(NUMBERS)}")
    public = str(isp.network.v4[9])
    carrier = world.lab.carrier(f"carrier{next(NUMBERS)}", public, nat, at=isp)
    (one, inside), (_, inside_too) = (world.home(EASY, subscriber_of=carrier.line) for _ in range(2))
    assert wan(one).startswith("100.64.")
    ends = seen(inside, world.told, TOLD), seen(inside_too, world.told, TOLD)
    assert {address for address, _ in ends} == {public}
    assert (ends[0][1] == PORT) == (not nat.hard)
    assert ends[1][1] not in (PORT, ends[0][1])
    for end, home in zip(ends, (inside, inside_too), strict=True):
        assert home.wait(send(world.told, end)) == (TOLD, PORT)
    hairpin = send(inside_too, ends[0])
    seen(inside_too, world.other, OTHER)
    assert not inside.got(hairpin)


@pytest.mark.parametrize("ttl", [3, 4, 5])
def test_an_opener_passes_two_carriers_and_ends_between_them(world: World, ttl: int) -> None:
    homes = list[tuple[Udp, tuple[str, int]]]()
    for _ in range(2):
        isp = world.lab.provider(f"isp{next(NUMBERS)}")
        address = str(isp.network.v4[9])
        carrier = world.lab.carrier(f"carrier{next(NUMBERS)}", address, EASY.accepting(), at=isp)
        homes.append((world.home(EASY.accepting(), subscriber_of=carrier.line)[1], (address, PORT)))
    (inside, here), (inside_too, there) = homes
    send(inside, there, ttl)
    send(inside_too, here, ttl)
    assert inside_too.wait(send(inside, there)) == here
    assert inside.wait(send(inside_too, here)) == there


# -- what happens to a NAT


@pytest.mark.parametrize("nat", [EASY, EASY_BY_ADDRESS, HARD], ids=["easy", "by address", "hard"])
def test_a_nat_gets_other_ports_and_another_address(world: World, nat: Nat) -> None:
    site, inside = world.home(nat)
    before = seen(inside, world.told, TOLD)
    assert seen(inside, world.told, TOLD) == before
    site.router.forget_translations()
    stale = send(world.told, before)
    assert (seen(inside, world.told, TOLD) == before) == (not nat.hard)
    site.router.change_ports()
    changed, by_other = seen(inside, world.told, TOLD), seen(inside, world.other, OTHER)
    assert changed[1] not in (PORT, before[1])
    assert (changed == by_other) == (not nat.hard)
    assert inside.wait(send(world.told, changed)) == (TOLD, PORT)
    if nat.by_address:
        assert inside.wait(send(world.told_too, changed)) == (TOLD, PORT + 1)
    site.router.renumber(str(ipaddress.ip_address(wan(site)) + 100))
    assert seen(inside, world.told, TOLD)[0] == wan(site) != before[0]
    assert not inside.got(stale)


def test_udp_of_a_site_is_blocked_and_let_through_again(world: World) -> None:
    site, inside = world.home(EASY)
    seen(inside, world.told, TOLD)
    site.router.block_udp()
    blocked, answer = send(inside, (TOLD, PORT)), send(world.told, (wan(site), PORT))
    assert site.gateway.run(["dig", "+short", "+tries=1", "ns1.example"], check=False).returncode == 0
    site.router.unblock_udp()
    seen(inside, world.told, TOLD)
    assert not world.told.got(blocked)
    assert not inside.got(answer)


def wan(site: Site) -> str:
    """The address of a home's router on its provider's network."""
    address = site.router.addresses.v4
    assert address
    return str(address.ip)
