"""What the node's nameserver answers: wgsd's records, names, and the word for what there is not."""

from __future__ import annotations

import struct

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_watchdog.mesh_dns import answers
from mesh_watchdog.mesh_dns.directory import View, directory_of, sighting_of, view_of
from mesh_watchdog.mesh_dns.names import key_of, service, zone_name
from mesh_watchdog.policy.observations import Declared, Here, Seen, Sighting
from mesh_watchdog.policy.peer import PeerState
from unit.mesh_in_dns import AZURE, DECLARED, GCP, HERE, SEEN, SERVICE, SERVICES, VIEW, ZONE, ask, key, label, state


def texts(section: list[dns.rrset.RRset]) -> list[str]:
    return [line for rrset in section for line in rrset.to_text().splitlines()]


def test_the_list_has_every_peer_that_was_seen() -> None:
    found = ask(SERVICE, "PTR")
    assert sorted(texts(found.answer)) == [
        f"{SERVICE} 0 IN PTR {label(1)}.{SERVICE}",
        f"{SERVICE} 0 IN PTR {label(2)}.{SERVICE}",
    ]
    assert found.flags & dns.flags.AA


@pytest.mark.parametrize("case", [str.lower, str.upper], ids=["lower", "upper"])
def test_a_peer_has_srv_then_its_address_then_txt(case: type[str]) -> None:
    asked = case(f"{label(1)}.{SERVICE}")
    found = ask(asked, "SRV")
    [srv] = found.answer
    assert (srv.name.to_text(), srv.ttl, srv[0].priority, srv[0].weight, srv[0].port) == (asked, 0, 0, 0, 51820)
    assert srv[0].target == srv.name
    address, text = found.additional
    assert (address.rdtype, address[0].address, address.ttl) == (dns.rdatatype.A, "203.0.113.2", 0)
    assert [word.decode() for word in text[0].strings] == [
        "txtvers=1", f"pub={AZURE}", "allowed=10.0.0.2/32,fd00::2/128", "age=7", "observer=aws",
    ]  # fmt: skip
    assert ask(asked, "TXT").answer[0][0].strings == text[0].strings
    assert ask(asked, "A").answer[0][0].address == "203.0.113.2"


def test_a_peer_that_was_seen_by_ipv6_has_no_a() -> None:
    name = f"{label(2)}.{SERVICE}"
    assert [rrset.rdtype for rrset in ask(name, "SRV").additional] == [dns.rdatatype.AAAA, dns.rdatatype.TXT]
    found = ask(name, "A")
    assert (found.rcode(), found.answer, found.authority[0].rdtype) == (dns.rcode.NOERROR, [], dns.rdatatype.SOA)


@pytest.mark.parametrize("number", [3, 100, 77], ids=["never seen", "this node", "a stranger"])
def test_of_others_there_is_no_name(number: int) -> None:
    found = ask(f"{label(number)}.{SERVICE}", "SRV")
    assert (found.rcode(), found.answer, found.authority[0].rdtype) == (dns.rcode.NXDOMAIN, [], dns.rdatatype.SOA)


@pytest.mark.parametrize(
    ("name", "kind", "there"),
    [
        ("azure.mesh.internal.", "A", ["10.0.0.2"]),
        ("AZURE.Mesh.Internal.", "AAAA", ["fd00::2"]),
        ("aws.mesh.internal.", "A", ["10.0.0.1"]),
        ("phone.mesh.internal.", "A", ["10.0.0.4"]),
        ("2.0.0.10.in-addr.arpa.", "PTR", ["azure.mesh.internal."]),
        ("1.0.0.10.in-addr.arpa.", "PTR", ["aws.mesh.internal."]),
        ("mesh.internal.", "NS", ["aws.mesh.internal."]),
    ],
)
def test_a_name_has_the_mesh_addresses_and_an_address_the_name(name: str, kind: str, there: list[str]) -> None:
    [rrset] = ask(name, kind).answer
    assert [record.to_text() for record in rrset] == there


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("gcp.mesh.internal.", "AAAA", "NOERROR"),  # a name without this type
        ("_udp.mesh.internal.", "PTR", "NOERROR"),  # a name only because there are others below it
        ("_wireguard._udp.mesh.internal.", "A", "NOERROR"),
        ("mesh.internal.", "A", "NOERROR"),
        ("nowhere.mesh.internal.", "A", "NXDOMAIN"),
        ("a.azure.mesh.internal.", "A", "NXDOMAIN"),
        ("short._wireguard._udp.mesh.internal.", "SRV", "NXDOMAIN"),
        (f"{'1' * 56}.{SERVICE}", "SRV", "NXDOMAIN"),  # no base32
        ("example.org.", "A", "REFUSED"),
        ("internal.", "A", "REFUSED"),
        ("9.9.9.10.in-addr.arpa.", "PTR", "REFUSED"),
        ("in-addr.arpa.", "PTR", "REFUSED"),
        ("mesh.internal.", "AXFR", "REFUSED"),
    ],
)
def test_what_there_is_not_is_said_in_the_right_way(name: str, kind: str, code: str) -> None:
    found = ask(name, kind)
    assert (found.rcode(), found.answer) == (dns.rcode.from_text(code), [])
    assert [rrset.rdtype for rrset in found.authority] == ([dns.rdatatype.SOA] if code != "REFUSED" else [])


def test_another_class_is_refused_and_another_edns_is_not_spoken() -> None:
    query = dns.message.make_query("version.bind", "TXT", "CH")
    assert answers.answer(query, VIEW).rcode() == dns.rcode.REFUSED
    query = dns.message.make_query("aws.mesh.internal", "A", use_edns=1)
    assert answers.answer(query, VIEW).rcode() == dns.rcode.BADVERS


def test_edns_is_answered_only_where_it_is_spoken() -> None:
    assert ask("aws.mesh.internal.", "A").edns == -1
    found = ask("aws.mesh.internal.", "A", use_edns=0, payload=4096)
    assert (found.edns, found.payload) == (0, answers.EDNS_SIZE)


@pytest.fixture(scope="module")
def crowd() -> View:
    """500 peers, all of which were seen."""
    peers = {key(n): Declared(f"p{n}", (), "10.1.0.1", "", (f"10.1.{n // 250}.{n % 250 + 1}",)) for n in range(500)}
    return View(directory_of(state(peers)), {key: Sighting("192.0.2.1:51820") for key in peers})


@pytest.mark.parametrize("how", [{}, {"use_edns": 0, "payload": 4096}], ids=["plain", "EDNS"])
def test_what_is_too_large_for_udp_is_cut_and_comes_whole_by_tcp(crowd: View, how: dict[str, int]) -> None:
    query = dns.message.make_query(SERVICE, "PTR", **how)  # type: ignore[arg-type]
    cut = answers.packed(answers.answer(query, crowd), answers.largest(query))
    assert len(cut) <= (512 if not how else 1232)
    found = dns.message.from_wire(cut)
    assert (found.flags & dns.flags.TC, found.answer) == (dns.flags.TC, [])
    whole = dns.message.from_wire(answers.packed(answers.answer(query, crowd), answers.TCP_SIZE))
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == 500


def test_of_more_peers_than_a_message_can_hold_those_heard_last_are_listed() -> None:
    peers = {key(n): Declared(f"p{n}", (), "10.1.0.1") for n in range(1000)}
    view = View(directory_of(state(peers)), {key(n): Sighting("192.0.2.1:51820", float(n)) for n in range(1000)})
    whole = answers.packed(answers.answer(dns.message.make_query(SERVICE, "PTR"), view), answers.TCP_SIZE)
    listed = {record.target for record in dns.message.from_wire(whole).answer[0]}
    assert listed == {service(key(n), SERVICES) for n in range(800)}


def test_allowed_ips_that_do_not_fit_are_cut_between_two() -> None:
    allowed = tuple(f"192.168.{n}.0/24" for n in range(100))
    peers = {AZURE: evolve(DECLARED[AZURE], allowed=allowed)}
    found = ask(f"{label(1)}.{SERVICE}", "TXT", View(directory_of(state(peers)), SEEN), use_edns=0, payload=1232)
    text = found.answer[0][0].strings[2].decode()
    assert len(text) <= 255
    assert set(text.removeprefix("allowed=").split(",")) < set(allowed)


# -- what is seen


def heard(**changes: object) -> PeerState:
    known = {"since": 0.0, "heard": 90.0, "reached": 90.0, "lived": True, "good": "192.0.2.1:1", **changes}
    return PeerState(declared=DECLARED[AZURE], **known)  # type: ignore[arg-type]


def test_only_where_a_peer_was_heard_lately_is_told() -> None:
    assert sighting_of(heard(), 100.0) == Sighting("192.0.2.1:1", 10.0)
    assert sighting_of(heard(), 270.0)
    assert sighting_of(heard(), 270.1) is None
    assert sighting_of(heard(lived=False), 100.0) is None
    assert sighting_of(heard(reached=None), 100.0) is None


def test_a_newer_reading_of_the_interface_counts() -> None:
    before, after = Seen("192.0.2.1:1", 1, 100, 0), Seen("192.0.2.9:9", 1, 200, 0)
    known = evolve(state(), peers={AZURE: heard(seen=before)})
    directory = directory_of(known)
    assert view_of(directory, known, 100.0, {AZURE: after}).seen[AZURE] == Sighting("192.0.2.9:9")
    unheard = evolve(after, rx=100)  # this node has set the endpoint, and nothing has come from there
    assert view_of(directory, known, 100.0, {AZURE: unheard}).seen[AZURE] == Sighting("192.0.2.1:1", 10.0)


def test_a_peer_with_two_keys_is_found_by_both() -> None:
    view = View(directory_of(state(pairs={AZURE: key(55)})), SEEN)
    assert ask(f"{label(55)}.{SERVICE}", "SRV", view).answer
    assert set(view.directory.keys_of(AZURE)) == {AZURE, key(55)}


@pytest.mark.parametrize("zone", ["a..b", "x" * 64, ".".join(["a" * 60] * 4), "ä\ud800"])
def test_a_zone_that_cannot_be_one_is_not_served(zone: str) -> None:
    assert zone_name(zone) == ZONE


# -- what is no question


def test_an_answer_is_never_answered() -> None:
    wire = bytearray(dns.message.make_query("aws.mesh.internal", "A").to_wire())
    wire[2] |= 0x80
    assert answers.read(bytes(wire)) is None
    assert answers.read(b"\0" * 11) is None


@pytest.mark.parametrize("code", [1, 2, 3, 5, 6, 15])
def test_what_it_cannot_do_it_says(code: int) -> None:
    """Update among them."""
    wire = bytearray(dns.message.make_query("aws.mesh.internal", "A").to_wire())
    wire[2] = code << 3
    found = answers.read(bytes(wire))
    assert isinstance(found, bytes)
    assert (found[:2], found[3] & 0xF, found[2]) == (bytes(wire[:2]), dns.rcode.NOTIMP, 0x80 | code << 3)


QUESTION = dns.message.make_query("aws.mesh.internal", "A").to_wire()


@pytest.mark.parametrize(
    "wire",
    [
        QUESTION[:-1],
        QUESTION[:12],
        QUESTION + b"\0",
        QUESTION[:4] + b"\0\2" + QUESTION[6:] + QUESTION[12:],
        QUESTION[:4] + struct.pack("!4H", 0, 0, 0, 0),
        QUESTION[:12] + b"\xc0\x0c\0\1\0\1",
        QUESTION[:7] + b"\x21" + QUESTION[8:] + b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4abcd" * 33,
        QUESTION[:7] + b"\1" + QUESTION[8:] + b"\0\xff\1\0\1\0\0\0\0\4\xb0" + bytes(1200),
    ],
    ids=["short", "no question", "trailing", "two questions", "none", "a pointer to itself", "much to read", "large"],
)
def test_what_is_malformed_is_said_to_be(wire: bytes) -> None:
    found = answers.read(wire)
    assert isinstance(found, bytes)
    assert (len(found), found[3]) == (12, dns.rcode.FORMERR)


@given(st.binary(max_size=200), st.integers(0, 0x7F))
def test_whatever_comes_has_an_answer_or_none(noise: bytes, flags: int) -> None:
    for wire in (noise, QUESTION[:2] + bytes([flags & 0x21, 0]) + QUESTION[4:12] + noise, noise[:2] + QUESTION[2:]):
        found = answers.read(wire)
        if isinstance(found, dns.message.Message):
            assert answers.packed(answers.answer(found, VIEW), answers.largest(found))


@given(st.binary(min_size=32, max_size=32))
def test_the_name_of_a_key_is_the_key_again(raw: bytes) -> None:
    text = key(int.from_bytes(raw))
    name = service(text, SERVICES)
    assert key_of(name, SERVICES) == key_of(dns.name.from_text(name.to_text().upper()), SERVICES) == text
    assert Here(key=text).is_me(text)
    assert not HERE.is_me(GCP)
