"""What a node tells of new commits, and what it does about what others tell: at most so much, whoever they are."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_watchdog.policy import news as policy
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.news import (
    Acts,
    Ask,
    Expected,
    Heard,
    Learnt,
    News,
    Pull,
    Tell,
    hear,
    learn,
    step,
    wait,
    without,
)
from mesh_watchdog.policy.observations import Applied, Declared, Seen, Snapshot, Surroundings
from mesh_watchdog.policy.state import State

OLD, NEW, NEWER = "0" * 40, "1" * 40, "2" * 40
PEERS = tuple(f"peer{number}" for number in range(10))


def told_of(*acts: object) -> list[str]:
    return [key for act in acts if isinstance(act, Tell) for key in act.peers]


def begun(commit: str | None = OLD) -> News:
    news, acts = learn(News(), Learnt(commit), PEERS, "me", 0.0)
    assert acts == ()
    return news


def learnt(news: News, commit: str, moment: float, *refused: str) -> tuple[News, Acts]:
    return learn(news, Learnt(commit, frozenset(refused)), PEERS, "me", moment)


# -- telling


def test_three_are_told_at_once_and_three_others_a_little_later() -> None:
    news, first = learnt(begun(), NEW, 10.0)
    assert wait(news, 10.0) == policy.AGAIN
    news, none = step(news, PEERS, "me", 10.0 + policy.AGAIN / 2)
    assert none == ()
    news, second = step(news, PEERS, "me", 10.0 + policy.AGAIN)
    assert [act.commit for act in (*first, *second) if isinstance(act, Tell)] == [NEW, NEW]
    assert len({*told_of(*first, *second)}) == 6
    assert step(news, PEERS, "me", 1e6) == (news, ())
    assert wait(news, 1e6) == float("inf")


def test_a_commit_is_told_once() -> None:
    news, _ = learnt(begun(), NEW, 10.0)
    news, again = learnt(news, NEW, 11.0)
    assert again == ()
    news, back = learnt(news, OLD, 12.0)  # rolled back
    assert back == ()
    assert step(news, PEERS, "me", 20.0)[1] == (), "others are not told of what was rolled back"
    assert learnt(news, NEW, 30.0)[1] == ()


def test_what_is_applied_when_the_watchdog_begins_is_not_new() -> None:
    assert step(begun(), PEERS, "me", 100.0)[1] == ()
    news = begun(None)  # a node that has just joined
    news, acts = learnt(news, OLD, 5.0)
    assert acts == ()


def test_another_node_tells_others_and_this_one_others_of_another_commit() -> None:
    def chosen(own: str, commit: str) -> tuple[str, ...]:
        return policy.choose(set(PEERS), commit, own)

    everyone = {chosen(own, commit) for own in map(str, range(20)) for commit in (NEW, NEWER)}
    assert len(everyone) > 30
    assert {key for each in everyone for key in each} == set(PEERS)


def test_who_has_told_is_not_told() -> None:
    peers = PEERS[:4]
    news = begun()
    for teller in peers[:2]:
        news, _ = hear(news, Heard(teller, NEW), 1.0)
    news, acts = learn(news, Learnt(NEW), peers, "me", 2.0)
    assert set(told_of(*acts)) == set(peers[2:])


def test_many_commits_in_a_row_are_not_all_told() -> None:
    news, acts = begun(), list[object]()
    for number in range(1, 50):
        news, more = learnt(news, f"{number:040x}", number * 0.5)
        acts += more
    assert len(acts) == policy.MOST_TOLD
    assert learnt(news, NEW, 100.0)[1], "later ones are"


# -- hearing


def test_what_is_new_is_looked_for_at_once() -> None:
    news, acts = hear(begun(), Heard("peer1", NEW), 1.0)
    assert acts == (Pull(NEW, ("peer1",)),)
    assert wait(news, 1.0) == policy.RETRY


@pytest.mark.parametrize("commit", [OLD, NEW])
def test_what_is_applied_or_was_or_was_refused_is_no_news(commit: str) -> None:
    news, _ = learnt(begun(), NEWER, 1.0, NEW)
    assert hear(news, Heard("peer1", commit), 2.0) == (news, ())


def test_a_node_without_a_mesh_looks_for_nothing() -> None:
    assert hear(News(), Heard("peer1", NEW), 1.0) == (News(), ())


def test_others_who_tell_the_same_are_asked_by_the_second_look_and_there_is_no_third() -> None:
    news, _ = hear(begun(), Heard("peer1", NEW), 1.0)
    for number in range(2, 9):
        news, acts = hear(news, Heard(f"peer{number}", NEW), 1.5)
        assert acts == ()
    news, acts = step(news, PEERS, "me", 1.0 + policy.RETRY)
    assert acts == (Pull(NEW, ("peer1", "peer2", "peer3")),)
    for moment in range(6, 60):
        news, acts = step(news, PEERS, "me", float(moment))
        assert acts == ()
    assert news.expected == ()


def test_a_commit_that_comes_ends_the_search() -> None:
    news, _ = hear(begun(), Heard("peer1", NEW), 1.0)
    news, _ = learnt(news, NEWER, 2.0)  # what came descends from it
    assert news.expected == ()
    assert news.cautions["peer1"].failed == 0


def test_who_tells_of_what_never_comes_waits_longer_each_time() -> None:
    news, waits = begun(), list[float]()
    moment = 0.0
    for number in range(1, 12):
        news, acts = hear(news, Heard("liar", f"{number:040x}"), moment)
        assert acts
        moment += policy.PATIENCE + policy.RETRY
        news, _ = step(news, (), "me", moment - policy.PATIENCE)
        news, _ = step(news, (), "me", moment)
        waits.append(news.cautions["liar"].until - moment)
        assert hear(news, Heard("liar", "f" * 40), moment + waits[-1] - 0.1)[1] == ()
        assert hear(news, Heard("honest", "f" * 40), moment)[1], "others are heard meanwhile"
        moment += max(waits[-1], policy.PERIOD)
    assert waits == sorted(waits)
    assert waits[-1] == policy.LONGEST_PAUSE


def test_who_tells_of_what_is_refused_waits_too() -> None:
    news, _ = hear(begun(), Heard("liar", NEW), 1.0)
    news, _ = learnt(news, OLD, 2.0, NEW)
    assert (news.expected, news.cautions["liar"].failed) == ((), 1)


def test_peers_that_left_are_forgotten() -> None:
    news, _ = hear(begun(), Heard("peer1", NEW), 1.0)
    assert without(news, ["peer1"]) is news
    assert without(news, ["peer2"]).cautions == {}


def test_looks_for_what_came_do_not_count() -> None:
    news, moment = begun(), 0.0
    for number in range(1, 12):
        commit = f"{number:040x}"
        news, acts = hear(news, Heard("peer1", commit), moment)
        assert acts == (Pull(commit, ("peer1",)),)
        news, _ = step(news, PEERS, "me", moment + policy.RETRY)
        news, _ = learnt(news, commit, moment + policy.PAUSE)
        moment += policy.PAUSE


# -- floods

MOMENTS = st.lists(st.floats(0.0, 2.0), max_size=150)
TELLERS = st.sampled_from(PEERS)
COMMITS = st.integers(0, 40).map(lambda number: f"{number:040x}")
EVENTS = st.lists(st.tuples(st.floats(0.0, 2.0), st.one_of(st.builds(Heard, TELLERS, COMMITS), COMMITS, st.none())))


@settings(max_examples=300)
@given(EVENTS)
def test_whatever_is_told_the_looks_are_few(events: list[tuple[float, Heard | str | None]]) -> None:
    news, moment = begun(), 0.0
    pulls, tells, told = list[tuple[float, str]](), list[float](), list[str]()
    for passed, event in events:
        moment += passed
        before = news
        if isinstance(event, Heard):
            news, acts = hear(news, event, moment)
        elif event is None:
            news, acts = step(news, PEERS, "me", moment)
        else:
            news, acts = learnt(news, event, moment)
            true = {key for each in before.expected if each.commit == event for key in each.tellers}
            pulls = [pull for pull in pulls if pull[1] not in true]
        for act in acts:
            if isinstance(act, Pull):
                assert len(act.tellers) <= policy.FANOUT
                pulls.append((moment, act.tellers[0]))
                assert act.commit != news.applied
                assert act.commit not in news.refused
            elif isinstance(act, Tell):
                assert len(act.peers) <= policy.FANOUT
                tells.append(moment)
                told.append(act.commit)
    for moments, most in (([at for at, _ in pulls], policy.MOST_PULLS), (tells, 2 * policy.MOST_TOLD + 1)):
        assert all(sum(0 <= other - one < policy.PERIOD for other in moments) <= most for one in moments)
    assert len(news.expected) <= policy.MOST_PULLS
    assert len(news.known) <= policy.REMEMBERED
    assert len(news.cautions) <= len(PEERS)


@settings(max_examples=200)
@given(MOMENTS)
def test_one_peer_has_a_node_look_at_most_each_five_seconds(moments: list[float]) -> None:
    news, moment, pulls = begun(), 0.0, list[float]()
    for number, passed in enumerate(moments, start=1):
        moment += passed
        news, acts = hear(news, Heard("peer1", f"{number:040x}"), moment)
        pulls += [moment] * len(acts)
    assert all(after - before >= policy.PAUSE for before, after in itertools.pairwise(pulls))


@settings(max_examples=200)
@given(MOMENTS)
def test_a_peer_that_lies_without_end_does_not_keep_another_from_being_heard(moments: list[float]) -> None:
    news, moment, looks = begun(), 0.0, 0
    for number, passed in enumerate(moments, start=1):
        moment += passed
        news, acts = step(news, PEERS, "me", moment)
        looks += len(acts)
        news, acts = hear(news, Heard("liar", f"{number:040x}"), moment)
        looks += len(acts)
        assert hear(news, Heard("honest", NEW), moment)[1] == (Pull(NEW, ("honest",)),)
    assert looks <= policy.MOST_PULLS_OF_ONE * (1 + moment // policy.PERIOD)


# -- asking


def test_while_the_remotes_do_not_answer_peers_are_asked_all_in_their_turn() -> None:
    news, _ = learn(begun(), Learnt(OLD, alone=True), PEERS, "me", 10.0)
    asked, moment = list[str](), 10.0
    assert wait(news, moment) == 0
    for _ in range(2 * len(PEERS)):
        news, acts = step(news, PEERS, "me", moment)
        assert len({act.peer for act in acts if isinstance(act, Ask)}) == len(acts) == policy.FANOUT
        asked += [act.peer for act in acts if isinstance(act, Ask)]
        assert wait(news, moment) == policy.ASKING
        moment += policy.ASKING
    for begin in range(0, len(asked), len(PEERS)):
        assert set(asked[begin : begin + len(PEERS)]) == set(PEERS), "one that has it is not left out by chance"
    news, _ = learn(news, Learnt(OLD, alone=True), PEERS, "me", moment - 1)
    assert wait(news, moment - 1) == 1, "not sooner because a run has ended"
    news, _ = learn(news, Learnt(OLD), PEERS, "me", moment)
    assert step(news, PEERS, "me", moment + 100)[1] == ()
    assert wait(news, moment) == float("inf")


def test_who_has_two_peers_asks_each_of_them_once_at_a_time() -> None:
    news, _ = learn(begun(), Learnt(OLD, alone=True), PEERS[:2], "me", 10.0)
    for number in range(4):
        news, acts = step(news, PEERS[:2], "me", 10.0 + number * policy.ASKING)
        assert sorted(act.peer for act in acts if isinstance(act, Ask)) == ["peer0", "peer1"]


def test_who_has_no_peer_that_is_up_asks_later() -> None:
    news, _ = learn(begun(), Learnt(OLD, alone=True), (), "me", 10.0)
    news, acts = step(news, (), "me", 10.0)
    assert acts == ()
    assert wait(news, 10.0) == policy.ASKING


def test_another_that_has_the_commit_is_a_reason_to_look_again() -> None:
    news, _ = hear(begun(), Heard("peer1", NEW), 1.0)
    news, _ = step(news, PEERS, "me", 1.0 + policy.RETRY)
    news, acts = hear(news, Heard("peer2", NEW), 6.0)
    assert acts == ()
    news, acts = step(news, PEERS, "me", 5.0 + policy.RETRY)
    assert acts == (Pull(NEW, ("peer1", "peer2")),)


# -- as a part of the whole


def test_the_watchdog_tells_peers_that_are_up_and_have_a_watchdog() -> None:
    declared = {
        "a": Declared("a", (), "10.0.0.2"),
        "b": Declared("b", (), "10.0.0.3", managed=False),
        "c": Declared("c", (), "10.0.0.4"),
    }
    state, _ = decide(State(), Applied(declared), 0.0)
    state, _ = decide(state, Surroundings(frozenset(), frozenset({4}), moved=False), 0.0)
    for moment, rx in ((1.0, 0), (2.0, 100)):
        seen = {key: Seen("203.0.113.2:51820", 1, rx if key != "c" else 0, 0) for key in declared}
        state, _ = decide(state, Snapshot(seen), moment)
    state, _ = decide(state, Learnt(OLD), 3.0)
    state, acts = decide(state, Learnt(NEW), 4.0)
    assert acts == (Tell(NEW, ("a",)),)
    state, acts = decide(state, Heard("a", NEWER), 5.0)
    assert acts == (Pull(NEWER, ("a",)),)
    assert [one.commit for one in state.news.expected] == [NEWER]
    state, acts = decide(state, Snapshot(seen), 5.0 + policy.RETRY)
    assert [act for act in acts if isinstance(act, Pull)] == [Pull(NEWER, ("a",))]
    assert state.news.expected == (Expected(NEWER, ("a",), 5.0 + policy.RETRY, 2),)
    state, _ = decide(state, Applied({key: declared[key] for key in "bc"}), 20.0)
    assert state.news.cautions == {}
