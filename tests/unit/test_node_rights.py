"""What a node's own key may change, and what `policy.toml` adds to that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.trust.node_rights import EXTRA_KEYS, OWN_KEYS, Edit, NodeRights, forbidden, parse

KEYS = sorted(OWN_KEYS | EXTRA_KEYS)
PLAIN, NONE = "100644", "000000"
BEFORE = {"public_key": "K1", "addresses": ["10.0.0.1"], "endpoint": "a.example:51820", "subnets": ["192.168.1.0/24"]}
NOTHING: frozenset[str] = frozenset()


def edit(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, path: str = "peers/a.toml") -> Edit:
    before, after = (None if table is None else tomlkit.dumps(table).encode() for table in (old, new))
    return Edit(path, NONE if old is None else PLAIN, NONE if new is None else PLAIN, before, after)


def change(**changes: Any) -> Edit:
    table = {**BEFORE, **changes}
    return edit(BEFORE, {key: value for key, value in table.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"endpoint": "b.example:51820"}, ""),
        ({"endpoint": None}, ""),
        ({"endpoint": ["b.example:1", "[2001:db8::1]:2"], "listen_port": 1, "mtu": 1400}, ""),
        ({"persistent_keepalive": 25, "description": "text"}, ""),
        ({"public_key": "K2", "next_public_key": "K3"}, ""),
        ({"subnets": ["0.0.0.0/0"]}, "change subnets in peers/a.toml"),
        ({"subnets": None}, "change subnets in peers/a.toml"),
        ({"nat_subnet": "10.1.1.0/24"}, "change nat_subnet in peers/a.toml"),
        ({"addresses": ["10.0.0.2"]}, "change addresses in peers/a.toml"),
        ({"via": "b"}, "change via in peers/a.toml"),
        ({"tags": ["x"], "owner": "me"}, "change owner, tags in peers/a.toml"),
        ({"expires": 2030, "enabled": True, "managed": 1}, "change enabled, expires, managed in peers/a.toml"),
        ({"colour": "red"}, "change colour in peers/a.toml"),
        ({"a b\x1b": "red"}, "change 'a b\\x1b' in peers/a.toml"),
    ],
)
def test_changes_of_its_own_file(changes: dict[str, Any], why: str) -> None:
    assert forbidden("a", [change(**changes)], NOTHING) == why


@pytest.mark.parametrize("key", sorted(EXTRA_KEYS))
def test_each_extra_key_can_be_given_to_a_node(key: str) -> None:
    edits = [change(**{key: ["10.1.0.0/16"]})]
    assert forbidden("a", edits, NOTHING) == f"change {key} in peers/a.toml"
    assert forbidden("a", edits, frozenset({key})) == ""


@pytest.mark.parametrize(
    ("subnets", "why"),
    [
        (["10.0.0.0/8"], ""),
        (["fd00::/16"], ""),
        (["192.168.7.0/24", "172.16.0.0/12", "fd12:3456::/32"], ""),
        (["8.0.0.0/8"], "to 8.0.0.0/8, which is not private"),
        (["10.1.0.0/16", "8.8.8.8/32"], "to 8.8.8.8/32, which is not private"),
        (["2a00::/16"], "to 2a00::/16, which is not private"),
        (["172.0.0.0/9"], "to 172.0.0.0/9, which is not private"),
        (["100.64.0.0/10"], "to 100.64.0.0/10, which is not private"),
        (["0.0.0.0/0"], "to more than an IPv4 /8 together"),
        (["0.0.0.0/1", "128.0.0.0/1"], "to more than an IPv4 /8 together"),
        (["10.0.0.0/8", "172.16.0.0/12"], "to more than an IPv4 /8 together"),
        (["::/0"], "to more than an IPv6 /16 together"),
        ("10.0.0.0/8", "to what is no list of networks"),
        (["everything"], "to what is no list of networks"),
        ([1], "to what is no list of networks"),
    ],
)
def test_a_node_that_may_change_its_subnets_becomes_no_exit(subnets: Any, why: str) -> None:
    said = forbidden("a", [change(subnets=subnets)], frozenset({"subnets"}))
    assert said == (f"change subnets in peers/a.toml {why}" if why else "")


def test_what_an_admin_has_made_an_exit_may_stay_one() -> None:
    exit_node = {**BEFORE, "subnets": ["0.0.0.0/0"]}
    edits = [edit(exit_node, {**exit_node, "subnets": ["0.0.0.0/0"], "mtu": 1400})]
    assert forbidden("a", edits, frozenset({"subnets"})) == ""


@pytest.mark.parametrize(
    ("subnets", "why"),
    [
        (["8.0.0.0/9", "2a00:1::/32", "10.0.0.0/16"], ""),
        (["8.8.8.0/24"], ""),
        ([], ""),
        (["8.0.0.0/9", "9.9.9.0/24"], "9.9.9.0/24"),
        (["8.0.0.0/8"], "8.0.0.0/8"),
        (["2a00::/31"], "2a00::/31"),
    ],
)
def test_public_networks_only_where_they_were_before(subnets: list[str], why: str) -> None:
    router = {**BEFORE, "subnets": ["8.0.0.0/9", "2a00:1::/32"]}
    said = forbidden("a", [edit(router, {**router, "subnets": subnets})], frozenset({"subnets"}))
    assert said == (f"change subnets in peers/a.toml to {why}, which is not private" if why else "")


def test_one_with_a_priority_takes_no_more_networks_by_its_own_key() -> None:
    """The same network at another peer is no error there: it would be taken over."""
    gateway = {**BEFORE, "priority": 7}
    more = {**gateway, "subnets": ["192.168.1.0/24", "192.168.9.0/24"]}
    said = forbidden("a", [edit(gateway, more)], frozenset({"subnets"}))
    assert said.startswith("add 192.168.9.0/24 to the subnets of peers/a.toml, which has a priority")
    assert forbidden("a", [edit(more, gateway)], frozenset({"subnets"})) == ""
    assert forbidden("a", [edit(BEFORE, gateway)], EXTRA_KEYS) == "change priority in peers/a.toml"


OTHER_FILES = (
    "peers/b.toml",
    "mesh.toml",
    "allowed_signers",
    "policy.toml",
    "README.md",
    "peers/a.toml/x",
    "secrets/a.toml",
)


@pytest.mark.parametrize("path", OTHER_FILES)
def test_another_file(path: str) -> None:
    other = Edit(path, PLAIN, PLAIN, b"", b"x = 1")
    assert forbidden("a", [other], EXTRA_KEYS) == f"change {path!r}, only peers/a.toml"
    assert forbidden("a", [change(mtu=1400), other, other], EXTRA_KEYS).startswith(f"change {path!r} and 1 more, only")


def test_its_file_as_a_whole() -> None:
    assert forbidden("a", [edit(BEFORE, None)], EXTRA_KEYS) == "delete peers/a.toml"
    assert forbidden("a", [Edit("peers/a.toml", PLAIN, "120000", b"", b"")], EXTRA_KEYS).startswith("make peers/a.toml")
    assert forbidden("a", [Edit("peers/a.toml", PLAIN, "160000", b"", None)], EXTRA_KEYS).startswith("make")
    assert forbidden("a", [Edit("peers/a.toml", PLAIN, PLAIN, b"", b"= 1")], EXTRA_KEYS).endswith("not valid TOML")
    assert forbidden("a", [Edit("peers/a.toml", PLAIN, PLAIN, b"", None)], EXTRA_KEYS).endswith("not valid TOML")


def test_it_may_make_its_file_and_choose_its_addresses_then() -> None:
    new = {key: value for key, value in BEFORE.items() if key != "subnets"}
    assert forbidden("a", [edit(None, new)], NOTHING) == ""
    assert forbidden("a", [edit(None, BEFORE)], NOTHING) == "change subnets in peers/a.toml"


values = st.one_of(
    st.integers(0, 3), st.booleans(), st.sampled_from(["x", "y"]), st.lists(st.integers(0, 2), max_size=2)
)
tables = st.dictionaries(st.sampled_from([*KEYS, "colour"]), values, max_size=6)
files = st.dictionaries(st.sampled_from(["peers/a.toml", "peers/b.toml", "mesh.toml"]), tables, max_size=3)


@given(files, st.lists(files, max_size=5), st.frozensets(st.sampled_from(sorted(EXTRA_KEYS - {"subnets"}))))
def test_no_row_of_accepted_commits_changes_more_than_a_node_may(
    start: dict[str, dict[str, Any]], steps: list[dict[str, dict[str, Any]]], extra: frozenset[str]
) -> None:
    now = start
    for step in steps:
        edits = [
            edit(now.get(p), step.get(p), p) for p in sorted(now.keys() | step.keys()) if now.get(p) != step.get(p)
        ]
        if not forbidden("a", edits, extra):
            now = step
    assert {path: table for path, table in now.items() if path != "peers/a.toml"} == {
        path: table for path, table in start.items() if path != "peers/a.toml"
    }
    before, after = start.get("peers/a.toml"), now.get("peers/a.toml")
    if before is not None:
        assert after is not None
        fixed = {"colour", *EXTRA_KEYS} - extra
        assert {key: before[key] for key in fixed & before.keys()} == {key: after[key] for key in fixed & after.keys()}


def test_a_policy_file() -> None:
    policy, findings = parse(b'[nodes]\ngateway = ["subnets", "tags"]\n"*" = ["description"]\nx = []\n')
    assert [str(finding) for finding in findings] == [
        "policy.toml:nodes.*: 'description': not among " + ", ".join(sorted(EXTRA_KEYS))
    ]
    assert policy == NodeRights({"gateway": frozenset({"subnets", "tags"}), "x": frozenset()})
    policy, findings = parse(b'[nodes]\na = ["via"]\n"*" = ["tags"]\n')
    assert [sorted(policy.grants(name)) for name in "ab"] == [["tags", "via"], ["tags"]]
    assert not findings


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("x = 1", "policy.toml:x: unknown key"),
        ("nodes = 1", "policy.toml:nodes: must be a table, not 1"),
        ("[nodes]\na = 'via'", "policy.toml:nodes.a: must be a list, not 'via'"),
        ("[nodes]\nA = []", "policy.toml:nodes.A: 'A' is neither the name of a peer nor '*'"),
        ("[nodes]\na = [['via']]", "policy.toml:nodes.a: ['via']: not among " + ", ".join(sorted(EXTRA_KEYS))),
        ("= 1", "policy.toml:: is not valid TOML: Invalid statement (at line 1, column 1)"),
        ("\udcff", "policy.toml:: is not UTF-8 text (byte 0)"),
    ],
)
def test_what_is_wrong_in_a_policy_allows_nothing(text: str, finding: str) -> None:
    policy, findings = parse(text.encode(errors="surrogateescape"))
    assert [str(each) for each in findings] == [finding]
    assert policy.grants("a") == frozenset()


def test_tables_are_compared_with_their_types() -> None:
    """`true` and `1` are the same to Python, and not to the list."""
    edits = [Edit("peers/a.toml", PLAIN, PLAIN, b"enabled = true", b"enabled = 1")]
    assert forbidden("a", edits, NOTHING) == "change enabled in peers/a.toml"


def test_a_number_that_python_will_not_print() -> None:
    new = b"mtu = 0x" + b"f" * 5000
    said = forbidden("a", [Edit("peers/a.toml", PLAIN, PLAIN, b"mtu = 1", new)], NOTHING)
    assert said == "change peers/a.toml beyond what can be read"


def test_a_key_of_thousands_of_parts() -> None:
    new = b"mtu." + b"a." * 1200 + b"a = 1"
    said = forbidden("a", [Edit("peers/a.toml", PLAIN, PLAIN, b"mtu = 1", new)], NOTHING)
    assert said == "change peers/a.toml where it is not valid TOML"
