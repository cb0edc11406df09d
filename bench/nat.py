"""Peers behind NATs: which pairs of kinds meet, and how soon; after a NAT has changed, and after a relay has died."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from attrs import frozen
from bench.nat_idle import idle
from bench.nat_world import DIRECT, DOUBLE, KINDS, NONE, RELAYED, World, until
from bench.table import Lines

from lab.mesh import now
from lab.nat import EASY, HARD, Nat

SETTLED, LONGEST = 8.0, 60.0
"""Seconds without a change after which a pair has met or has not, and after which that is taken anyhow."""
REST = 3.0
HUBS = ("hub", "hub2")
BIRTHDAY = 40.0
"""Seconds for the classes of both NATs to be known, and for one round."""
TALK = 12.0
"""Seconds of pings before something happens: whether a peer answers at once is learned from its answers."""
NOTE = (
    "Each is behind a NAT at an access provider of its own, three hops from the others; two public peers are relays. "
    "Seconds are\nthose of the clock, from the event until a ping (ten to the second) is answered, and for `direct` "
    "until both ends send to each other.\nNo delay, no loss on the lines; all programs of all nodes share this machine."
)


@frozen
class Timed:
    """A row: seconds of each run, and within how many the median and the 95th percentile are to be."""

    name: str
    taken: tuple[float, ...]
    goal: str = ""
    median: float = math.inf
    p95: float = math.inf


def nat(quick: bool) -> Iterator[Lines]:
    """Measure; yield the matrix of each manner of router, then the times."""
    yield from matrices()
    runs = 2 if quick else 10
    rows: list[Timed] = []
    for measure in MEASURES:
        for row in measure(runs):
            rows.append(row)
            print("  ".join(_cells(row)), file=sys.stderr)
    yield [("what happens", "median", "p95", "runs", "each", "goal", "met"), *map(_cells, rows)]
    yield idle(60 if quick else 300)


def _cells(row: Timed) -> tuple[str, ...]:
    median, p95 = statistics.median(row.taken), sorted(row.taken)[math.ceil(len(row.taken) * 0.95) - 1]
    met = ("yes" if median <= row.median and p95 <= row.p95 else "NO") if row.goal else ""
    each = ", ".join(map(_seconds, sorted(row.taken)))
    return row.name, _seconds(median), _seconds(p95), str(len(row.taken)), each, row.goal, met


def _seconds(value: float) -> str:
    return "never" if math.isinf(value) else f"{max(value, 0):.1f}"


# -- who meets


def matrices() -> tuple[Lines, Lines]:
    """Each pair of kinds with routers that drop, and with such that accept; in a world of its own for each pair."""
    pairs = list(itertools.combinations_with_replacement(KINDS, 2))
    found = {pair: _outcomes(*pair) for pair in pairs}
    special = {"same LAN": _outcomes("easy", None), "same carrier": _outcomes(DOUBLE, None)}
    return _table(found, special, 0), _table(found, special, 1)


def _table(found: Mapping[tuple[str, str], Sequence[str]], special: Mapping[str, Sequence[str]], accepts: int) -> Lines:
    head = (("routers drop", "routers accept")[accepts], *KINDS)
    by_pair = {**found, **{(other, one): each for (one, other), each in found.items()}}
    rows = [(one, *(by_pair[one, other][accepts] for other in KINDS)) for one in KINDS]
    return [head, *rows, *((name, each[accepts], *[""] * (len(KINDS) - 1)) for name, each in special.items())]


def _outcomes(one: str, other: str | None) -> Sequence[str]:
    """How two of these kinds meet when their routers drop, and when they accept.

    Without ``other`` the second one is in the LAN of the first, or has the same carrier if that is a kind with one.
    """
    with World() as world:
        world.public(*HUBS, relay=True)
        pairs = [(f"{manner}a", f"{manner}b") for manner in ("drop", "accept")]
        for first, second in pairs:
            kinds = [
                KINDS[kind or one].accepting() if first == "accepta" else KINDS[kind or one] for kind in (one, other)
            ]
            home = world.home(first, kinds[0], double=one == DOUBLE)
            if other is None and one == DOUBLE:
                world.home(second, kinds[1], carrier=home.outer)
            elif other is None:
                world.beside(second, home)
            else:
                world.home(second, kinds[1], double=other == DOUBLE)
        world.begin()
        found = _settled(world, pairs)
        print(f"bench: {one} with {other or 'its neighbour'}: {' and '.join(found)}", file=sys.stderr)
        for (first, _), each in zip(pairs, found, strict=True):
            if each == NONE:
                print(f"bench: the watchdog of {first} said:\n{world.log(first).read_text()}", file=sys.stderr)
        return found


def _settled(world: World, pairs: Sequence[tuple[str, str]]) -> Sequence[str]:
    """Look until all pairs meet and nothing has changed for a while."""
    began = changed = time.monotonic()
    found: Sequence[str] = [NONE]
    while time.monotonic() < min(changed + SETTLED, began + LONGEST) or (
        NONE in found and time.monotonic() < began + LONGEST
    ):
        time.sleep(1)
        seen = list(world.outcomes(pairs).values())
        if seen != found:
            found, changed = seen, time.monotonic()
    return found


# -- how soon


@contextlib.contextmanager
def _begun(
    homes: Mapping[str, Nat], hubs: Sequence[str] = HUBS, *, relay: bool = True, birthday: bool = False
) -> Iterator[World]:
    """A mesh of homes behind these NATs, and of public peers."""
    with World() as world:
        world.public(*hubs, relay=relay)
        for name, kind in homes.items():
            world.home(name, kind)
            world.mesh.configure(world.node(name), nat={"birthday": birthday})
        world.begin()
        yield world


def _each(
    runs: int, ready: Callable[[], bool], measure: Callable[[int], tuple[float, ...]], values: int = 1
) -> list[tuple[float, ...]]:
    """Each value that is measured, of all runs; infinite for a run that could not begin."""
    taken = []
    for run in range(runs):
        taken.append(measure(run) if ready() else (math.inf,) * values)
        time.sleep(REST)
    return list(zip(*taken, strict=True))


def easy_easy(runs: int) -> Iterator[Timed]:
    """Both ends get each other by a commit, with one public peer, which is no relay."""
    with _begun({"a": EASY, "b": EASY}, HUBS[:1], relay=False) as world:
        [taken] = _from_nothing(world, runs)
    yield Timed("easy-easy, one public peer: direct", taken, "median 1 s, p95 2 s", 1.0, 2.0)


def easy_hard(runs: int) -> Iterator[Timed]:
    """The same with a NAT that cannot be met; the public peer is a relay."""
    with _begun({"a": EASY, "b": HARD}, HUBS[:1]) as world:
        [taken] = _from_nothing(world, runs)
    yield Timed("easy-hard, no birthday: relayed", taken, "3 s", p95=3.0)


def birthday(runs: int) -> Iterator[Timed]:
    """An easy NAT and a hard one whose nodes may send packets to many ports; each round for the first time."""
    taken = []
    for _ in range(runs):
        with _begun({"a": EASY, "b": HARD}, birthday=True) as world:
            met = world.connected(("a", "b"), by=DIRECT, seconds=BIRTHDAY)
            said = re.findall(r"after ([\d.]+) s of packets", world.log("a").read_text() + world.log("b").read_text())
            taken.append(max(map(float, said)) if met and said else math.inf)
    yield Timed(
        "easy-hard, with birthday: a round until it is direct, as the watchdogs say", tuple(taken), "3 s", p95=3.0
    )


def _from_nothing(world: World, runs: int) -> list[tuple[float, ...]]:
    def measure(run: int) -> tuple[float]:
        _forget_each_other(world)
        world.watch("a", "b")
        world.connected(("a", "hub"), ("b", "hub"))
        world.mesh.set("hub", description=f"run {run}")
        world.mesh.push(f"run {run}")
        with world.pings("a", "b") as pings, ThreadPoolExecutor(4) as pool:
            known = [pool.submit(_until_known, world, *ends) for ends in (("a", "b"), ("b", "a"))]
            list(pool.map(now, (world.node("a"), world.node("b"))))
            since = max(each.result() for each in known)
            return (pings.first(since - 0.05) - since,)

    return _each(runs, lambda: world.connected(("a", "b"), ("a", "hub"), ("b", "hub")), measure)


def _forget_each_other(world: World) -> None:
    """Take the peers, their sessions and the NATs' translations away; those with the hub are there again at once."""
    hub = ["peer", world.keys["hub"], "allowed-ips", f"{world.addresses['hub']}/32"]
    for one, other in (("a", "b"), ("b", "a")):
        world.node(one).run(["wg", "set", "wg0", "peer", world.keys[other], "remove", *hub])
        world.homes[one].outer.forget_translations()
    world.connected(("a", "hub"), ("b", "hub"))


def _until_known(world: World, one: str, other: str) -> float:
    """Wait until the interface has the other peer; return when that was."""
    script = f"until wg show wg0 peers | grep -qF '{world.keys[other]}'; do sleep 0.02; done; date +%s.%N"
    return float(world.node(one).run(["sh", "-c", script]).stdout)


def changes(runs: int) -> Iterator[Timed]:
    """The NAT of one of two homes that talk gets another address, or other ports; unnoticed there."""
    for name, event in (("address", _renumber), ("ports", _change_ports)):
        with _begun({"a": EASY, "b": EASY}) as world:
            relayed, direct = _each(runs, partial(_meet, world), partial(_changed, world, event), values=2)
        yield Timed(f"a NAT's {name} changes: reached again, by a relay or directly", relayed, "3 s", p95=3.0)
        yield Timed("… direct", direct, "5 s", p95=5.0)


def _meet(world: World) -> bool:
    """Restart the watchdogs of the homes; whether all homes meet."""
    world.watch(*world.homes)
    return world.connected(*itertools.combinations(world.homes, 2), by=DIRECT)


def _changed(world: World, event: Callable[[World, str, int], None], run: int) -> tuple[float, float]:
    """Seconds from the event at a until b is reached, and until both reach each other directly."""
    with world.pings("a", "b") as pings:
        time.sleep(TALK)
        since = time.time()
        event(world, "a", run)
        return pings.first(since + 0.2) - since, until(lambda: _is_met(world, "a", "b"), since)


def _is_met(world: World, one: str, other: str) -> bool:
    return world.is_direct(one, other) and world.outcomes([(one, other)]) == {(one, other): DIRECT}


def _renumber(world: World, name: str, run: int) -> None:
    address = world.homes[name].outer.addresses.v4
    assert address
    world.homes[name].outer.renumber(str(address.network[100 + run]))


def _change_ports(world: World, name: str, _run: int) -> None:
    world.homes[name].outer.change_ports()


def all_move(runs: int) -> Iterator[Timed]:
    """A mesh of five, of which four are renumbered within a second, while DNS is frozen; each pair is waited for."""
    with _begun(dict.fromkeys("abcd", EASY), HUBS[:1]) as world:
        world.lab.dns.freeze()
        [slowest] = _each(runs, partial(_meet, world), partial(_moved, world))
    yield Timed("four of five renumbered at once, DNS frozen: the slowest pair", slowest, "10 s", p95=10.0)


def _moved(world: World, run: int) -> tuple[float]:
    pairs = list(itertools.combinations(world.homes, 2))
    with ThreadPoolExecutor(len(pairs)) as pool, contextlib.ExitStack() as stack:
        pings = [stack.enter_context(world.pings(*pair)) for pair in pairs]
        time.sleep(TALK)
        since = time.time()
        list(pool.map(lambda name: _renumber(world, name, run), world.homes))
        moved = time.time()
        return (max(pool.map(lambda each: each.first(moved + 0.1), pings)) - since,)


def relay_dies(runs: int) -> Iterator[Timed]:
    """The relay between two homes behind hard NATs loses its line."""
    with _begun({"a": HARD, "b": HARD}) as world:
        [taken] = _each(runs, lambda: world.connected(("a", "b"), by=RELAYED), partial(_relay_lost, world))
    yield Timed("the relay of a pair dies: through the other one", taken, "3 s", p95=3.0)


def _relay_lost(world: World, _run: int) -> tuple[float]:
    with world.pings("a", "b") as pings:
        time.sleep(TALK)
        relay = world.node(world.holder("a", "b"))
        since = time.time()
        relay.port.unplug()
        taken = pings.first(since + 0.1) - since
        relay.port.plug()
    world.connected(*itertools.product("ab", HUBS))
    return (taken,)


MEASURES: tuple[Callable[[int], Iterator[Timed]], ...] = (easy_easy, easy_hard, birthday, changes, all_move, relay_dies)
