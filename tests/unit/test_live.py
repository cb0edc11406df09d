"""What `wg` and `ip` print, as captured from a real interface (wireguard-tools 1.0.20210914, iproute2 6.1)."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.wireguard.live import Live, has_exit_rules, parse_dump, parse_link, parse_routes

DATA = Path(__file__).parent / "data"


def captured(name: str) -> Any:
    text = (DATA / name).read_text()
    return json.loads(text) if name.endswith(".json") else text


def test_a_dump_tells_the_device_and_its_peers() -> None:
    live = Live(**parse_dump(captured("wg-show-dump.txt")))
    assert (live.listen_port, live.fwmark, len(live.peers)) == (51820, 51820, 3)
    first, second, bare = sorted(live.peers.values(), key=lambda peer: peer.endpoint, reverse=True)
    assert first.endpoint == "[2001:db8::13]:51820"
    assert first.allowed_ips == {"fd00::3/128", "0.0.0.0/0", "::/0"}
    assert len(first.preshared_key) == 44
    assert (second.endpoint, second.keepalive, second.preshared_key) == ("203.0.113.12:51820", 25, "")
    assert second.allowed_ips == {"10.0.0.2/32", "192.168.20.0/24"}
    assert (bare.endpoint, bare.allowed_ips, bare.keepalive, bare.handshake) == ("", frozenset(), 0, 0)


def test_a_new_device_has_no_key_and_no_mark() -> None:
    found = parse_dump("(none)\t(none)\t43866\toff\n")
    assert found == {"private_key": "", "public_key": "", "listen_port": 43866, "fwmark": 0, "peers": {}}


def test_an_address_listing_tells_mtu_state_and_addresses_but_not_link_local_ones() -> None:
    assert parse_link(captured("ip-address.json")) == {
        "mtu": 1400,
        "up": True,
        "addresses": frozenset({"10.0.0.1/32", "fd00::1/128"}),
    }


def test_routes_are_networks_whatever_ip_calls_them() -> None:
    four, six = captured("ip-route-4.json"), captured("ip-route-6.json")
    ours = {"routes": {"10.0.0.0/24", "192.168.20.0/24", "10.9.9.9/32"}, "exit_routes": {"0.0.0.0/0"}}
    assert parse_routes(four) == ours
    others = {"routes": {"fd00::/64", "fd00::1/128"}, "exit_routes": {"::/0"}}
    assert parse_routes(six) == others
    assert parse_routes([*four, *six]) == {field: ours[field] | others[field] for field in ours}


def test_the_exit_rules_count_only_together() -> None:
    rules = captured("ip-rule-4.json")
    assert has_exit_rules(rules)
    assert not has_exit_rules([rule for rule in rules if "suppress_prefixlen" not in rule])
    assert not has_exit_rules([rule for rule in rules if "fwmark" not in rule])


@given(st.text(alphabet="ab01(none)\t\n.,:/", max_size=200))
def test_a_strange_dump_is_an_error_that_does_not_quote_it(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_dump(text)
        return
    with pytest.raises(ValueError, match=r"^`wg show dump` printed something unexpected$"):
        parse_dump(text)


def test_a_live_interface_never_shows_its_secrets() -> None:
    text = captured("wg-show-dump.txt")
    shown = repr(Live(**parse_dump(text)))
    private = text.split("\t")[0]
    psk = next(line.split("\t")[1] for line in text.splitlines()[1:] if "(none)" not in line.split("\t")[1])
    assert private not in shown
    assert psk not in shown


@pytest.mark.parametrize("text", ["", "\n", "a\tb\tc\n", "a\tb\t1\toff\nshort\tline\n"])
def test_a_cut_dump_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="unexpected"):
        parse_dump(text)
