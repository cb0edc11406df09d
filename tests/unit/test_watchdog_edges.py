"""The watchdog's edges, each by itself: files, clocks, messages, and a `wg` that logs what it is told."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mesh_sync import state as states
from mesh_sync.errors import ConfigError
from mesh_sync.interface.wanted import Wanted, WantedPeer
from mesh_sync.lock import locked
from mesh_sync.mesh.model import Endpoint
from mesh_sync.node import Node, Paths, Repository, Trust
from mesh_watchdog import act, applied, jobs, memory, metrics, netlink, pace, reading, statusfile
from mesh_watchdog import view as views
from mesh_watchdog.counters import Counters
from mesh_watchdog.names import NameState
from mesh_watchdog.notify import notify, ping_interval
from mesh_watchdog.observation import Applied, Declared, Point, Seen, Snapshot, Surroundings
from mesh_watchdog.peerstate import HUNTED, UP, PeerState
from mesh_watchdog.policy import State, decide
from mesh_watchdog.serve import response
from mesh_watchdog.settings import Settings, settings_of
from mesh_watchdog.surroundings import parse

KEY, OTHER = "k" * 43 + "=", "o" * 43 + "="
ALIVE = Seen("203.0.113.12:51820", 1_700_000_000, 1000, 1000)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node whose applied state has one peer."""
    paths = Paths(state=tmp_path / "state", run=tmp_path / "run", wireguard=tmp_path / "wireguard")
    made = Node(name="a", repository=Repository(urls=("x",)), trust=Trust(mode="none"), paths=paths)
    peer = WantedPeer("b", KEY, ("10.0.0.12",), frozenset({"10.0.0.12/32"}), ("b.example:51820",))
    wanted = Wanted("lab", "a", "me", 51820, 1420, frozenset({"10.0.0.11/32"}), frozenset({"10.0.0.0/24"}), (peer,))
    states.save(made.state_file, states.State(wanted=wanted, resolved={KEY: "203.0.113.12:51820"}))
    return made


@pytest.fixture
def wg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Seen]], Path]:
    """Put a `wg` on PATH that shows these peers, and logs what else it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def install(peers: dict[str, Seen]) -> Path:
        lines = ["secret\tme\t51820\toff"]
        lines += [f"{k}\t(none)\t{s.endpoint}\t(none)\t{s.handshake}\t{s.rx}\t{s.tx}\toff" for k, s in peers.items()]
        (folder / "dump").write_text("\n".join(lines) + "\n")
        log = folder / "log"
        log.touch()
        script = f'#!/bin/sh\nif [ "$1" = show ]; then cat {folder}/dump; else echo "$@" >>{log}; fi\n'
        (folder / "wg").write_text(script)
        (folder / "wg").chmod(0o755)
        return log

    return install


# -- the applied state


def test_the_applied_state_becomes_peers_with_a_mesh_address_to_probe(node: Node) -> None:
    taken = applied.take(node.state_file)
    declared = taken.applied.peers[KEY]
    assert declared == Declared("b", (Endpoint("b.example", 51820),), "10.0.0.12", "203.0.113.12:51820")
    assert taken.applied.tunnelled == (ipaddress.ip_network("10.0.0.0/24"),)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff"])
def test_a_broken_state_file_is_lost_and_a_missing_one_is_not(node: Node, content: bytes) -> None:
    node.state_file.write_bytes(content)
    assert applied.take(node.state_file).lost
    node.state_file.unlink()
    assert applied.take(node.state_file) == applied.Taken()


# -- setting endpoints


def test_all_endpoints_of_a_decision_are_set_by_one_command(node: Node, wg: Callable[[dict[str, Seen]], Path]) -> None:
    log = wg({KEY: ALIVE})
    result = act.point(node, [Point(KEY, "203.0.113.77:51820", "dns")], {KEY: ALIVE})
    assert result.done == {KEY}
    assert log.read_text() == f"set wg0 peer {KEY} endpoint 203.0.113.77:51820\n"


@pytest.mark.parametrize("change", [{"rx": 1001}, {"handshake": 1_700_000_001}])
def test_a_peer_that_was_heard_since_the_decision_is_left_alone(
    node: Node, wg: Callable[[dict[str, Seen]], Path], change: dict[str, int]
) -> None:
    fields = {"endpoint": ALIVE.endpoint, "handshake": ALIVE.handshake, "rx": ALIVE.rx, "tx": ALIVE.tx, **change}
    log = wg({KEY: Seen(**fields)})  # type: ignore[arg-type]
    result = act.point(node, [Point(KEY, "203.0.113.77:51820", "dns")], {KEY: ALIVE})
    assert result == act.Pointed(alive=frozenset({KEY}))
    assert log.read_text() == ""


def test_a_key_that_left_the_list_or_the_interface_is_never_written(
    node: Node, wg: Callable[[dict[str, Seen]], Path]
) -> None:
    """`wg set` would create it."""
    log = wg({OTHER: ALIVE})
    points = [Point(KEY, "203.0.113.77:51820", "dns"), Point(OTHER, "203.0.113.77:51820", "dns")]
    assert act.point(node, points, {KEY: ALIVE, OTHER: ALIVE}).done == set()
    assert log.read_text() == ""


def test_nothing_is_written_while_mesh_sync_has_the_lock(
    node: Node, wg: Callable[[dict[str, Seen]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = wg({KEY: ALIVE})
    monkeypatch.setattr(act, "LOCK_WAIT", 0.1)
    with locked(node.lock_file):
        result = act.point(node, [Point(KEY, "203.0.113.77:51820", "dns")], {KEY: ALIVE})
    assert not result.done
    assert log.read_text() == ""
    assert "mesh-sync" in result.problem


# -- reading


def test_a_missing_wg_and_a_missing_interface_are_different_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert reading.read("wg0") == reading.Reading(problem="wg is not installed")
    fake = tmp_path / "wg"
    fake.write_text("#!/bin/sh\necho 'Unable to access interface: Protocol not supported' >&2; exit 1\n")
    fake.chmod(0o755)
    assert reading.read("no-such-if") == reading.Reading()
    assert reading.read("lo").problem


def test_what_wg_prints_is_never_part_of_an_error() -> None:
    with pytest.raises(ValueError, match=r".") as error:
        reading.parse_seen("secret\tme\t51820\toff\nk\tpsk-secret\n")
    assert "secret" not in str(error.value)


# -- schedule on a steady clock


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def wall(monkeypatch: pytest.MonkeyPatch, year: int) -> None:
    """Let every datetime.now() in `schedule` say that it is that year."""

    class Stepped(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Stepped:
            return cls(year, 1, 1, tzinfo=tz)

    monkeypatch.setattr("schedule.datetime.datetime", Stepped)


@pytest.mark.parametrize("steps", [(1970, 2026), (2026, 1970), (2026, 2025, 2027)])
def test_a_step_of_the_wall_clock_neither_stalls_nor_floods(
    monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]
) -> None:
    clock, runs = Clock(), list[float]()
    wall(monkeypatch, steps[0])
    scheduler = jobs.SteadyScheduler(clock)
    scheduler.every(10).seconds.do(lambda: runs.append(clock.now))
    for year in steps:
        wall(monkeypatch, year)
        for _ in range(20):
            clock.now += 1
            scheduler.run_pending()
            scheduler.run_pending()
    assert runs == [1000.0 + 10 * count for count in range(1, 2 * len(steps) + 1)]


def test_after_a_long_pause_a_job_runs_once() -> None:
    clock, runs = Clock(), list[float]()
    scheduler = jobs.SteadyScheduler(clock)
    scheduler.every(10).seconds.do(lambda: runs.append(clock.now))
    clock.now += 3600
    for _ in range(5):
        scheduler.run_pending()
    assert runs == [4600.0]


def test_a_job_that_raises_is_logged_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    clock, runs = Clock(), list[float]()

    def job() -> None:
        runs.append(clock.now)
        raise RuntimeError("broken")

    scheduler = jobs.SteadyScheduler(clock)
    scheduler.every(10).seconds.do(job)
    for _ in range(25):
        clock.now += 1
        scheduler.run_pending()
    assert runs == [1010.0, 1020.0]
    assert "broken" in caplog.text


# -- pace


def peer(**changes: Any) -> PeerState:
    declared = Declared("b", (Endpoint("b.example", 51820),), "10.0.0.12")
    return PeerState(**{"declared": declared, "phase": UP, "since": 0.0, "heard": 990.0, "seen": ALIVE, **changes})


@pytest.mark.parametrize(
    ("changes", "flowing", "seconds"),
    [
        ({}, False, 5.0),
        ({}, True, 1.0),
        ({"wanted": 999.0}, False, 1.0),
        ({"asked": 999.0, "probed": 999.0}, False, 5.0),
        ({"asked": 999.0, "probed": 999.0, "quick": True}, False, 1.0),
        ({"phase": "new", "since": 999.0}, False, 1.0),
        ({"phase": HUNTED}, False, 1.0),
        ({"phase": HUNTED, "tries": (("203.0.113.77:1", "dns"),), "next_try": 1000.05}, False, 0.1),
        ({"phase": HUNTED, "heard": 0.0, "next_round": 1300.0}, False, 5.0),
        ({"phase": HUNTED, "heard": 0.0, "next_round": 1002.5}, False, 2.5),
        ({"phase": "missing"}, False, 5.0),
    ],
)
def test_the_interface_is_read_often_only_while_something_happens(
    changes: dict[str, Any], flowing: bool, seconds: float
) -> None:
    state = State(peers={KEY: peer(**changes)}, interface=True)
    assert pace.next_reading(state, 1000.0, flowing=flowing, idle=5.0) == pytest.approx(seconds)


def test_keepalives_and_probes_are_no_traffic() -> None:
    idle = Seen(ALIVE.endpoint, ALIVE.handshake, ALIVE.rx + 96 + 92 + 32, ALIVE.tx + 64 + 148 + 32)
    busy = Seen(ALIVE.endpoint, ALIVE.handshake, ALIVE.rx + 640, ALIVE.tx + 640)
    assert not pace.is_flowing({KEY: ALIVE}, {KEY: idle})
    assert pace.is_flowing({KEY: ALIVE}, {KEY: busy})


# -- surroundings and netlink

LINKS: list[dict[str, Any]] = [
    {"ifname": "lo", "flags": ["UP", "LOWER_UP"], "addr_info": [{"local": "127.0.0.1", "scope": "host"}]},
    {
        "ifname": "eth0",
        "flags": ["UP", "LOWER_UP"],
        "addr_info": [
            {"local": "203.0.113.5", "scope": "global"},
            {"local": "2001:db8::5", "scope": "global", "tentative": True},
            {"local": "fe80::1", "scope": "link"},
        ],
    },
    {"ifname": "wg0", "flags": ["UP", "LOWER_UP"], "addr_info": [{"local": "10.0.0.1", "scope": "global"}]},
]
DEFAULT = {"dst": "default", "gateway": "203.0.113.1", "dev": "eth0", "flags": []}
LAN = {"dst": "203.0.113.0/24", "dev": "eth0", "flags": []}


def test_own_addresses_are_those_that_others_could_use() -> None:
    found = parse(LINKS, {4: [DEFAULT, LAN], 6: []}, "wg0")
    assert found.surroundings == Surroundings(frozenset({ipaddress.ip_address("203.0.113.5")}), frozenset({4}))


@pytest.mark.parametrize(
    "route",
    [
        {**DEFAULT, "flags": ["linkdown"]},
        {**DEFAULT, "flags": ["dead", "linkdown"]},
        {**DEFAULT, "dev": "wg0"},
        {**DEFAULT, "dev": "eth9"},
        {**DEFAULT, "type": "unreachable", "dev": "lo"},
    ],
)
def test_a_default_route_that_leads_nowhere_or_into_the_tunnel_is_none(route: dict[str, Any]) -> None:
    assert parse(LINKS, {4: [route], 6: []}, "wg0").surroundings.versions == set()


def test_without_any_default_route_the_lan_counts_unless_there_was_one() -> None:
    assert parse(LINKS, {4: [LAN], 6: []}, "wg0").surroundings.versions == {4}
    assert parse(LINKS, {4: [LAN], 6: []}, "wg0", had_default=True).surroundings.versions == set()


def test_another_gateway_is_another_place() -> None:
    other = {**DEFAULT, "gateway": "203.0.113.2"}
    assert parse(LINKS, {4: [DEFAULT], 6: []}, "wg0") != parse(LINKS, {4: [other], 6: []}, "wg0")


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)


@pytest.mark.parametrize(
    ("data", "matters"),
    [
        (message(20, bytes(8)), True),
        (message(16, bytes(16)), True),
        (message(24, bytes([2, 0, 0, 0])), True),
        (message(24, bytes([2, 24, 0, 0])), False),
        (message(25, bytes([2, 24, 0, 0])) + message(25, bytes([10, 0, 0, 0])), True),
        (b"\x01\x02", False),
        (struct.pack("=IHHII", 0, 20, 0, 0, 0), False),
        (struct.pack("=IHHII", 999, 20, 0, 0, 0), False),
    ],
)
def test_only_messages_about_the_way_out_matter(data: bytes, matters: bool) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(data)
        assert netlink.drain(ours) is matters


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
    memory.save(file, State(peers={KEY: peer(phase=HUNTED, good="203.0.113.12:1")}))
    state = memory.load(file, 5000.0)
    state, _ = decide(state, Applied({KEY: peer().declared}), 5000.0)
    for moment in (5000.0, 5001.0, 5002.0):
        state, actions = decide(state, Snapshot({KEY: ALIVE}), moment)
        assert not [action for action in actions if isinstance(action, Point)]


def test_a_pass_goes_on_where_the_last_one_ended_until_the_machine_is_booted(tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    name = NameState(addresses=frozenset({ipaddress.ip_address("2001:db8::1")}), pending=True, next=7.0)
    before = State(peers={KEY: peer(phase=HUNTED, rounds=3, tries=(("203.0.113.7:1", "dns"),))}, names={"b": name})
    memory.save(file, before, "this boot")
    found = memory.load_pass(file, 1000.0, "this boot")
    assert found.peers == before.peers
    assert (found.names["b"].next, found.names["b"].pending) == (7.0, False)
    assert memory.load_pass(file, 1000.0, "another boot") == memory.load(file, 1000.0)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version":1}', '{"version":1,"good":[],"names":3}', "[" * 100_000], ids=len
)
def test_a_broken_memory_is_an_empty_one(tmp_path: Path, content: str) -> None:
    file = tmp_path / "memory.json"
    file.write_text(content)
    assert memory.load(file, 0.0) == memory.load_pass(file, 0.0, "boot") == State()


# -- what is shown


def shown() -> dict[str, Any]:
    name = NameState(addresses=frozenset({ipaddress.ip_address("203.0.113.12")}), ttl=5.0, answered=998.0)
    state = State(peers={KEY: peer(recovery=4.5)}, names={"b.example": name}, interface=True)
    counters = Counters()
    counters.writes[KEY] += 2
    about = views.About(node="a", interface="wg0", boot="b", started=0.0)
    return views.view(state, counters, about, ["a problem"], 1000.0)


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
    statusfile.write(statusfile.status_file(node), shown())
    found = statusfile.read(node)
    assert (found["running"], found["stale"], found["age"]) == (False, True, None)
    with locked(statusfile.alone_file(node)):
        assert statusfile.read(node)["running"]


def test_metrics_are_in_prometheus_text_format() -> None:
    text = metrics.metrics(shown(), 1000.0)
    for line in text.splitlines():
        assert line.startswith(("# HELP mesh_watchdog_", "# TYPE mesh_watchdog_", "mesh_watchdog_")), line
    assert 'mesh_watchdog_peer_state{peer="b",state="up"} 1\n' in text
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


# -- settings


def with_table(node: Node, table: Any) -> Node:
    from attrs import evolve

    return evolve(node, watchdog=table)


def test_every_interval_has_a_default(node: Node) -> None:
    assert settings_of(node, Path("node.toml")) == Settings()


def test_everything_wrong_with_the_table_is_said_at_once(node: Node) -> None:
    table = {"idle_interval": "5", "metrics_listen": "0.0.0.0:9586", "metrics_file": "x", "nope": 1}
    with pytest.raises(ConfigError) as error:
        settings_of(with_table(node, table), Path("node.toml"))
    lines = error.value.message.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"node.toml:watchdog.{key}" for key in table]
    with pytest.raises(ConfigError, match="must be a table"):
        settings_of(with_table(node, 3), Path("node.toml"))


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "localhost:1", "127.0.0.1:0", "127.0.0.1:x", "[::1]:99999", "10.0.0.1:1"]
)
def test_metrics_are_served_on_a_loopback_address_only(node: Node, text: str) -> None:
    with pytest.raises(ConfigError):
        settings_of(with_table(node, {"metrics_listen": text}), Path("node.toml"))
    assert settings_of(with_table(node, {"metrics_listen": "[::1]:9586"}), Path("x")).metrics_listen == ("::1", 9586)


# -- systemd


def test_systemd_is_told_and_its_absence_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "notify"
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(place))
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(place))
        notify("READY=1", "STATUS=watching")
        assert systemd.recv(100) == b"READY=1\nSTATUS=watching"


def test_pings_come_twice_as_often_as_systemd_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ping_interval() == 0
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    assert ping_interval() == 30
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert ping_interval() == 0


def test_watchdog_is_still_the_library() -> None:
    import watchdog.observers

    assert "site-packages" in str(watchdog.observers.__file__)
    for folder in ("sync", "watchdog"):
        assert not (Path(__file__).parents[2] / folder / "__init__.py").exists()
