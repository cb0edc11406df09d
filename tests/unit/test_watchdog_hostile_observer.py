"""A peer that lies about where others are: bounded packets to its victims, and nothing done to whoever is alive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_watchdog.policy.actions import Action, Open, SetEndpoint
from mesh_watchdog.policy.dns_names import numeric
from mesh_watchdog.policy.observations import Reported, Sighting, Sought
from mesh_watchdog.policy.punching import AT_ONE_ADDRESS, BY_ONE_OBSERVER, IN_ALL, MINUTE, TO_ONE_ADDRESS
from mesh_watchdog.policy.reports import REPORTS
from sim import at, declared
from unit.policy_life import Life

LIARS = ("liar0", "liar1")
LIVE = ("live0", "live1")
LOST = tuple(f"lost{number}" for number in range(12))
VICTIMS = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "198.18.0.1")

Lie = tuple[float, str, str, bool, list[Sighting]]
sightings = st.lists(
    st.builds(
        Sighting,
        st.builds(at, st.sampled_from(VICTIMS), st.integers(1, 65535)) | st.sampled_from(["", "x", "127.0.0.1:1"]),
        st.floats(-10, 4 * 86400),
        st.booleans(),
    ),
    max_size=12,
)
LIES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.05, 0.3, 1.0, 4.0]),
        st.sampled_from(LIARS),
        st.sampled_from([*LIVE, *LOST, *LIARS, "me", "nobody"]),
        st.booleans(),
        sightings,
    ),
    max_size=60,
)


class LiedTo(Life):
    """A node whose liars and live peers answer, and whose lost ones never do."""

    def __init__(self) -> None:
        peers = {name: declared(name, [at(f"203.0.113.{n + 1}")]) for n, name in enumerate([*LIARS, *LIVE])}
        peers |= {name: declared(name) for name in LOST}
        super().__init__(peers, (*LIARS, *LIVE), "203.0.113.200")

    def tell(self, lie: Lie) -> None:
        pause, liar, about, search, places = lie
        self.go_on(pause)
        self.observe(Sought(about, liar, tuple(places)) if search else Reported(liar, about, tuple(places)))


def aimed(done: Iterable[tuple[float, Action]]) -> list[tuple[float, str]]:
    """What was sent to reported addresses: openers and tries, when and where to."""
    tries = (SetEndpoint, Open)
    return [(moment, str(numeric(one.endpoint))) for moment, one in done if isinstance(one, tries)]


def worst_minute(moments: list[float]) -> int:
    return max((sum(start <= moment < start + MINUTE for moment in moments) for start in moments), default=0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(LIES)
def test_no_lie_disturbs_a_live_peer_or_floods_a_victim(lies: list[Lie]) -> None:
    life = LiedTo()
    life.go_on(3.0)
    for lie in lies:
        life.tell(lie)
    life.go_on(5.0)
    assert not [one for _, one in life.done if isinstance(one, SetEndpoint) and one.key in (*LIARS, *LIVE)]
    sent = aimed(life.done)
    assert all(address in VICTIMS for _, address in sent), "nothing goes to what is no address of another machine"
    for victim in VICTIMS:
        assert worst_minute([moment for moment, address in sent if address == victim]) <= TO_ONE_ADDRESS
    assert worst_minute([moment for moment, _ in sent]) <= min(IN_ALL, len(LIARS) * BY_ONE_OBSERVER)
    there = Counter(str(numeric(life.seen[key].endpoint)) for key in LOST if life.seen[key].endpoint)
    assert max(there.values(), default=0) <= AT_ONE_ADDRESS
    assert all(len(reports) <= REPORTS for reports in life.state.rendezvous.reports.values())


def flood(life: LiedTo, seconds: float, liars: Iterable[str] = LIARS) -> None:
    """Every 0.2 s every liar says of every peer that it is at another port of the first victim, and of the second."""
    turn = 0
    while life.moment < seconds:
        turn += 1
        places = [Sighting(at(victim, 1000 + turn)) for victim in VICTIMS[:2]]
        for liar in liars:
            for about in (*LOST, *LIVE):
                life.tell((0.0, liar, about, turn % 2 == 0, places))
        life.go_on(0.2)


def test_a_flood_of_lies_costs_its_victims_a_packet_every_two_seconds() -> None:
    life = LiedTo()
    life.go_on(3.0)
    flood(life, 90.0)
    sent = aimed(life.done)
    for victim in VICTIMS[:2]:
        to_it = [moment for moment, address in sent if address == victim]
        assert 0 < worst_minute(to_it) <= TO_ONE_ADDRESS
    assert not [one for _, one in life.done if isinstance(one, SetEndpoint) and one.key in LIVE]


def test_a_liar_does_not_keep_an_honest_observer_from_being_believed() -> None:
    life = LiedTo()
    life.go_on(3.0)
    flood(life, 30.0, LIARS[:1])
    life.observe(Reported(LIVE[0], LOST[0], (Sighting("198.18.7.7:4711"),)))
    life.go_on(5.0)
    assert "198.18.7.7:4711" in [one.endpoint for _, one in life.done if isinstance(one, SetEndpoint)]


def test_liars_with_many_fresh_places_do_not_hide_where_an_honest_observer_has_seen_a_peer() -> None:
    life = LiedTo()
    life.go_on(3.0)
    for turn in range(60):
        for number, liar in enumerate(LIARS):
            places = tuple(Sighting(at(VICTIMS[number * 2 + port % 2], 1000 + 8 * turn + port)) for port in range(8))
            life.observe(Reported(liar, LOST[0], places))
        if turn == 5:
            life.observe(Reported(LIVE[0], LOST[0], (Sighting("198.18.7.7:4711", 12.0),)))
        life.go_on(1.0)
    assert "198.18.7.7:4711" in [one.endpoint for _, one in life.done if isinstance(one, SetEndpoint)]
