"""The rest of a watchdog's life: nights, restarts, rivals, in seconds of simulated network life."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.observations import Applied, Declared, Seen, Snapshot, Surroundings
from mesh_watchdog.policy.state import State
from sim import at, declared
from sim.scenes import B2, HOST, A, B, C, pair, roamed


def test_a_peer_that_is_off_is_asked_for_ever_less() -> None:
    world, one, other = pair()
    other.site.upstream = False
    world.run(3600)
    assert len(one.looks) <= 45
    assert len(one.writes) <= 120
    looks, writes = len(one.looks), len(one.writes)
    world.run(3600)
    assert len(one.looks) - looks <= 13
    assert len(one.writes) - writes <= 8 * 13


def test_a_peer_without_endpoint_gets_one_from_dns() -> None:
    world, one, other = pair(endpoints=())
    other.tunnels["a"].endpoint = ""
    one.disconnect("b")
    one.connect("b")
    one.apply({"b": declared("b", [HOST])})
    world.run(8)
    assert one.phase("b") == "up"


def test_a_peer_that_comes_by_itself_is_neither_probed_nor_looked_for() -> None:
    world, one, _ = pair(endpoints=())
    one.disconnect("b")
    world.nodes["b"].disconnect("a")
    one.connect("b")
    one.apply({"b": declared("b")})
    world.run(3600)
    assert one.phase("b") == "new"
    assert not one.probes["b"] or world.clock.now > 0
    assert not one.writes


@pytest.mark.parametrize("boots_in_1970", [True, False])
def test_a_clock_that_is_set_forward_changes_nothing(boots_in_1970: bool) -> None:
    world, one, _ = pair()
    one.offset = 0.0 if boots_in_1970 else one.offset
    world.traffic(one, "b", 5)
    world.run(600)
    one.offset += 1.7e9
    world.run(3600)
    assert not one.writes
    assert not one.looks


@pytest.mark.parametrize("step", [-60.0, -3600.0, -1e9])
def test_a_clock_that_is_set_back_takes_no_endpoint_away(step: float) -> None:
    """Peers ignore its handshakes (replay protection) until the old time has come again; theirs still work."""
    world, one, other = pair(both=True)
    world.traffic(one, "b", 5)
    world.run(600)
    one.offset += step
    world.run(7200)
    assert {write.endpoint for write in one.writes} <= {at(B)}
    assert other.phase("a") == one.phase("b") == "up"
    assert {write.endpoint for write in other.writes} <= {at(A)}
    outages = [late - early for early, late in itertools.pairwise(one.pongs["b"])]
    assert max(outages) < 40


def test_after_a_restart_nothing_is_written_before_everybody_had_time_to_answer() -> None:
    world, one, _ = roamed()
    world.zone.set(HOST, [B2])
    for pause in (0.05, 0.3, 1.0, 5.0, 12.0, 30.0):
        one.restart()
        world.run(pause)
    assert not one.writes
    world.run(60)
    assert not one.looks


def test_where_a_peer_was_good_survives_a_restart() -> None:
    world, one, other = roamed()
    one.restart()
    other.site.upstream = False
    one.tunnels["b"].endpoint = at(B)
    world.run(20)
    other.site.upstream = True
    other.site.gagged = True
    world.run(30)
    assert one.tunnels["b"].endpoint == at(C)


def test_a_revoked_peer_is_forgotten_while_it_is_hunted() -> None:
    world, one, other = pair()
    world.traffic(one, "b")
    world.run(60)
    other.site.upstream = False
    world.run(14)
    for _ in range(30):
        world.run(0.1)
        if one.writes:
            break
    one.apply({})
    assert one.state
    assert not one.state.peers
    world.run(600)


def test_a_rekeyed_peer_begins_anew() -> None:
    world, one, other = pair()
    world.traffic(one, "b")
    world.run(60)
    other.site.upstream = False
    world.run(40)
    one.apply({"b2": declared("b", [HOST], at(B))})
    world.run(5)
    assert one.phase("b2") == "missing"
    one.connect("b2", at(B))
    world.run(5)
    assert one.phase("b2") == "new"


def test_an_interface_that_was_made_anew_is_learned_anew() -> None:
    world, one, _ = pair()
    world.traffic(one, "b")
    world.run(100)
    one.interface = False
    world.run(20)
    assert one.phase("b") == "missing"
    one.disconnect("b")
    one.connect("b", at(B))
    one.interface = True
    world.run(10)
    assert one.phase("b") == "up"
    assert not one.writes


def test_a_watchdog_that_was_not_scheduled_blames_nobody() -> None:
    world, one, _ = pair()
    world.run(60)
    state = one.state
    one.state = None
    world.run(600)
    one.state = state
    one.moved()
    world.run(60)
    assert one.phase("b") == "up"
    assert not one.writes
    assert not one.looks


def test_a_peer_whose_declared_endpoint_changes_is_tried_there_at_once() -> None:
    world, one, other = pair(endpoints=[B])
    world.run(60)
    other.site.renumber({4: C}, gagged=True)
    world.run(400)
    one.apply({"b": declared("b", [C])})
    world.run(12)
    assert one.tunnels["b"].endpoint == at(C)
    assert one.phase("b") == "up"


def test_recoveries_are_told_once_each() -> None:
    world, one, other = pair(nat=True, forward=True)
    world.traffic(one, "b")
    world.run(60)
    other.site.renumber({4: B2}, gagged=True)
    world.zone.set(HOST, [B2])
    world.run(60)
    texts = [note.text for _, note in one.notes if note.key == "b"]
    assert [text.split(" at ")[0] for text in texts] == ["does not answer", "is back"]
    assert one.state
    assert one.state.peers["b"].source == "dns"
    assert one.state.peers["b"].recovery == pytest.approx(5, abs=2.5)
    assert one.state.peers["b"].switches == 1


def test_a_reading_that_tells_nothing_new_of_idle_peers_leaves_all_of_them_as_they_are() -> None:
    """Not even copies are made of them; what a reading of a thousand peers takes is in `script/bench cost`."""
    keys = [f"{number:044}" for number in range(1000)]
    peers: Mapping[str, Declared] = {key: declared(key, [f"{key}.example"]) for key in keys}
    state, _ = decide(State(), Surroundings(frozenset(), frozenset({4})), 0.0)
    state, _ = decide(state, Applied(peers), 0.0)
    for turn in range(3):
        reading = {key: Seen("192.0.2.1:1", 1 + turn, 32 * turn, 0) for key in keys}
        state, _ = decide(state, Snapshot(reading), 4.0 * turn)
    after, actions = decide(state, Snapshot(dict(reading)), 9.0)
    assert not actions
    assert all(after.peers[key] is state.peers[key] for key in keys)
