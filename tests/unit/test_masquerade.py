"""An interface to masquerade on that is not there is named: by `join` before anything is written, later by each run."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.diagnose.look import troubles
from mesh_sync.diagnose.masquerade import masquerade_troubles
from mesh_sync.node.clock import trusted
from mesh_sync.node.config import Gateway, Node, Repository, Trust
from mesh_sync.node.state import Applied
from mesh_sync.wireguard.desired import Desired

HERE = socket.if_nameindex()[0][1]
GONE = "not-here0"
NOTHING: frozenset[str] = frozenset()


def gateway(interface: str | None) -> Node:
    of = None if interface is None else Gateway(masquerade=interface)
    return Node(name="aws", repository=Repository(urls=("x",)), trust=Trust(mode="none"), gateway=of)


@pytest.mark.parametrize("interface", [None, "", HERE])
def test_one_that_is_here_or_none_is_no_trouble(interface: str | None) -> None:
    assert list(masquerade_troubles(gateway(interface))) == []


def test_each_run_names_one_that_is_not_here() -> None:
    desired = Desired(
        mesh="lab", name="aws", public_key="k", listen_port=1, mtu=1420, addresses=NOTHING, routes=NOTHING, peers=()
    )
    [found] = troubles(gateway(GONE), Applied(desired=desired), None, trusted(0.0))
    assert (found.code, found.severity) == ("no-masquerade", "warning")
    assert GONE in found.text
    assert HERE in found.text


def test_join_refuses_it_and_writes_nothing(tmp_path: Path) -> None:
    words = ["join", str(tmp_path / "nowhere.git"), "--name", "aws", "--trust", "none"]
    ended = mesh_sync(*words, "--masquerade", GONE, "--config", str(tmp_path / "node.toml"))
    assert ended.code == 2
    assert f"there is no interface {GONE} here; here are " in ended.err
    assert HERE in ended.err
    assert not list(tmp_path.iterdir())
    other = mesh_sync(*words, "--masquerade", HERE, "--config", str(tmp_path / "node.toml"))
    assert "no interface" not in other.err
