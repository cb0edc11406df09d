"""Endpoints: what is read, and that it comes back as it was meant."""

from __future__ import annotations

import ipaddress
import string
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_sync.wireguard.elsewhere import no_name, nowhere
from mesh_sync.wireguard.endpoint import Address, Endpoint
from mesh_sync.wireguard.plan import is_literal

calmly = settings(suppress_health_check=[HealthCheck.too_slow])
"""However busy the machine is."""
LABELS = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=63).filter(
    lambda label: not label.startswith("-") and not label.endswith("-")
)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join).filter(lambda name: not no_name(name))
PORTS = st.integers(1, 65535)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("aws.com:51820", "aws.com", 51820),
        ("AWS.Com.:1", "aws.com", 1),
        ("localhorst:65535", "localhorst", 65535),
        ("_a.b-c.example:00053", "_a.b-c.example", 53),
        ("203.0.113.5:51820", "203.0.113.5", 51820),
        ("[2001:DB8:0::5]:51820", "2001:db8::5", 51820),
        ("1.example:9", "1.example", 9),
    ],
)
def test_an_endpoint_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert Endpoint.parse(text) == Endpoint(host, port)


def test_a_literal_has_an_address_and_a_name_has_none() -> None:
    assert Endpoint.parse("203.0.113.5:1").address == ipaddress.ip_address("203.0.113.5")
    assert Endpoint.parse("[2001:db8::5]:1").address == ipaddress.ip_address("2001:db8::5")
    for name in ("aws.com", "a1", "host.1", "0x7g.1", "1.2.3.x4"):
        assert Endpoint.parse(f"{name}:1").address is None


@calmly
@given(NAMES, PORTS)
def test_names_come_back_in_lower_case(name: str, port: int) -> None:
    endpoint = Endpoint.parse(f"{name}:{port}")
    assert str(endpoint) == f"{name.lower()}:{port}"
    assert Endpoint.parse(str(endpoint)) == endpoint


@calmly
@given(st.ip_addresses(), PORTS)
def test_literals_come_back_or_are_no_other_machine(ip: Address, port: int) -> None:
    text = f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"
    if nowhere(ip):
        with pytest.raises(ValueError, match="no other machine"):
            Endpoint.parse(text)
    else:
        assert Endpoint.parse(text).address == ip
        assert str(Endpoint.parse(text)) == text


@calmly
@given(st.text() | st.text("[]:.%0123456789abcdef-_ \n\t\x1b", max_size=40))
def test_any_text_is_an_endpoint_that_comes_back_or_an_error_of_one_short_line(text: str) -> None:
    said, endpoint = parsed(text)
    if endpoint:
        assert parsed(str(endpoint)) == ("", endpoint)
        assert str(endpoint).isprintable()
        assert " " not in str(endpoint)
    else:
        assert said.isprintable()
        assert 0 < len(said) < 200


def parsed(text: str) -> tuple[str, Endpoint | None]:
    try:
        return "", Endpoint.parse(text)
    except ValueError as error:
        return str(error), None


@pytest.mark.parametrize("text", ["a" * 64, "a." * 126 + "aa", "a..b", ".a", "a-.b", "a" * 10_000, "a-" * 100])
def test_what_dns_cannot_hold_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        Endpoint.parse(f"{text}:1")


def test_the_longest_name_is_one() -> None:
    name = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert Endpoint.parse(f"{name}:1").host == name


def test_reading_takes_no_time_whatever_the_text() -> None:
    begin = time.monotonic()
    for text in ("a" * 250 + "!:1", "a-" * 125 + "!:1", "a." * 125 + "!:1", "a:" + "9" * 60_000):
        with pytest.raises(ValueError, match=r"host name|port"):
            Endpoint.parse(text)
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("text", ["a:1", "1-2.3:4", "1_2:3", "x1.example:51820", "192.0.2.1:51820", "[2001:db8::1]:1"])
def test_the_plan_knows_a_literal_without_parsing_it(text: str) -> None:
    assert is_literal(text) == (Endpoint.parse(text).address is not None)
