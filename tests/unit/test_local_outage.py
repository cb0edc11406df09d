"""Whom a node asks when one peer misses an answer: is it them or us?"""

from __future__ import annotations

from attrs import evolve

from mesh_watchdog.policy.local_outage import is_local_outage, is_open, witnesses
from mesh_watchdog.policy.observations import Surroundings
from mesh_watchdog.policy.peer import UP, PeerState
from unit.relay_world import declared

NOW = 1000.0


def peer(number: int, heard: float) -> PeerState:
    """A quick peer at a site of its own, heard ``heard`` seconds ago."""
    good = f"198.51.100.{number}:51820"
    known = PeerState(declared=declared(f"n{number}", number), since=0.0, heard=NOW - heard)
    return evolve(known, phase=UP, lived=True, prompt=True, quick=True, good=good, path=good)


def silent(number: int) -> PeerState:
    """One that owes an answer for longer than it ever takes."""
    return evolve(peer(number, 3.0), wanted=NOW - 3.0, asked=NOW - 1.0, probed=NOW - 1.0, misses=1)


def test_where_the_silence_of_witnesses_could_mean_us_they_are_asked() -> None:
    peers = {"a": silent(1), "b": peer(2, 3.0), "c": peer(3, 3.0)}
    assert witnesses(peers, NOW) == ("b", "c")
    assert is_local_outage(
        {key: silent(at) for at, key in enumerate(peers)}, Surroundings(frozenset(), frozenset({4})), NOW
    )


def test_where_it_could_not_none_is_asked_and_waited_for() -> None:
    assert witnesses({"a": silent(1), "b": peer(2, 3.0)}, NOW) == ()
    assert witnesses({"a": silent(1), "b": peer(2, 3.0), "c": peer(3, 0.5)}, NOW) == (), "c is heard: it is not us"
    peers = {"a": silent(1), **{f"b{at}": peer(at, 3.0) for at in range(2, 6)}}
    assert len(witnesses(peers, NOW)) == 4
    assert witnesses({**peers, "c": peer(7, 0.5), "d": peer(8, 0.5)}, NOW) == ()


def test_it_is_open_until_so_many_have_answered_that_it_is_not_us() -> None:
    asked = {"a": silent(1), "b": evolve(peer(2, 3.0), asked=NOW), "c": evolve(peer(3, 3.0), asked=NOW)}
    assert is_open(asked, NOW)
    assert not is_open({**asked, "b": peer(2, 0.0)}, NOW)


def test_a_peer_that_owes_nothing_needs_no_witness() -> None:
    assert witnesses({"a": peer(1, 0.5), "b": peer(2, 3.0), "c": peer(3, 3.0)}, NOW) == ()
