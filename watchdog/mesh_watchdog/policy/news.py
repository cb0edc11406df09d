"""News of commits: whom a node tells that it has a new one, and what it does about what peers tell. Pure.

A node tells three peers by chance, and three others a little later; each of them does the same once it has the commit.
While its remotes do not answer, a node asks its peers what they have. What is told has no more power than a pull: it
makes the node look sooner, at most so often, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set

from attrs import evolve, field, frozen

FANOUT = 3
"""Peers that are told at once, and once more."""
AGAIN = 1.0
"""Seconds after which other peers are told: the first three may have known, or be gone."""
PERIOD = 60.0
"""Seconds that the next bounds are about."""
MOST_TOLD, MOST_PULLS = 6, 6
"""Commits that are told, and looks, in a period. What is above comes with the next minute's run. Looks because of a
peer that told the truth do not count any more."""
MOST_PULLS_OF_ONE = 3
"""Looks in a period because of the same peer, so that none of them takes all: others are heard beside one that lies."""
PAUSE = 5.0
"""Seconds between two looks because of the same peer. Doubled whenever what it told of did not come, up to …"""
LONGEST_PAUSE = 600.0
RETRY = 4.0
"""Seconds after which a look that has brought nothing is repeated, once: a run may have been under way."""
PATIENCE = 20.0
"""Seconds within which a commit that was told comes; else who has told of it waits longer."""
ASKING = 15.0
"""Seconds after which `FANOUT` other peers are asked, while the remotes do not answer: this node may not have been
told."""
REMEMBERED = 16
"""Commits that were applied here, which are no news any more."""


@frozen
class Learnt:
    """mesh-sync has written what is applied now (None: nothing), and which commits it has refused.

    ``alone``: its remotes do not answer, and it would take a commit from a peer.
    """

    commit: str | None
    refused: frozenset[str] = frozenset()
    alone: bool = False


@frozen
class Heard:
    """The peer ``teller`` (public key) has a new commit, it says."""

    teller: str
    commit: str


@frozen
class Tell:
    """Tell these peers (public keys) that this node has the commit."""

    commit: str
    peers: tuple[str, ...]


@frozen
class Ask:
    """Ask the peer (public key) which commit it has; the answer is `Heard`."""

    peer: str


@frozen
class Pull:
    """Have mesh-sync look for the commit: at these peers (public keys), who have told of it, and at its remotes."""

    commit: str
    tellers: tuple[str, ...]


@frozen
class Expected:
    """A commit that was told and has not come yet. ``at``: when the last of its ``pulls`` was."""

    commit: str
    tellers: tuple[str, ...]
    at: float
    pulls: int = 1


@frozen
class Later:
    """A commit of which other peers than ``told`` are to be told at ``due``."""

    commit: str
    due: float
    told: tuple[str, ...]


@frozen
class Caution:
    """Nothing is taken from a peer before ``until``; ``failed``: how often in a row nothing came."""

    until: float
    failed: int = 0


@frozen
class News:
    """What is known of commits.

    ``known``: those that were applied, the newest last; ``told``: when; ``pulled``: when, and because of whom first;
    ``asking``: when peers are asked next what they have, None while the remotes answer; ``asked``: so often they were.
    """

    known: tuple[str, ...] = ()
    refused: frozenset[str] = frozenset()
    expected: tuple[Expected, ...] = ()
    later: Later | None = None
    told: tuple[float, ...] = ()
    pulled: tuple[tuple[float, str], ...] = ()
    cautions: Mapping[str, Caution] = field(factory=dict)
    asking: float | None = None
    asked: int = 0

    @property
    def applied(self) -> str | None:
        return self.known[-1] if self.known else None


Acts = tuple[Tell | Ask | Pull, ...]


def learn(news: News, learnt: Learnt, peers: Iterable[str], own: str, moment: float) -> tuple[News, Acts]:
    """Take in what mesh-sync has written, and tell of it. ``peers``: those that are up; ``own``: this node's key.

    What is applied when the watchdog begins is not new, nor is what this node has gone back to.
    """
    asking = (moment if news.asking is None else news.asking) if learnt.alone else None
    news = evolve(news, refused=learnt.refused, asking=asking)
    failed = [each for each in news.expected if each.commit in learnt.refused]
    news = _disappointed(news, failed, moment)
    if learnt.commit is None or learnt.commit == news.applied:
        return news, ()
    first, new = not news.known, learnt.commit not in news.known
    known = (*(each for each in news.known if each != learnt.commit), learnt.commit)[-REMEMBERED:]
    came, news = news.expected, evolve(news, known=known)
    if first or not new:
        return news, ()
    tellers = frozenset(key for each in came for key in each.tellers)
    kept = {key: evolve(one, failed=0) if key in tellers else one for key, one in news.cautions.items()}
    knowing = {key for each in came if each.commit == learnt.commit for key in each.tellers}
    pulled = tuple(one for one in news.pulled if one[1] not in knowing)
    news = evolve(news, expected=(), cautions=kept, pulled=pulled)
    recent = _recent(news.told, moment)
    if len(recent) >= MOST_TOLD:
        return news, ()
    chosen = choose(set(peers) - knowing, learnt.commit, own)
    later = Later(learnt.commit, moment + AGAIN, (*chosen, *sorted(knowing)))
    news = evolve(news, told=(*recent, moment), later=later)
    return news, (Tell(learnt.commit, chosen),) if chosen else ()


def choose(peers: Set[str], commit: str, own: str) -> tuple[str, ...]:
    """So many of ``peers``, by chance: other nodes choose others, and this one others for another commit."""
    return tuple(_shuffled(peers, f"{own} {commit}")[:FANOUT])


def in_turn(peers: Set[str], number: int, own: str) -> tuple[str, ...]:
    """So many of ``peers``, for the time ``number``: all have their turn before one has another."""
    order = _shuffled(peers, own)
    begin = number * FANOUT
    return tuple(order[place % len(order)] for place in range(begin, begin + min(FANOUT, len(order))))


def _shuffled(peers: Set[str], lots: str) -> list[str]:
    """In an order that only ``lots`` decides."""
    return sorted(peers, key=lambda key: hashlib.sha256(f"{lots} {key}".encode()).digest())


def hear(news: News, heard: Heard, moment: float) -> tuple[News, Acts]:
    """Take in what a peer of the list tells."""
    teller, commit = heard.teller, heard.commit
    if not news.known or commit in news.known or commit in news.refused:
        return news, ()
    caution = news.cautions.get(teller, Caution(0.0))
    if moment < caution.until:
        return news, ()
    news = evolve(news, cautions={**news.cautions, teller: evolve(caution, until=moment + PAUSE)})
    before = next((each for each in news.expected if each.commit == commit), None)
    if before:
        if len(before.tellers) < FANOUT and teller not in before.tellers:
            after = evolve(before, tellers=(*before.tellers, teller), pulls=1)  # this one may be able to give it
            news = evolve(news, expected=tuple(after if each is before else each for each in news.expected))
        return news, ()
    if not _may_pull(news, teller, moment):
        return news, ()
    expected = (*news.expected, Expected(commit, (teller,), moment))
    return evolve(_pulled(news, teller, moment), expected=expected), (Pull(commit, (teller,)),)


def step(news: News, peers: Iterable[str], own: str, moment: float) -> tuple[News, Acts]:
    """Do what is due by now: tell others, look again, give up. ``peers``, ``own``: see `learn`."""
    acts: list[Tell | Ask | Pull] = []
    if news.later and moment >= news.later.due:
        later, news = news.later, evolve(news, later=None)
        if later.commit == news.applied and (chosen := choose(set(peers) - set(later.told), later.commit, own)):
            acts.append(Tell(later.commit, chosen))
    if news.asking is not None and moment >= news.asking:
        acts += map(Ask, in_turn(set(peers), news.asked, own))
        news = evolve(news, asking=moment + ASKING, asked=news.asked + 1)
    news = _disappointed(news, [each for each in news.expected if moment >= each.at + PATIENCE], moment)
    for each in news.expected:
        if each.pulls == 1 and moment >= each.at + RETRY and _may_pull(news, each.tellers[0], moment):
            again = evolve(each, pulls=2, at=moment)
            expected = tuple(again if other is each else other for other in news.expected)
            news = evolve(_pulled(news, each.tellers[0], moment), expected=expected)
            acts.append(Pull(each.commit, each.tellers))
    return news, tuple(acts)


def wait(news: News, moment: float) -> float:
    """Seconds until `step` has something to do; infinite where it has not."""
    due = [news.later.due] if news.later else []
    due += [] if news.asking is None else [news.asking]
    due += [each.at + (RETRY if each.pulls == 1 else PATIENCE) for each in news.expected]
    return max(0.0, min(due) - moment) if due else float("inf")


def without(news: News, peers: Iterable[str]) -> News:
    """What is known once only these peers are left."""
    kept = frozenset(peers)
    if news.cautions.keys() <= kept:
        return news
    return evolve(news, cautions={key: one for key, one in news.cautions.items() if key in kept})


def _disappointed(news: News, failed: Iterable[Expected], moment: float) -> News:
    """What these tellers have told of did not come."""
    failed = tuple(failed)
    cautions = dict(news.cautions)
    for key in {key for each in failed for key in each.tellers} & cautions.keys():
        times = cautions[key].failed + 1
        cautions[key] = Caution(moment + min(PAUSE * 2 ** min(times, 16), LONGEST_PAUSE), times)
    left = tuple(each for each in news.expected if each not in failed)
    return evolve(news, expected=left, cautions=cautions) if failed else news


def _may_pull(news: News, teller: str, moment: float) -> bool:
    recent = [key for at, key in news.pulled if moment - at < PERIOD]
    return len(recent) < MOST_PULLS and recent.count(teller) < MOST_PULLS_OF_ONE


def _pulled(news: News, teller: str, moment: float) -> News:
    kept = (one for one in news.pulled if moment - one[0] < PERIOD)
    return evolve(news, pulled=(*kept, (moment, teller)))


def _recent(moments: tuple[float, ...], moment: float) -> tuple[float, ...]:
    return tuple(each for each in moments if moment - each < PERIOD)
