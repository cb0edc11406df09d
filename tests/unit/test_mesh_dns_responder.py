"""Which calls a node passes on, and which it listens to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import dns.message
import dns.rcode
import pytest
from attrs import evolve

from mesh_watchdog.journal import Problems
from mesh_watchdog.mesh_dns import commits, exchange, notices, responder
from mesh_watchdog.mesh_dns.directory import View, calling, view_of
from mesh_watchdog.mesh_dns.names import zone_name
from mesh_watchdog.mesh_dns.responder import Responder
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.policy.news import Heard
from mesh_watchdog.policy.observations import Seen, Sighting, Sought
from mesh_watchdog.policy.state import State
from mesh_watchdog.sense.chatter import Chatter
from unit.mesh_in_dns import AZURE, GCP, HERE, PHONE, SERVICE, SERVICES, VIEW, ZONE, key, state

AT_AZURE, AT_GCP, AT_PHONE = "10.0.0.2", "10.0.0.3", "10.0.0.4"
OWN = (Sighting("192.168.1.7:51820", own=True),)
FOUND = {AZURE: Seen("203.0.113.2:51820", 1, 1, 1), GCP: Seen("203.0.113.3:40000", 1, 1, 1)}


class Here(Views):
    """aws, which sees its peers where `FOUND` has them."""

    def __init__(self) -> None:
        self.state: State = state()
        super().__init__("wg0", lambda: self.state)

    async def fresh(self, caller: str) -> View:
        return calling(VIEW, caller, FOUND)


class Node:
    """aws as a responder without sockets: ``passed`` is what it told whom, ``heard`` what it observed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed: list[tuple[notices.Notice | None, str]] = []
        self.heard: list[Sought | Heard] = []
        monkeypatch.setattr(exchange, "ask", self._ask)

    async def _ask(self, question: bytes, address: str, interface: str, chatter: Chatter) -> None:
        self.passed.append((notices.read(dns.message.from_wire(question), [HERE.key], SERVICES), address))

    def told(self, *told: tuple[str, bytes], views: Views | None = None) -> list[dns.message.Message]:
        """What it answers to these, each from an address."""

        async def story() -> list[dns.message.Message]:
            made = Responder("wg0", views or Here(), Problems())
            await made.start(asyncio.Queue())
            answers = [await made.answer(data, source) for source, data in told]
            await asyncio.sleep(0)
            while not made.inbox.empty():
                observed = made.inbox.get_nowait()
                assert isinstance(observed, Sought | Heard)
                self.heard.append(observed)
            await made.stop()
            return [dns.message.from_wire(answer) for answer in answers if answer]

        return asyncio.run(asyncio.wait_for(story(), 60))


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No budget fills up again, however slow the machine is."""
    for name in ("EACH", "EACH_CALL", "EACH_PASSED", "EACH_SOUGHT"):
        _, burst = getattr(responder, name)
        monkeypatch.setattr(responder, name, (1e-6, burst))


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(monkeypatch)


def notice(about: str, of: str, places: Sequence[Sighting] = OWN, **way: Any) -> bytes:
    return notices.notice(about, of, places, SERVICES, **way)


def where(answer: dns.message.Message) -> tuple[Sighting, ...]:
    return notices.places(answer, answer.question[0].name)


@pytest.mark.parametrize("way", [{}, {"relayed": True}, {"direct": True}], ids=str)
def test_a_call_is_passed_on_and_answered(node: Node, way: dict[str, Any]) -> None:
    [answer] = node.told((AT_GCP, notice(AZURE, GCP, **way)))
    assert where(answer) == (Sighting("203.0.113.2:51820", 7.0),)
    assert node.passed == [(notices.Notice(GCP, (Sighting("203.0.113.3:40000"), *OWN), **way), AT_AZURE)]
    assert node.heard == []


def test_what_a_peer_has_published_is_told_after_where_it_was_seen(node: Node) -> None:
    own, answer = node.told((AT_AZURE, notice(AZURE, AZURE)), (AT_GCP, notice(AZURE, GCP)))
    assert where(own) == (Sighting("203.0.113.2:51820"),)
    assert where(answer) == (Sighting("203.0.113.2:51820", 7.0), *OWN)
    assert [address for _, address in node.passed] == [AT_AZURE]


class Shrinking(Here):
    """A list without azure is applied while the interface is read."""

    async def fresh(self, caller: str) -> View:
        peers = {key: peer for key, peer in self.state.peers.items() if key != AZURE}
        self.state = evolve(self.state, here=evolve(self.state.here), peers=peers)
        return calling(view_of(self.directory, self.state, 0.0), caller, FOUND)


def test_a_peer_that_leaves_the_list_meanwhile_is_not_looked_for(node: Node) -> None:
    [answer] = node.told((AT_GCP, notice(AZURE, GCP)), views=Shrinking())
    assert (answer.rcode(), node.passed) == (dns.rcode.NXDOMAIN, [])


def test_a_peer_without_a_watchdog_is_not_told(node: Node) -> None:
    [answer] = node.told((AT_GCP, notice(PHONE, GCP)))
    assert (answer.rcode(), node.passed) == (dns.rcode.NXDOMAIN, [])


@pytest.mark.parametrize("about", [key(77), HERE.key], ids=["a stranger", "this node"])
def test_of_those_it_does_not_see_it_tells_nothing(node: Node, about: str) -> None:
    [answer] = node.told((AT_GCP, notice(about, GCP)))
    assert (answer.rcode(), answer.answer, node.passed) == (dns.rcode.NXDOMAIN, [], [])


@pytest.mark.parametrize("source", ["10.0.0.1", "192.0.2.1"], ids=["this machine", "no peer"])
def test_others_cannot_call(node: Node, source: str) -> None:
    [answer] = node.told((source, notice(AZURE, GCP)))
    assert (answer.rcode(), node.passed) == (dns.rcode.REFUSED, [])


def test_one_that_calls_without_end_is_refused_and_its_target_has_peace(node: Node) -> None:
    answers = node.told(*[(AT_GCP, notice(AZURE, GCP))] * 200, (AT_PHONE, notice(GCP, PHONE)))
    codes = [answer.rcode() for answer in answers]
    assert codes.count(dns.rcode.REFUSED) == 170
    assert codes[-1] == dns.rcode.NOERROR
    assert len([address for _, address in node.passed if address == AT_AZURE]) == 20


def test_that_it_is_looked_for_is_observed(node: Node) -> None:
    places = (Sighting("203.0.113.3:40000", 1.0), *OWN)
    ways: list[dict[str, Any]] = [{}, {"relayed": True}, {"direct": True}]
    node.told(*[(AT_AZURE, notice(GCP, GCP, places, **way)) for way in ways])
    assert node.heard == [Sought(GCP, AZURE, places, **way) for way in ways]
    assert node.passed == [], "what is passed on is not passed on again"


@pytest.mark.parametrize("by", [key(77), HERE.key], ids=["a stranger", "itself"])
def test_who_is_not_listed_does_not_look_for_it(node: Node, by: str) -> None:
    node.told((AT_AZURE, notice(by, by, [Sighting("203.0.113.9:1", 1.0)])))
    assert node.heard == []


def test_it_listens_to_few_of_many(node: Node) -> None:
    node.told(*[(AT_AZURE, notice(GCP, GCP, [Sighting(f"203.0.113.{n}:1", 1.0)])) for n in range(1, 31)])
    assert len(node.heard) == 12


def test_a_long_list_comes_by_tcp_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """And then costs its asker patience."""
    crowd = evolve(VIEW, seen={key(number): Sighting("192.0.2.1:1") for number in range(1, 801)})

    async def story() -> list[bytes | None]:
        views = Here()
        monkeypatch.setattr(views, "now", lambda: crowd)
        made = Responder("wg0", views, Problems())
        question = dns.message.make_query(SERVICE, "PTR").to_wire()
        return [await made.answer(question, AT_GCP) for _ in range(14)]

    answers = asyncio.run(asyncio.wait_for(story(), 60))
    assert answers[0] is not None
    assert len(dns.message.from_wire(answers[0]).answer[0]) == 800
    assert answers.count(None) == 14 - 6


# -- news of commits

NEWS = commits.notice(ZONE, "1" * 40)


@pytest.mark.parametrize("applied", ["2" * 40, None])
def test_a_peer_tells_of_a_commit_and_hears_what_this_node_has(
    node: Node, monkeypatch: pytest.MonkeyPatch, applied: str | None
) -> None:
    monkeypatch.setattr(Views, "applied", applied)
    [answer] = node.told((AT_GCP, NEWS))
    assert (answer.rcode(), answer.question) == (dns.rcode.NOERROR, dns.message.from_wire(NEWS).question)
    assert commits.read(answer, ZONE) == applied
    assert node.heard == [Heard(GCP, "1" * 40)]
    assert node.passed == []


def test_a_peer_only_asks_what_this_node_has(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Views, "applied", "2" * 40)
    [answer] = node.told((AT_GCP, commits.notice(ZONE, None)))
    assert (commits.read(answer, ZONE), node.heard) == ("2" * 40, [])


@pytest.mark.parametrize("source", ["10.0.0.1", "192.0.2.1"], ids=["this machine", "no peer"])
def test_others_cannot_tell_of_commits(node: Node, source: str) -> None:
    [answer] = node.told((source, NEWS))
    assert (answer.rcode(), node.heard) == (dns.rcode.REFUSED, [])


def test_news_without_end_are_refused(node: Node) -> None:
    answers = node.told(*[(AT_GCP, NEWS)] * 200, (AT_AZURE, NEWS))
    assert [answer.rcode() for answer in answers[-2:]] == [dns.rcode.REFUSED, dns.rcode.NOERROR]
    assert len(node.heard) <= responder.EACH_CALL[1] + 1


@pytest.mark.parametrize(
    "commit", ["", "1" * 39, "1" * 41, "A" * 40, "g" * 40, "1" * 64, "--help", "1" * 39 + "\n"], ids=repr
)
def test_what_is_no_hash_is_no_news(node: Node, commit: str) -> None:
    [answer] = node.told((AT_GCP, commits.notice(ZONE, commit)))
    assert (answer.rcode(), node.heard) == (dns.rcode.NOERROR, [])


def test_news_of_another_zone_are_none(node: Node) -> None:
    [answer] = node.told((AT_GCP, commits.notice(zone_name("other.internal"), "1" * 40)))
    assert (answer.rcode(), node.heard) == (dns.rcode.REFUSED, [])
