"""Readings of the interface: what did not change is not parsed again, and what watchdogs say is told from traffic."""

from __future__ import annotations

from mesh_sync.wireguard import keys
from mesh_watchdog.policy.polling import is_flowing
from mesh_watchdog.sense.chatter import Chatter
from mesh_watchdog.sense.wg_counters import Known, seen

HEAD = "(none)\t(none)\t51820\toff"
A, B = (keys.public_key(keys.generate()) for _ in range(2))
SECRET = keys.generate()


def dump(*peers: tuple[str, str, int]) -> str:
    """What `wg show dump` prints, of peers with this key, address and number of bytes received."""
    lines = (f"{key}\t{SECRET}\t192.0.2.1:51820\t{address}/32\t1\t{rx}\t0\toff" for key, address, rx in peers)
    return "\n".join((HEAD, *lines)) + "\n"


def test_what_is_as_it_was_is_the_same_object() -> None:
    known: Known = {}
    first = seen(dump((A, "10.0.0.1", 100), (B, "10.0.0.2", 100)), known)
    second = seen(dump((A, "10.0.0.1", 100), (B, "10.0.0.2", 300)), known)
    assert second[A] is first[A]
    assert (second[B].rx, first[B].rx) == (300, 100)
    assert second == seen(dump((A, "10.0.0.1", 100), (B, "10.0.0.2", 300)))


def test_who_is_gone_is_forgotten_and_no_secret_is_kept() -> None:
    known: Known = {}
    seen(dump((A, "10.0.0.1", 100), (B, "10.0.0.2", 100)), known)
    assert seen(dump((A, "10.0.0.1", 100)), known).keys() == known.keys() == {A}
    assert SECRET not in repr(known)


def test_what_watchdogs_say_is_no_traffic_of_a_user() -> None:
    known, chatter, question = Known(), Chatter(), bytes(300)
    before = seen(dump((A, "10.0.0.1", 0)), known, chatter)
    for _ in range(4):
        chatter.note("10.0.0.1", question)
    said = 4 * (300 + 28 + 8 + 32)  # with the headers of UDP and IP, filled up to sixteen, and WireGuard's
    loud = seen(dump((A, "10.0.0.1", said)))
    assert not is_flowing(before, seen(dump((A, "10.0.0.1", said)), known, chatter))
    assert is_flowing(before, seen(dump((A, "10.0.0.1", said + 700)), known, chatter))
    assert is_flowing(before, loud), "if it is not known to be what watchdogs say"
