"""What nft is told of rewritten ports, and what it says of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.wireguard.port_rewriting import Rewriting, commands, parse, table

LISTED = """table inet mesh_punch_wg0 {
	chain in {
		type filter hook prerouting priority raw; policy accept;
		ip saddr 198.51.100.1 udp sport 4711 udp dport 40001 notrack udp dport set 51820
	}

	chain out {
		type filter hook output priority raw; policy accept;
		ip daddr 198.51.100.1 udp sport 51820 udp dport 4711 notrack udp sport set 40001
	}
}
"""
ports = st.integers(1, 65535)
rewritings = st.builds(
    Rewriting, st.builds("{}:{}".format, st.ip_addresses(network="198.18.0.0/15"), ports), ports, ports
)  # fmt: skip


def test_what_nft_lists_is_read() -> None:
    assert list(parse(LISTED)) == [Rewriting("198.51.100.1:4711", 40001, 51820)]


def test_an_interface_has_a_table_of_its_own() -> None:
    assert table("wg-home.1") == "mesh_punch_wg_home_1"
    lines = list(commands("wg0", [Rewriting("198.51.100.1:4711", 40001, 51820)]))
    assert lines[:2] == ["table inet mesh_punch_wg0 {}", "delete table inet mesh_punch_wg0"]


def test_without_anything_to_rewrite_there_is_no_table() -> None:
    assert list(commands("wg0", [])) == ["table inet mesh_punch_wg0 {}", "delete table inet mesh_punch_wg0"]


@given(st.frozensets(rewritings, max_size=5))
def test_what_was_written_is_what_is_read(wanted: frozenset[Rewriting]) -> None:
    lines = list(commands("wg0", wanted))
    assert frozenset(parse("\n".join(lines))) == wanted
    assert sum("notrack udp sport set" in line for line in lines) == len(wanted), "there and back"
