"""TOML and JSON to attrs types: the type says what a value may be, every problem comes at once, and nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Literal, NewType

import pytest
from attrs import field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh_sync.typed_toml.fields import between, peer_name
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json, read_toml
from mesh_sync.typed_toml.table import Wrong, list_of, mapping_of, table

Port = NewType("Port", int)


@frozen
class Leaf:
    port: Port
    how: Literal["up", "down"] = "up"
    names: frozenset[str] = frozenset()


@frozen
class Tree:
    """One attribute of each kind, and itself below."""

    name: str
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    at: float | None = None
    count: int = 0
    good: bool = True
    given: Mapping[str, str] = field(factory=dict)
    pairs: tuple[tuple[str, float], ...] = ()
    below: Tree | None = None


TREE = table(Tree, {Port: between(1, 65535, "a port")})
leaves = st.builds(Leaf, st.integers(1, 65535), st.sampled_from(["up", "down"]), st.frozensets(st.text()))
moments = st.floats(-5e10, 5e10)
trees: st.SearchStrategy[Tree] = st.recursive(
    st.builds(Tree, st.text()),
    lambda below: st.builds(
        Tree, st.text(), st.none() | leaves, st.lists(leaves, max_size=3).map(tuple), st.none() | moments,
        st.integers(), st.booleans(), st.dictionaries(st.text(), st.text(), max_size=3),
        st.lists(st.tuples(st.text(), moments), max_size=3).map(tuple), st.none() | below,
    ),
    max_leaves=4,
)  # fmt: skip
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
KEYS = ("name", "leaf", "leaves", "at", "count", "good", "given", "pairs", "below", "port", "how", "names")
nearly: st.SearchStrategy[Any] = st.recursive(
    anything, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner)
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(trees)
def test_what_is_written_as_json_is_read_back(tree: Tree) -> None:
    for text in (as_json(tree), as_json(tree, Tree)):
        assert TREE(read_json(text.encode())) == tree


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(anything | nearly)
def test_any_json_is_a_value_or_wrong(value: Any) -> None:
    try:
        tree = TREE(value)
    except Wrong:
        return
    assert TREE(json.loads(as_json(tree))) == tree


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_wrong(content: bytes) -> None:
    for read in (read_json, read_toml):
        with contextlib.suppress(Wrong):
            read(content)


def test_every_problem_comes_at_once_with_its_place() -> None:
    text = """{"leaf": {"port": 0, "how": "side"}, "leaves": [{"port": 1}, {"porto": 2}, 3], "at": 1e99, "count": true,
        "good": 1, "given": {"a": "b", "c": 4}, "pairs": [["a", 1], ["b"], ["c", "d"]], "below": {"name": null}}"""
    with pytest.raises(Wrong) as caught:
        TREE(read_json(text.encode()))
    assert caught.value.lines("f:").splitlines() == [
        "f:leaf.port: 0 is not a port (1 to 65535)",
        "f:leaf.how: 'side' is not one of 'up', 'down'",
        "f:leaves[1].port: is missing",
        "f:leaves[1].porto: unknown key; did you mean port?",
        "f:leaves[2]: must be a table, not 3",
        "f:at: must be a number of seconds, not 1e+99",
        "f:count: must be a number, not True",
        "f:good: must be true or false, not 1",
        "f:given.c: must be text in quotes, not 4",
        "f:pairs[1]: must be a list of 2, not ['b']",
        "f:pairs[2][1]: must be a number of seconds, not 'd'",
        "f:below.name: must be text in quotes, not None",
        "f:name: is missing",
    ]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("leavse", "unknown key; did you mean leaves?"),
        ("belo", "unknown key; did you mean below?"),
        ("a", "unknown key"),
        ("nmae", "unknown key"),
        ("x" * 10_000, "unknown key"),
    ],
)
def test_a_key_that_is_nearly_one_of_the_file_s_is_told_which(key: str, said: str) -> None:
    with pytest.raises(Wrong) as caught:
        TREE({"name": "x", key: 1})
    assert caught.value.problems == [(key, said)]


@pytest.mark.parametrize("value", [None, [], "x", 1])
@pytest.mark.parametrize("read", [TREE, mapping_of(peer_name)], ids=["table", "mapping"])
def test_what_is_no_table_is_wrong_as_a_whole(read: Callable[[object], object], value: object) -> None:
    with pytest.raises(Wrong) as caught:
        read(value)
    assert str(caught.value) == f"must be a table, not {value!r}"


def test_a_key_may_be_called_otherwise_than_its_attribute_or_not_be_there() -> None:
    read = table(Tree, keys={"name": "from", "below": None}, name=peer_name)
    assert read({"from": "anna"}) == Tree("anna")
    with pytest.raises(Wrong) as caught:
        read({"name": "anna", "below": {"name": "berta"}})
    assert caught.value.problems == [("from", "is missing"), ("below", "unknown key"), ("name", "unknown key")]


def test_a_list_has_as_many_as_it_may() -> None:
    read = list_of(peer_name, most=2, empty="name one")
    assert read(["a", "b"]) == ("a", "b")
    for value, message in (([], "is empty; name one"), (["a", "b", "c"], "has 3 entries; at most 2 are allowed")):
        with pytest.raises(Wrong, match=message):
            read(value)


def test_a_name_that_is_wrong_is_said_once() -> None:
    with pytest.raises(Wrong) as caught:
        mapping_of(between(0, 9, "a digit"), peer_name)({"A": 10, "b": 10})
    assert caught.value.problems == [
        ("A", "'A' is not a peer name (a lower-case DNS label)"), ("b", "10 is not a digit (0 to 9)"),
    ]  # fmt: skip


def test_depth_is_no_weapon() -> None:
    value: dict[str, Any] = {"name": "leaf"}
    for _ in range(5000):
        value = {"name": "a", "below": value}
    with pytest.raises(Wrong, match="nested too deep"):
        TREE(value)
    with pytest.raises(Wrong, match="is not valid JSON"):
        read_json(b"[" * 100_000)


def test_addresses_of_both_ip_versions_in_a_set_are_text_in_one_order() -> None:
    addresses = frozenset(map(ip_address, ("2001:db8::31", "203.0.113.31", "203.0.113.4")))
    assert as_json({"addresses": addresses}) == '{"addresses":["2001:db8::31","203.0.113.31","203.0.113.4"]}'
