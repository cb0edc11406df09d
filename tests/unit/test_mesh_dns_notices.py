"""What nodes tell each other by NOTIFY comes back as it was meant, and nothing else does."""

from __future__ import annotations

from typing import Any

import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_watchdog.mesh_dns import answers, notices
from mesh_watchdog.mesh_dns.names import place, service
from mesh_watchdog.mesh_dns.notices import MAX_SIZE, Notice, notice
from mesh_watchdog.mesh_dns.published import MOST, Published
from mesh_watchdog.policy.observations import Sighting, Standing
from unit.mesh_in_dns import AZURE, GCP, PHONE, SERVICES, key

OBSERVED = Sighting("203.0.113.7:40000", 12.0)
OWN = (Sighting("[2001:db8::7]:51820", own=True), Sighting("192.168.1.7:51820", own=True))


def received(wire: bytes, *asker: str) -> Notice | None:
    query = answers.read(wire)
    assert isinstance(query, dns.message.Message)
    assert query.opcode() == dns.opcode.NOTIFY
    return notices.read(query, asker, SERVICES)


def test_a_node_asks_where_it_is_seen_and_publishes_where_it_may_be() -> None:
    assert received(notice(AZURE, AZURE, OWN, SERVICES), AZURE) == Notice(AZURE, own=OWN)


@pytest.mark.parametrize("way", [{}, {"relayed": True}, {"direct": True}], ids=str)
def test_a_call_names_the_other_one_and_is_passed_on_as_what_it_is(way: dict[str, Any]) -> None:
    assert received(notice(GCP, AZURE, OWN, SERVICES, **way), AZURE) == Notice(GCP, (), OWN, **way)
    passed = received(notice(AZURE, AZURE, (OBSERVED, *OWN), SERVICES, **way), PHONE)
    assert passed == Notice(AZURE, (OBSERVED, *OWN), (), **way)


def test_a_node_that_changes_its_key_may_name_either() -> None:
    assert received(notice(GCP, key(9), OWN, SERVICES), AZURE, key(9)) == Notice(GCP, own=OWN)


def test_an_answer_has_the_places_of_the_one_asked_about() -> None:
    query = dns.message.from_wire(notice(GCP, AZURE, OWN, SERVICES))
    response = dns.message.make_response(query)
    wire = notices.with_places(response, query.question[0].name, (OBSERVED, *OWN))
    answer = dns.message.from_wire(wire)
    assert query.is_response(answer)
    assert notices.places(answer, query.question[0].name) == (OBSERVED, *OWN)


def test_the_first_places_fit_however_many_there_are() -> None:
    many = [Sighting(f"[2001:db8:1234:5678:9abc:def0:1234:{n:x}]:51820", own=True) for n in range(20)]
    wire = notice(GCP, AZURE, many, SERVICES)
    assert len(wire) <= MAX_SIZE
    found = received(wire, AZURE)
    assert found
    assert 5 <= len(found.own) <= 9
    assert found.own == tuple(many[: len(found.own)])


@pytest.mark.parametrize(
    "endpoint",
    ["127.0.0.1:1", "224.0.0.1:1", "0.0.0.0:1", "[::1]:1", "[fe80::1]:1", "169.254.169.254:80", "192.0.2.1:0"],
)
def test_where_no_peer_can_be_is_left_out(endpoint: str) -> None:
    wire = notice(GCP, AZURE, [Sighting(endpoint, own=True), OWN[0]], SERVICES)
    assert received(wire, AZURE) == Notice(GCP, own=(OWN[0],))


@pytest.mark.parametrize("kind", [b"\0\x1c", b"\0\x21", b"\0\x10"], ids=["AAAA", "SRV", "TXT"])
def test_records_of_another_class_are_left_out(kind: bytes) -> None:
    """dnspython knows nothing of what is in them."""
    wire = notice(GCP, AZURE, OWN[:1], SERVICES)
    question, records = wire[: wire.index(b"\0\x21\0\1") + 4], wire[wire.index(b"\0\x21\0\1") + 4 :]
    assert kind + b"\0\1" in records
    found = received(question + records.replace(kind + b"\0\1", kind + b"\0\3"), AZURE)
    assert found
    assert found.own == (OWN[:1] if kind == b"\0\x10" else ())


def test_what_was_seen_four_days_ago_is_left_out() -> None:
    stale = Sighting("203.0.113.9:1", 4 * 86400.0)
    assert received(notice(AZURE, AZURE, [stale], SERVICES), PHONE) == Notice(AZURE)


def changed(**parts: object) -> bytes:
    message = dns.message.from_wire(notice(GCP, AZURE, OWN, SERVICES))
    for name, value in parts.items():
        setattr(message, name, value)
    return message.to_wire()


@pytest.mark.parametrize(
    "question", ["mesh.internal. IN SRV", "x._wireguard._udp.mesh.internal. IN SRV", "example.org. IN SOA"]
)
def test_a_question_about_no_key_is_none(question: str) -> None:
    name, class_, kind = question.split()
    asked = [dns.rrset.RRset(dns.name.from_text(name), dns.rdataclass.from_text(class_), dns.rdatatype.from_text(kind))]
    assert received(changed(question=asked, answer=[]), AZURE) is None


def test_an_address_without_a_place_and_a_place_without_an_address_are_nothing() -> None:
    assert received(changed(additional=[]), AZURE) == Notice(GCP)
    assert received(changed(answer=[]), AZURE) == Notice(GCP)


def test_places_of_a_third_peer_are_neither_told_nor_own() -> None:
    assert received(notice(GCP, PHONE, OWN, SERVICES), AZURE) == Notice(GCP)


@pytest.mark.parametrize("words", ['"age=-1"', '"age=1e9"', '"age=99999999999"', '"age="', '"own=1"', '"x"'])
def test_a_place_with_no_age_is_the_peers_own_word(words: str) -> None:
    message = dns.message.from_wire(notice(GCP, AZURE, [OBSERVED], SERVICES))
    target = place(0, service(AZURE, SERVICES))
    message.additional = [message.additional[0], dns.rrset.from_text(target, 0, "IN", "TXT", words)]
    found = received(message.to_wire(), AZURE)
    assert found == Notice(GCP, own=(Sighting(OBSERVED.endpoint, own=True),))


@given(st.data())
def test_a_notice_that_was_damaged_is_read_or_refused(data: st.DataObject) -> None:
    wire = bytearray(notice(GCP, AZURE, (OBSERVED, *OWN), SERVICES))
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(12, len(wire) - 1))] = data.draw(st.integers(0, 255))
    query = answers.read(bytes(wire[: data.draw(st.integers(0, len(wire)))]))
    if isinstance(query, dns.message.Message):
        found = notices.read(query, (AZURE,), SERVICES)
        assert found is None or len(found.told) + len(found.own) <= 9


@pytest.mark.parametrize("said", [Standing(), Standing("hard", "now"), Standing("easy", "1"), Standing("public")])
def test_what_a_node_says_of_itself_is_passed_on_with_its_places(said: Standing) -> None:
    call = received(notice(GCP, AZURE, OWN, SERVICES, relayed=False, standing=said), AZURE)
    assert call == Notice(GCP, (), OWN, standing=said)
    passed = received(notice(AZURE, AZURE, (OBSERVED,), SERVICES, relayed=False, standing=said), PHONE)
    assert passed == Notice(AZURE, (OBSERVED,), (), standing=said)


@pytest.mark.parametrize("words", ['"nat=unknown"', '"nat=HARD"', '"birthday=2" "nat="', '"nat=hard x"', '"birthday"'])
def test_words_that_nobody_says_of_itself_are_not_read(words: str) -> None:
    message = dns.message.from_wire(notice(GCP, AZURE, OWN, SERVICES))
    message.additional.append(dns.rrset.from_text(service(AZURE, SERVICES), 0, "IN", "TXT", words))
    found = received(message.to_wire(), AZURE)
    assert found is not None
    assert (found.standing, len(found.own)) == (Standing(), len(OWN))


def test_what_peers_publish_is_bounded_becomes_stale_and_is_their_own_word() -> None:
    moment = 0.0
    published = Published(lambda: moment)
    published.put(AZURE, [OBSERVED] * 20, Standing("easy", "1"))
    assert published.standing_of(AZURE) == Standing("easy", "1")
    assert published.of(AZURE) == (Sighting(OBSERVED.endpoint, own=True),) * MOST
    moment = 180.1
    assert published.of(AZURE) == ()
    assert published.standing_of(AZURE) == Standing()
    published.put(GCP, OWN)
    published.keep_only({AZURE})
    assert published.of(GCP) == ()
