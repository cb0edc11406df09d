"""What the watchdog remembers over a restart, and what it shows: status, metrics."""

from __future__ import annotations

import ipaddress
import json
import time
from pathlib import Path
from typing import Any

import pytest

from mesh_sync.node.config import Node
from mesh_sync.system.lock import locked
from mesh_watchdog import memory
from mesh_watchdog.journal import Tally
from mesh_watchdog.policy.actions import SetEndpoint
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.observations import Applied, Snapshot
from mesh_watchdog.policy.peer import SEARCHING
from mesh_watchdog.policy.state import State
from mesh_watchdog.report import metrics, status_file
from mesh_watchdog.report.metrics import response
from unit.believed import ALIVE, KEY, applied_node, peer


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return applied_node(tmp_path)


# -- memory


def test_the_memory_brings_back_where_peers_were_and_nothing_else(tmp_path: Path) -> None:
    name = NameState(addresses=frozenset({ipaddress.ip_address("203.0.113.12")}), next=7.0)
    file = tmp_path / "memory.json"
    assert memory.save(file, State(peers={KEY: peer(good="203.0.113.12:1", rounds=3)}, names={"b.example": name})) == ""
    assert file.stat().st_mode & 0o777 == 0o600
    found = memory.load(file, 50.0)
    assert (found.peers[KEY].good, found.peers[KEY].phase, found.peers[KEY].rounds) == ("203.0.113.12:1", "new", 0)
    assert found.peers[KEY].heard == 50.0
    assert found.names["b.example"] == NameState(addresses=name.addresses)


def test_nothing_is_written_before_a_full_observation(tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    memory.save(file, State(peers={KEY: peer(phase=SEARCHING, good="203.0.113.12:1")}))
    state = memory.load(file, 5000.0)
    state, _ = decide(state, Applied({KEY: peer().declared}), 5000.0)
    for moment in (5000.0, 5001.0, 5002.0):
        state, actions = decide(state, Snapshot({KEY: ALIVE}), moment)
        assert not [action for action in actions if isinstance(action, SetEndpoint)]


def test_a_pass_goes_on_where_the_last_one_ended_until_the_machine_is_booted(tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    name = NameState(addresses=frozenset({ipaddress.ip_address("2001:db8::1")}), pending=True, next=7.0)
    before = State(peers={KEY: peer(phase=SEARCHING, rounds=3, tries=(("203.0.113.7:1", "dns"),))}, names={"b": name})
    memory.save(file, before, "this boot")
    found = memory.load(file, 1000.0, "this boot")
    assert found.peers == before.peers
    assert (found.names["b"].next, found.names["b"].pending) == (7.0, False)
    assert memory.load(file, 1000.0, "another boot") == memory.load(file, 1000.0)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version":1}', '{"version":1,"good":[],"names":3}', "[" * 100_000], ids=len
)
def test_a_broken_memory_is_an_empty_one(tmp_path: Path, content: str) -> None:
    file = tmp_path / "memory.json"
    file.write_text(content)
    assert memory.load(file, 0.0) == memory.load(file, 0.0, "boot") == State()


# -- what is shown


TROUBLE = {"code": "shadowed", "severity": "error", "text": "10.0.0.0/24 goes by eth0", "fix": "ip route add"}


def shown() -> dict[str, Any]:
    name = NameState(addresses=frozenset({ipaddress.ip_address("203.0.113.12")}), ttl=5.0, answered=998.0)
    state = State(peers={KEY: peer(recovery=4.5)}, names={"b.example": name}, interface=True)
    tally = Tally()
    tally.writes[KEY] += 2
    about = {"node": "a", "interface": "wg0", "boot": "b", "started": 0.0, "troubles": [TROUBLE, TROUBLE]}
    return status_file.view(state, tally, about, ["a problem"], 1000.0)


def test_the_status_has_the_keys_of_the_contract_and_no_key_of_a_peer() -> None:
    found = shown()
    [entry] = found["peers"]
    contract = {"name", "state", "since", "endpoint", "source", "dns", "switches", "writes", "last_recovery"}
    assert contract <= entry.keys()
    assert (entry["source"], entry["writes"], entry["last_recovery"]) == ("dns", 2, 4.5)
    assert entry["dns"][0]["ttl_left"] == 3.0
    assert {"peers", "dns_queries", "writes"} <= found.keys()
    assert KEY not in json.dumps(found)


def test_a_status_file_is_stale_or_of_another_boot(node: Node) -> None:
    status_file.write(status_file.status_file(node), json.dumps(shown()))
    found = status_file.read(node)
    assert (found["running"], found["stale"], found["age"]) == (False, True, None)
    with locked(status_file.alone_file(node)):
        assert status_file.read(node)["running"]


def test_what_a_running_watchdog_has_written_is_of_this_boot_whatever_its_unit_reads_as_the_boots_id(
    node: Node,
) -> None:
    view = {**shown(), "boot": "the machine's, where a container shows its own", "written": time.monotonic()}
    status_file.write(status_file.status_file(node), json.dumps(view))
    with locked(status_file.alone_file(node)):
        found = status_file.read(node)
    assert (found["running"], found["stale"]) == (True, False)
    assert 0 <= found["age"] < status_file.STALE


def test_metrics_are_in_prometheus_text_format() -> None:
    text = metrics.metrics(shown(), 1000.0)
    for line in text.splitlines():
        assert line.startswith(("# HELP mesh_watchdog_", "# TYPE mesh_watchdog_", "mesh_watchdog_")), line
    assert 'mesh_watchdog_peer_state{peer="b",state="up"} 1\n' in text
    assert 'mesh_watchdog_troubles{code="shadowed"} 2\n' in text
    assert 'mesh_watchdog_peer_writes_total{peer="b"} 2\n' in text
    assert 'mesh_watchdog_dns_answer_age_seconds{host="b.example"} 2\n' in text
    assert text.endswith("\n")
    assert KEY not in text


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK"),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 405"),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 404"),
        (b"\xff\xfe\r\n\r\n", b"HTTP/1.1 404"),
    ],
)
def test_http_serves_the_metrics_and_nothing_else(head: bytes, status: bytes) -> None:
    assert response(head, lambda: "mesh_watchdog_up 1\n").startswith(status)
