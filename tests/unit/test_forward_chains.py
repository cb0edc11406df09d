"""Where a rule has to stand so that forwarded packets pass the firewalls of others. The files are what nft printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.wireguard.forward_chains import Chain, Found, Rule, found, parse, rule_text, wanted

DATA = Path(__file__).parent / "data"
BASE = Chain("inet", "mine", "gate", "forward", "drop")
ACCEPTS = Rule(1, "accept", always=False, interfaces=frozenset({"eth1"}))
DROPS = Rule(2, "drop", always=True)


def read(name: str) -> Found:
    chains, locked = parse(json.loads((DATA / f"nft-{name}.json").read_text())["nftables"])
    return found(chains, locked, "wg0")


def closed(*chains: Chain) -> set[str]:
    return set(found(chains, (), "wg0").closed)


@pytest.mark.parametrize(
    ("firewall", "place"),
    [
        ("docker", "ip filter DOCKER-USER"),
        ("ufw", "ip6 filter FORWARD"),
        ("firewalld", "inet firewalld filter_FORWARD"),
    ],
)
def test_the_place_that_counts(firewall: str, place: str) -> None:
    assert read(firewall).closed == {place}


def test_our_rules_are_found_again_by_their_comment() -> None:
    [(rule, handles)] = read("docker").opened.items()
    assert rule == "ip filter DOCKER-USER in 192.168.20.0/24"
    assert len(handles) == 1
    assert read("ufw").opened == {}


def test_what_ends_in_a_drop() -> None:
    assert closed(BASE) == {"inet mine gate"}
    open_ = evolve(BASE, policy="accept")
    assert closed(open_) == set()
    assert closed(evolve(open_, rules=(ACCEPTS, DROPS))) == {"inet mine gate"}
    assert closed(evolve(open_, rules=(DROPS, Rule(3, "", always=True)))) == {"inet mine gate"}, "a log at the end"
    assert closed(evolve(open_, rules=(evolve(DROPS, always=False),))) == set(), "some packets only"
    ends = Chain("inet", "mine", "ends", rules=(DROPS,))
    assert closed(evolve(open_, rules=(Rule(3, "jump ends", always=True),)), ends) == {"inet mine gate"}
    loop = evolve(ends, rules=(Rule(3, "jump ends", always=True),))
    assert closed(evolve(open_, rules=(Rule(3, "goto ends", always=True),)), loop) == set()


def test_other_hooks_and_tables_do_not_matter() -> None:
    assert closed(evolve(BASE, hook="input")) == set()
    user = Chain("ip", "other", "DOCKER-USER")
    assert closed(evolve(BASE, rules=(Rule(1, "jump DOCKER-USER", always=True),)), user) == {"inet mine gate"}


@pytest.mark.parametrize("names", [{"wg0"}, {"eth0", "wg0"}, {"wg*"}])
def test_a_chain_that_speaks_of_the_interface_is_roots_own_decision(names: set[str]) -> None:
    spoken = Rule(3, "drop", always=False, interfaces=frozenset(names))
    assert closed(evolve(BASE, rules=(spoken,))) == set()
    assert closed(evolve(BASE, rules=(evolve(spoken, interfaces=frozenset({"wg1", "eth*"})),))) == {"inet mine gate"}
    below = Chain("inet", "mine", "below", rules=(spoken,))
    assert closed(evolve(BASE, rules=(Rule(1, "jump below", always=True),)), below) == set()
    assert closed(BASE, below) == {"inet mine gate"}, "packets do not come there"
    ours = evolve(spoken, verdict="accept", comment="mesh-sync wg0: between")
    assert closed(evolve(BASE, rules=(ours,))) == {"inet mine gate"}


def test_a_table_with_an_owner_and_a_place_that_took_no_rule_are_left_alone() -> None:
    for locked in ("inet mine", "inet mine gate"):
        there = found((BASE,), [locked], "wg0")
        assert not there.closed
        assert there.locked == {"inet mine gate"}
    owned = {"table": {"family": "inet", "name": "mine", "handle": 1, "flags": ["owner"]}}
    assert parse([owned])[1] == {"inet mine"}


def test_each_family_passes_its_own() -> None:
    passages = ["in 192.168.20.0/24", "out fd00:20::/64", "between"]
    assert wanted(passages, ["ip filter FORWARD"]) == {
        "ip filter FORWARD in 192.168.20.0/24",
        "ip filter FORWARD between",
    }
    assert wanted(passages, ["ip6 filter FORWARD"]) == {
        "ip6 filter FORWARD out fd00:20::/64",
        "ip6 filter FORWARD between",
    }
    assert len(wanted(passages, ["inet mine gate"])) == 3


@pytest.mark.parametrize(
    ("family", "passage", "match"),
    [
        ("ip", "in 192.168.20.0/24", 'iifname "wg0" ip daddr 192.168.20.0/24'),
        ("inet", "out fd00:20::/64", 'oifname "wg0" ip6 saddr fd00:20::/64'),
        ("inet", "between", 'iifname "wg0" oifname "wg0"'),
        ("ip", "in 0.0.0.0/0", 'iifname "wg0"'),
        ("inet", "out ::/0", 'oifname "wg0" meta nfproto ipv6 ct state established,related'),
    ],
)
def test_what_a_rule_says(family: str, passage: str, match: str) -> None:
    assert rule_text("wg0", family, passage) == f'{match} counter accept comment "mesh-sync wg0: {passage}"'


def test_a_name_that_nft_would_not_read_back_is_left_alone() -> None:
    odd = {"chain": {"family": "ip", "table": "filter", "name": "a; flush", "hook": "forward", "policy": "drop"}}
    assert parse([odd])[0] == ()
