"""Port mapping without a network: the packets, byte by byte as the RFCs draw them, and when what is asked."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_watchdog.journal import Tally
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.observations import Here, Mapped
from mesh_watchdog.policy.rendezvous import own_candidates
from mesh_watchdog.policy.reports import Rendezvous, Report
from mesh_watchdog.policy.state import State
from mesh_watchdog.port_mapping import nat_pmp, pcp, upnpc
from mesh_watchdog.port_mapping.answers import Granted, Refused, Why, is_translated
from mesh_watchdog.port_mapping.renewal import LIFETIME, LONGEST, PAUSES, Renewal, has_restarted, took
from mesh_watchdog.report import metrics, status_file
from mesh_watchdog.report.show import show

DATA = Path(__file__).parent / "data"
GATEWAY, OWN, OUTSIDE = map(ipaddress.IPv4Address, ("10.1.0.1", "10.1.0.2", "192.0.3.20"))
NONCE = bytes.fromhex("0102030405060708090a0b0c")
ASKED = pcp.Request(NONCE, OWN, 51820)
MAPPED_OWN = bytes.fromhex("00000000000000000000ffff0a010002")
MAPPED_OUTSIDE = bytes.fromhex("00000000000000000000ffffc0000314")
PORT = bytes.fromhex("ca6c")
UDP = b"\x11\0\0\0"


def pcp_head(*, version: int = 2, opcode: int = 0x81, result: int = 0, lifetime: int = 1200, epoch: int = 77) -> bytes:
    """RFC 6887, figure 3: version, R and opcode, reserved, result, lifetime, epoch, 96 bits reserved."""
    return bytes((version, opcode, 0, result)) + lifetime.to_bytes(4, "big") + epoch.to_bytes(4, "big") + bytes(12)


PCP_MAP = NONCE + UDP + PORT + bytes.fromhex("ca6e") + MAPPED_OUTSIDE
"""Figure 10: nonce, protocol, reserved, internal port, assigned external port, assigned external address."""


# -- PCP


def test_a_pcp_request_is_drawn_as_in_the_rfc() -> None:
    first = pcp.request(ASKED, 1200)
    assert first == b"\x02\x01\0\0" + b"\0\0\x04\xb0" + MAPPED_OWN + NONCE + UDP + PORT + PORT + MAPPED_OUTSIDE[
        :12
    ] + bytes(4)
    again = pcp.request(pcp.Request(NONCE, OWN, 51820, (OUTSIDE, 0xCA6E)), 1200)
    assert again[24:] == PCP_MAP, "what was granted before is asked for again"
    gone = pcp.request(pcp.Request(NONCE, OWN, 51820, (OUTSIDE, 0xCA6E)), 0)
    assert gone[4:8] == bytes(4)
    assert gone[42:] == bytes(2) + MAPPED_OUTSIDE[:12] + bytes(4)


def test_what_a_router_grants_by_pcp() -> None:
    assert pcp.answer(pcp_head() + PCP_MAP, ASKED) == Granted(OUTSIDE, 0xCA6E, 1200, 77)
    with_options = pcp_head() + PCP_MAP + b"\x80\0\0\x04abcd"
    assert pcp.answer(with_options, ASKED) == Granted(OUTSIDE, 0xCA6E, 1200, 77)
    assert Granted(OUTSIDE, 0xCA6E, 1200).endpoint == "192.0.3.20:51822"
    removed = pcp.answer(pcp_head(lifetime=0) + NONCE + UDP + PORT + bytes(2) + MAPPED_OUTSIDE, ASKED)
    assert isinstance(removed, Granted)
    assert removed.lifetime == 0


@pytest.mark.parametrize(
    "data",
    [
        pcp_head(version=1) + PCP_MAP,
        pcp_head(opcode=0x01) + PCP_MAP,  # a request
        pcp_head(opcode=0x82) + PCP_MAP,  # PEER
        pcp_head() + bytes(12) + PCP_MAP[12:],  # another one's nonce
        pcp_head(result=2) + bytes(12) + PCP_MAP[12:],
        pcp_head() + NONCE + b"\x06\0\0\0" + PCP_MAP[16:],  # TCP
        pcp_head() + NONCE + UDP + b"\0\x35" + PCP_MAP[18:],  # another port of ours
        pcp_head() + NONCE + UDP + PORT + b"\0\0" + MAPPED_OUTSIDE,
        pcp_head() + PCP_MAP[:-16] + bytes.fromhex("20010db8000000000000000000000001"),
        pcp_head() + PCP_MAP[:-1],
        pcp_head() + PCP_MAP + b"x",
        pcp_head() + PCP_MAP + bytes(1044),
        pcp_head(),
        b"\0\x81",
        b"",
    ],
)
def test_what_is_no_answer_to_our_pcp_request_is_not_heard(data: bytes) -> None:
    assert pcp.answer(data, ASKED) is None


@pytest.mark.parametrize(
    ("result", "why"),
    [(1, Why.VERSION), (2, Why.REFUSED), (7, Why.NO_ADDRESS), (8, Why.FULL), (12, Why.CARRIER), (99, Why.REFUSED)],
)
def test_what_a_router_refuses_by_pcp(result: int, why: Why) -> None:
    assert pcp.answer(pcp_head(result=result, lifetime=30) + PCP_MAP, ASKED) == Refused(why, 30)


def test_a_router_that_speaks_nat_pmp_only_says_so() -> None:
    """RFC 6886, section 3.5: version 0, the opcode with its high bit, result 1, seconds."""
    assert pcp.answer(bytes.fromhex("0081000100000007"), ASKED) == Refused(Why.VERSION)
    assert pcp.answer(bytes.fromhex("0081000000000007"), ASKED) is None


def test_an_announcement_says_how_long_the_router_has_known_its_mappings() -> None:
    assert pcp.announced(pcp_head(opcode=0x80, epoch=3)) == 3
    for data in (pcp_head(opcode=0x80, result=1), pcp_head(opcode=0), pcp_head(opcode=0x80) + b"x", b"\x02\x80"):
        assert pcp.announced(data) is None


# -- NAT-PMP


def test_a_nat_pmp_request_is_drawn_as_in_the_rfc() -> None:
    assert nat_pmp.ASK_ADDRESS == b"\0\0"
    assert nat_pmp.request(51820, 51822, 1200) == bytes.fromhex("00010000ca6cca6e000004b0")
    assert nat_pmp.request(51820, 51822, 0) == bytes.fromhex("00010000ca6c000000000000")


def test_what_a_router_answers_by_nat_pmp() -> None:
    address = bytes.fromhex("008000000000004dc0000314")
    assert nat_pmp.address(address) == (OUTSIDE, 77)
    assert nat_pmp.address(bytes.fromhex("008000030000004d")) == Refused(Why.NO_ADDRESS)
    mapped = bytes.fromhex("008100000000004dca6cca6e000004b0")
    assert nat_pmp.mapping(mapped, 51820, OUTSIDE) == Granted(OUTSIDE, 0xCA6E, 1200, 77)
    assert nat_pmp.mapping(bytes.fromhex("008100020000004dca6c000000000000"), 51820, OUTSIDE) == Refused(Why.REFUSED)
    for data in (
        mapped[:-1],
        mapped + b"x",
        b"\x01" + mapped[1:],
        b"\0\x01" + mapped[2:],
        b"\0\x82" + mapped[2:],
        address,
        b"",
    ):
        assert nat_pmp.mapping(data, 51820, OUTSIDE) is None
    assert nat_pmp.mapping(mapped, 51821, OUTSIDE) is None
    assert nat_pmp.mapping(mapped[:10] + b"\0\0" + mapped[12:], 51820, OUTSIDE) is None
    for data in (address[:-1], address + b"x", mapped, b"\0", b""):
        assert nat_pmp.address(data) is None


# -- hostile


def bent(good: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes of it changed, cut anywhere, with more behind it."""
    changes = st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=4)

    def bend(made: tuple[list[tuple[int, int]], int, bytes]) -> bytes:
        data = bytearray(good)
        for place, value in made[0]:
            data[place] = value
        return bytes(data[: made[1]]) + made[2]

    return st.tuples(changes, st.integers(0, len(good)), st.binary(max_size=12)).map(bend)


@given(
    st.one_of(
        st.binary(max_size=1200), bent(pcp_head() + PCP_MAP), bent(bytes.fromhex("008100000000004dca6cca6e000004b0"))
    )
)
def test_whatever_comes_is_an_answer_to_us_or_nothing(data: bytes) -> None:
    said = pcp.answer(data, ASKED)
    if isinstance(said, Granted):
        assert data[24:36] == NONCE
        assert data[40:42] == PORT
        assert said.port or not said.lifetime
    told = nat_pmp.mapping(data, 51820, OUTSIDE)
    if isinstance(told, Granted):
        assert (len(data), data[8:10], told.address) == (16, PORT, OUTSIDE)
    found = nat_pmp.address(data)
    assert found is None or isinstance(found, Refused) or len(data) == 12
    epoch = pcp.announced(data)
    assert epoch is None or 0 <= epoch < 1 << 32
    took(Renewal(), said or told or Refused(Why.SILENT), 0.0)


@given(st.text(max_size=300) | st.from_regex(r" desc: http://10\.1\.0\.1:[0-9]+/\S*\n", fullmatch=True))
def test_whatever_upnpc_prints_it_is_an_address_of_the_gateway_or_nothing(text: str) -> None:
    url = upnpc.described(text, GATEWAY)
    assert url is None or (
        url.startswith("http://10.1.0.1:") and url.isascii() and url.isprintable() and " " not in url
    )
    upnpc.added(text, OWN, 51820)


# -- upnpc


def test_of_all_that_answer_only_the_gateway_counts() -> None:
    text = (DATA / "upnpc-status.txt").read_text()
    assert upnpc.described(text, GATEWAY) == "http://10.1.0.1:41401/rootDesc.xml"
    assert upnpc.described(text.replace("10.1.0.1:", "10.1.0.3:"), GATEWAY) is None
    for url in (
        "http://10.1.0.1:80/a b",
        "http://10.1.0.1:80@10.1.0.9/",
        "http://10.1.0.1",
        "http://10.1.0.1:80/\x1b[2J",
    ):
        assert upnpc.described(f" desc: {url}\n", GATEWAY) is None


def test_what_upnpc_has_mapped() -> None:
    text = (DATA / "upnpc-add.txt").read_text()
    assert upnpc.added(text, OWN, 51820) == Granted(OUTSIDE, 51822, 7200)
    assert upnpc.added(text, OWN, 51821) is None
    assert upnpc.added(text, GATEWAY, 51820) is None
    assert upnpc.added(text.replace(":51822", ":99999"), OWN, 51820) is None
    assert upnpc.added(text.replace("192.0.3.20:", "999.0.3.20:"), OWN, 51820) is None


# -- when


def test_it_is_renewed_at_half_its_life() -> None:
    assert took(Renewal(), Granted(OUTSIDE, 1, 1200), 100.0).due == 700.0
    assert took(Renewal(), Granted(OUTSIDE, 1, 2**32 - 1), 0.0).due == LONGEST / 2, "not once in 68 years"
    assert took(Renewal(), Granted(OUTSIDE, 1, 1), 0.0).due == 4.0, "nor without a pause"


def test_a_router_that_falls_silent_is_asked_ever_sooner_until_the_mapping_is_over() -> None:
    known, asked = took(Renewal(), Granted(OUTSIDE, 1, 1200), 0.0), []
    while known.granted:
        asked.append(known.due)
        known = took(known, Refused(Why.SILENT), known.due)
    assert asked[:4] == [600.0, 900.0, 1050.0, 1125.0]
    assert 1200.0 <= asked[-1] < 1205.0
    assert len(asked) < 15


def test_a_router_that_no_longer_will_is_believed_at_once() -> None:
    known = took(took(Renewal(), Granted(OUTSIDE, 1, 1200), 0.0), Refused(Why.CARRIER), 600.0)
    assert (known.granted, known.due) == (None, 660.0)


def test_a_router_that_never_answers_is_asked_ever_less() -> None:
    known, waits = Renewal(), []
    for _ in range(6):
        before = known.due
        known = took(known, Refused(Why.SILENT), before)
        waits.append(known.due - before)
    assert tuple(waits) == (*PAUSES, PAUSES[-1], PAUSES[-1])


def test_a_router_may_ask_for_a_pause_but_not_for_ever() -> None:
    assert took(Renewal(), Refused(Why.FULL, 1000), 0.0).due == 1000.0
    assert took(Renewal(), Refused(Why.FULL, 2**32 - 1), 0.0).due == PAUSES[-1]
    assert took(Renewal(), Refused(Why.FULL, 1), 0.0).due == PAUSES[0]


@pytest.mark.parametrize(
    ("epoch", "later", "lost"),
    [
        (1060, 60.0, False), (1000, 0.0, False), (999, 0.0, False), (998, 0.0, True), (3, 60.0, True),
        (1055, 60.0, False), (1050, 60.0, True), (1066, 60.0, False), (1080, 60.0, True),
    ],
)  # fmt: skip
def test_a_clock_that_went_back_or_does_not_keep_up_is_that_of_a_router_that_lost_its_mappings(
    epoch: int, later: float, lost: bool
) -> None:
    """RFC 6887, section 8.5."""
    known = took(Renewal(), Granted(OUTSIDE, 1, LIFETIME, epoch=1000), 500.0)
    assert has_restarted(known, epoch, 500.0 + later) is lost


def test_without_a_mapping_any_news_of_the_router_is_worth_a_question() -> None:
    assert has_restarted(Renewal(), 5000, 1.0)
    assert has_restarted(took(Renewal(), Granted(OUTSIDE, 1, 7200), 0.0), 5000, 1.0)


# -- where


@pytest.mark.parametrize(
    ("address", "translated"),
    [
        ("10.1.0.2", True), ("172.16.0.1", True), ("172.32.0.1", False), ("192.168.1.1", True), ("100.64.0.1", True),
        ("100.127.255.254", True), ("100.128.0.1", False), ("192.0.0.2", True), ("169.254.3.4", True),
        ("0.0.0.0", True), ("127.0.0.1", True), ("203.0.113.5", False), ("192.0.3.20", False),
    ],
)  # fmt: skip
def test_which_addresses_are_behind_a_nat(address: str, translated: bool) -> None:
    assert is_translated(ipaddress.IPv4Address(address)) is translated


# -- believed, and shown


def test_what_the_router_forwards_is_believed_until_it_is_over() -> None:
    state, actions = decide(State(), Mapped("192.0.3.20:51822", "PCP"), 1.0)
    assert (state.mapped, state.mapped_how, actions) == ("192.0.3.20:51822", "PCP", ())
    state, _ = decide(state, Mapped("", "the router is silent"), 2.0)
    assert (state.mapped, state.mapped_how) == ("", "the router is silent")


@pytest.mark.parametrize(
    ("seen", "passed_on"),
    [
        ((), True),
        ((("192.0.3.20:40000", 10.0),), True),
        ((("203.0.113.9:51820", 10.0),), False),
        ((("203.0.113.9:51820", 10.0), ("192.0.3.20:51820", 11.0)), True),
        ((("203.0.113.9:51820", 4.0),), True),  # before the port was mapped
        ((("192.168.1.2:51820", 10.0), ("[2001:db8::1]:51820", 10.0)), True),
    ],
)
def test_a_mapped_port_is_passed_on_unless_all_others_see_another_address(
    seen: tuple[tuple[str, float], ...], passed_on: bool
) -> None:
    state, _ = decide(State(here=Here(key="me")), Mapped("192.0.3.20:51822", "PCP"), 5.0)
    reports = tuple(Report(endpoint, f"observer {number}", at) for number, (endpoint, at) in enumerate(seen))
    state = evolve(state, rendezvous=Rendezvous(reports={"me": reports}))
    assert own_candidates(state) == (("192.0.3.20:51822",) if passed_on else ())


def test_status_and_metrics_say_where_we_are_reached(capsys: pytest.CaptureFixture[str]) -> None:
    about = {"node": "a", "interface": "wg0", "boot": "b", "started": 0.0, "running": True, "stale": False}
    lines = {}
    for mapped in (Mapped("192.0.3.20:51822", "PCP"), Mapped("", "the router is silent"), Mapped("")):
        state, _ = decide(State(), mapped, 1.0)
        view = status_file.view(state, Tally(), about, [], 1000.0)
        assert view["port_mapping"] == {"endpoint": mapped.endpoint or None, "how": mapped.how or None}
        show(view)
        lines[mapped.how] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("port mapping")]
        assert f"mesh_watchdog_port_mapped {int(bool(mapped.endpoint))}\n" in metrics.metrics(view, 1000.0)
    assert lines == {
        "PCP": ["port mapping: 192.0.3.20:51822 (PCP)"],
        "the router is silent": ["port mapping: none: the router is silent"],
        "": [],
    }
