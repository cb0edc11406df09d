"""Rounds of packets to many ports: who begins, what has to be known before, and how few there are whatever is said."""

from __future__ import annotations

from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_sync.wireguard.port_rewriting import Rewriting
from mesh_watchdog.policy.actions import Announce, AwaitKnocks, Call, EndRound, Knock, Rewrite, SetEndpoint
from mesh_watchdog.policy.birthday import KNOCKS, PORTS, ROUND
from mesh_watchdog.policy.endpoint_search import attempt
from mesh_watchdog.policy.nat_class import EASY, HARD
from mesh_watchdog.policy.observations import ABLE, NOW, Knocked, Rewritten, Standing
from mesh_watchdog.policy.rounds import BACK_OFF, ENTRIES, ENTRIES_WITHIN, LASTED, LENIENT, Pair
from unit.birthday_life import FAR, OBSERVERS, NatLife, easy, hard, place, waiting

# -- how a round goes


def test_the_hard_end_invites_and_opens_its_ports_when_the_easy_one_says_that_it_knocks() -> None:
    life = hard()
    [(_, invitation)] = [(moment, call) for moment, call in life.of(Call) if isinstance(call, Call) and call.now]
    assert isinstance(invitation, Call)
    assert (invitation.about, invitation.observers) == (FAR[0], ("r",))
    assert not life.of(AwaitKnocks)
    life.hear(FAR[0], place(0, 51820), Standing(EASY, NOW))
    assert life.last(AwaitKnocks) == AwaitKnocks(place(0, 51820), 3)


def test_the_easy_end_calls_back_and_knocks_at_the_address() -> None:
    life = easy()
    assert life.last(Knock) == Knock("198.18.1.1")
    answers = [call for _, call in life.of(Call) if isinstance(call, Call) and call.now]
    assert [(call.about, call.observers) for call in answers] == [(FAR[0], ("r",))]


def test_a_knock_has_the_port_rewritten_and_then_the_endpoint_set() -> None:
    life = waiting()
    life.observe(Knocked(place(0, 51820), 40001))
    order = [action for _, action in life.of(Rewrite, SetEndpoint)][-2:]
    assert order == [
        Rewrite(frozenset([Rewriting(place(0, 51820), 40001, 51820)])),
        SetEndpoint(FAR[0], place(0, 51820), "birthday", afresh=True),
    ]
    before = len(life.done)
    life.observe(Knocked(place(0, 51820), 40002))
    life.observe(Knocked(place(1, 51820), 40002))
    assert len(life.done) == before, "one is enough, and others were not waited for"


def test_nothing_else_is_tried_while_the_handshake_is_due() -> None:
    life = waiting()
    life.observe(Knocked(place(0, 51820), 40001))
    before = len(life.of(SetEndpoint))
    life.hear(FAR[0], place(0, 4711), Standing(EASY, ABLE), observer="s")
    life.go_on(ROUND / 2)
    assert len(life.of(SetEndpoint)) == before


def test_news_from_dns_wait_for_the_handshake_too() -> None:
    life = waiting()
    peer = evolve(life.state.peers[FAR[0]], tries=(("198.18.9.9:1", "dns"),), next_try=0.0)
    assert attempt(FAR[0], peer, life.state, life.moment)[1]
    life.observe(Knocked(place(0, 51820), 40001))
    assert not attempt(FAR[0], peer, life.state, life.moment)[1]


def test_who_is_met_is_knocked_at_no_more_and_the_round_was_no_failure() -> None:
    life = easy()
    life.up.add(FAR[0])
    life.go_on(1.0)
    assert life.last(EndRound)
    pair = life.state.birthday.pairs[FAR[0]]
    assert (pair.failed, pair.met is not None) == (0, True)


def test_a_round_that_fails_says_when_the_next_one_is() -> None:
    life = easy()
    life.pass_idly(ROUND + 1)
    announced = [one for _, one in life.of(Announce) if isinstance(one, Announce) and one.key == FAR[0]]
    assert [one.text for one in announced] == ["is not met by packets to many ports; the next ones after 10 minutes"]


def test_a_path_that_does_not_last_counts_as_a_failure() -> None:
    life = easy()
    life.up.add(FAR[0])
    life.go_on(1.0)
    life.up.remove(FAR[0])
    life.pass_idly(LASTED / 2)
    assert life.state.birthday.pairs[FAR[0]].failed == 1


# -- what has to be so


@pytest.mark.parametrize(
    "how", [{"on": False}, {"metered": frozenset(["eth0"])}], ids=["switched off", "by a metered device"]
)
def test_without_leave_nothing_is_sent(how: dict[str, object]) -> None:
    assert not easy(**how).of(Knock)
    life = hard(**how)
    life.hear(FAR[0], place(0, 51820), Standing(EASY, NOW))
    assert not [call for _, call in life.of(Call) if isinstance(call, Call) and call.now]
    assert not life.of(AwaitKnocks)


@pytest.mark.parametrize("where", ["192.168.7.7:1", "100.64.0.7:1", "[2001:db8::7]:1", "192.168.1.2:1"])
def test_no_packets_go_to_inner_addresses_or_by_ipv6(where: str) -> None:
    life = NatLife(EASY)
    life.go_on(5.0)
    life.hear(FAR[0], where, Standing(HARD, NOW))
    life.go_on(1.0)
    assert not life.of(Knock)


@pytest.mark.parametrize("said", [Standing(HARD, ABLE), Standing(EASY, NOW), Standing("", NOW), Standing(HARD)])
def test_only_a_hard_peer_that_is_ready_is_knocked_at(said: Standing) -> None:
    life = NatLife(EASY)
    life.go_on(5.0)
    life.hear(FAR[0], place(0), said)
    life.go_on(1.0)
    assert not life.of(Knock)


def test_a_peer_that_is_up_is_not_met_like_this() -> None:
    life = NatLife(EASY)
    life.hear(OBSERVERS[0], place(0), Standing(HARD, NOW), observer="s")
    life.go_on(1.0)
    assert not life.of(Knock)


def test_ports_are_opened_for_nobody_who_was_not_invited() -> None:
    life = NatLife(HARD)
    life.go_on(5.0)
    life.hear(FAR[0], place(0, 51820), Standing(EASY, NOW))
    assert not life.of(AwaitKnocks)


def test_an_answer_to_an_invitation_is_that_of_the_one_who_was_invited() -> None:
    life = hard()
    life.hear(FAR[1], place(0, 51820), Standing(EASY, NOW))
    assert not life.of(AwaitKnocks)


# -- bounds


def test_an_address_that_was_of_no_use_is_left_alone_whoever_is_said_to_be_there() -> None:
    life = easy()
    life.go_on(ENTRIES_WITHIN + ROUND)
    life.hear(FAR[1], place(0, 4711), Standing(HARD, NOW))
    life.go_on(1.0)
    assert len(life.of(Knock)) == 1
    life.hear(FAR[1], place(1), Standing(HARD, NOW))
    life.go_on(1.0)
    assert life.last(Knock) == Knock("198.18.1.2")


def test_a_pair_is_left_alone_for_longer_after_each_failure() -> None:
    life = hard()
    while life.moment < sum(BACK_OFF[:2]) + 100.0:
        life.report(FAR[0], place(0, 51820), Standing(EASY, ABLE))
        life.go_on(14.0, step=14.0)
        life.hear(FAR[0], place(0, 51820), Standing(EASY, NOW))
    begun = [moment for moment, _ in life.of(AwaitKnocks)]
    pauses = [later - sooner for sooner, later in pairwise(begun)]
    assert [pause >= least for pause, least in zip(pauses, BACK_OFF, strict=False)] == [True, True], "tried again, too"


def test_pauses_grow_to_six_hours_and_a_path_that_lasts_ends_them() -> None:
    pair, pauses = Pair(), list[float]()
    for _ in range(5):
        pair = pair.after(failed=True)
        pauses.append(pair.pause())
    assert pauses == [600.0, 3600.0, 21600.0, 21600.0, 21600.0]
    assert pair.after(failed=False).pause() == 60.0


wishes = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 3.0, 20.0, 40.0, 700.0]),
        st.sampled_from(FAR),
        st.integers(0, 3),
        st.sampled_from(OBSERVERS),
        st.sampled_from([Standing(HARD, NOW), Standing(EASY, NOW), Standing(EASY, ABLE)]),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([EASY, HARD]), wishes)
def test_whatever_is_said_rounds_are_few(nat: str, said: list[tuple[float, str, int, str, Standing, bool]]) -> None:
    life = NatLife(nat)
    life.go_on(5.0)
    for pause, key, number, observer, standing, meets in said:
        life.go_on(pause, step=max(0.25, pause / 20))
        life.report(key, place(number), standing)
        life.hear(key, place(number), standing, observer=observer)
        if meets and life.state.birthday.round is not None:
            life.up.add(life.state.birthday.round.key)
            life.go_on(0.5)
            life.up = set(OBSERVERS)
    many = [(moment, KNOCKS if isinstance(action, Knock) else PORTS) for moment, action in life.of(Knock, AwaitKnocks)]
    for start, _ in many:
        assert sum(count for moment, count in many if start <= moment < start + ENTRIES_WITHIN) <= ENTRIES
    open_ = 0
    for _, action in life.of(Knock, AwaitKnocks, EndRound):
        open_ = open_ + 1 if not isinstance(action, EndRound) else 0
        assert open_ <= 1, "one pair at a time"
    knocks = [(moment, action.address) for moment, action in life.of(Knock) if isinstance(action, Knock)]
    useless = [moment for moment, address in knocks if address == knocks[0][1]] if knocks and not any(
        meets for *_, meets in said
    ) else []  # fmt: skip
    assert all(later - sooner >= LENIENT * BACK_OFF[0] for sooner, later in pairwise(useless))


# -- what is rewritten


def test_rules_of_a_watchdog_before_this_one_stay_while_their_peer_does() -> None:
    life = hard()
    rule = Rewriting(place(0, 51820), 40001, 51820)
    life.seen[FAR[0]] = evolve(life.seen[FAR[0]], endpoint=rule.endpoint)
    life.up.add(FAR[0])
    life.go_on(1.0)
    life.observe(Rewritten(frozenset([rule])))
    life.go_on(60.0)
    assert not life.of(Rewrite)
    life.up.remove(FAR[0])
    life.pass_idly(120.0)
    assert life.last(Rewrite) == Rewrite(frozenset())


@pytest.mark.parametrize(
    "rule", [Rewriting(place(1, 51820), 40001, 51820), Rewriting(place(0, 51820), 40001, 51821)],
    ids=["of a peer that is elsewhere", "for another port of ours"],
)  # fmt: skip
def test_rules_that_serve_nobody_are_removed(rule: Rewriting) -> None:
    life = hard()
    life.seen[FAR[0]] = evolve(life.seen[FAR[0]], endpoint=place(0, 51820))
    life.up.add(FAR[0])
    life.go_on(1.0)
    life.observe(Rewritten(frozenset([rule])))
    life.go_on(1.0)
    assert life.last(Rewrite) == Rewrite(frozenset())


def test_where_rounds_are_switched_off_nothing_is_rewritten() -> None:
    life = hard(on=False)
    life.observe(Rewritten(frozenset([Rewriting(place(0, 51820), 40001, 51820)])))
    life.go_on(1.0)
    assert life.last(Rewrite) == Rewrite(frozenset())


def test_a_round_that_comes_to_nothing_leaves_no_rule() -> None:
    life = waiting()
    life.observe(Knocked(place(0, 51820), 40001))
    life.go_on(ROUND + 20.0)
    assert life.last(Rewrite) == Rewrite(frozenset())
    assert life.state.birthday.pairs[FAR[0]].failed == 1
