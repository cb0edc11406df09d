"""The interface's nftables table as `nft -s list table` prints it (nftables 1.0.6)."""

from __future__ import annotations

from mesh_sync.wireguard.firewall import parse_rules

PRINTED = """\
table inet mesh_sync_wg0 {
	chain prerouting {
		type filter hook prerouting priority mangle; policy accept;
		fib daddr type local udp dport 51820 meta mark set 0x0000ca6c
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		iifname "wg0" oifname "eth0" masquerade
	}
}
"""


def test_each_rule_is_read_with_the_name_of_its_chain() -> None:
    assert set(parse_rules(PRINTED)) == {
        "prerouting fib daddr type local udp dport 51820 meta mark set 0x0000ca6c",
        'postrouting iifname "wg0" oifname "eth0" masquerade',
    }


def test_a_table_without_rules_has_none() -> None:
    assert not set(parse_rules("table inet mesh_sync_wg0 {\n}\n"))
