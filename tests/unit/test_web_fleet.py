"""What the page makes of the nodes' words, and where it asks none."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from lab.waiting import until
from mesh_sync.fleet.by_list import Place, place_in, whom
from mesh_sync.fleet.compare import compared
from mesh_sync.fleet.verify import Doubt, Heard, Signature
from mesh_sync.node.statement import NotDirect, Statement
from mesh_sync.web.mesh_page import live, picture
from mesh_sync.web.peer_table import Asked, rows
from mesh_sync.web.texts import Texts
from mesh_sync.web.watching import Watching
from mesh_sync.workspace.fleet_now import FleetNow, Meets, Now, Taken
from mesh_sync.workspace.pairs import How, Pair
from unit.list_keeper import Operator
from unit.test_web_mesh import AT, listed
from unit.web_page import given_away, place, serving

NEW, OLD, OTHER = "1" * 40, "2" * 40, "3" * 40
LIST = listed(aws=AT.format("aws"), home="", phone='managed = false\nvia = "aws"\n')
PEERS = tuple(LIST.mesh.peers.values())


def link(name: str, kind: str, *addresses: str) -> dict[str, Any]:
    """An interface as `ip -json address show` prints it."""
    return {"ifname": name, "link_type": kind, "addr_info": [{"local": address} for address in addresses]}


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ([link("lo", "loopback", "127.0.0.1"), link("wg0", "none", "10.0.0.3", "fe80::1")],
         Place("home", "wg0", frozenset({4, 6}))),
        ([link("wg1", "none", "10.9.0.1"), link("mesh", "none", "10.0.0.4")], Place("phone", "mesh", frozenset({4}))),
        ([link("eth0", "ether", "10.0.0.3")], None),
        ([link("wg0", "none", "10.0.0.9")], None),
        ([{"ifname": "wg0"}, {}], None),
    ],
    ids=["node", "unmanaged", "an office's network", "another mesh", "nothing"],
)  # fmt: skip
def test_this_machine_is_the_peer_whose_address_its_tunnel_has(links: list[object], found: Place | None) -> None:
    assert place_in(json.dumps(links), PEERS) == found


def test_nodes_are_asked_and_no_others() -> None:
    assert whom(PEERS, {4}) == {"aws": "10.0.0.2", "home": "10.0.0.3"}
    assert whom(PEERS, {6}) == {}


def said(name: str, commit: str | None = NEW, *, signature: Signature = Signature.SIGNED, **more: Any) -> Heard:
    words: dict[str, Any] = {"mesh": "test", "node": name, "commit": commit, "version": "1", "moment": 0.0, **more}
    return Heard(name, Statement(**words), signature)


def now(*found: Heard, asker: str = "a") -> FleetNow:
    return FleetNow(compared(asker, NEW, found, frozenset({OLD})))


@pytest.mark.parametrize(
    ("heard", "what"),
    [
        (said("b"), Taken.DONE),
        (said("b", OLD, result="in-sync"), Taken.BEHIND),
        (said("b", OLD, result="refused", cause="guard"), Taken.REFUSED),
        (said("b", OLD, result="rolled-back"), Taken.BACK),
        (said("b", OLD, result="failed"), Taken.FAILED),
        (said("b", OLD, result="failed", trial=NEW), Taken.TRIAL),
        (said("b", None), Taken.BEHIND),
        (said("b", OTHER), Taken.AHEAD),
        (Heard("b"), Taken.SILENT),
        (Heard("b", doubt=Doubt.FORGED), Taken.DOUBTED),
    ],
    ids=str,
)
def test_what_a_node_has_made_of_the_newest_commit(heard: Heard, what: Taken) -> None:
    assert now(heard).rows["b"][1] is what


def test_those_come_first_that_need_a_look_and_only_what_counts_is_counted() -> None:
    found = now(
        said("a"), said("b", signature=Signature.UNLISTED), Heard("c"), said("d", OLD), Heard("e", doubt=Doubt.OLD)
    )
    assert list(found.rows) == ["e", "c", "d", "a", "b"]
    assert (found.answered, found.verified, found.unverified) == (2, 2, 1)
    assert found.counts[Taken.DONE] == 2
    assert not found.is_done


def pairs(found: FleetNow, name: str, *listed: Pair) -> dict[str, Now]:
    others = listed or [Pair(other, How.BOTH) for other in "abcde" if other != name]
    return {other: meets.now for other, meets in found.pairs(name, others).items()}


def test_of_pairs_only_what_follows_from_the_counts_is_said_where_nodes_name_none() -> None:
    found = now(
        said("a", up=2, stale=2), said("b", up=4), said("c", up=3, relayed=1), said("d", up=1, stale=3), Heard("e")
    )
    assert pairs(found, "b") == dict.fromkeys("acde", Now.DIRECT)
    assert pairs(found, "c") == {"a": Now.PASSES, "b": Now.DIRECT}
    assert pairs(found, "a") == {"b": Now.DIRECT, "c": Now.PASSES, "d": Now.PASSES, "e": Now.SILENT}
    assert pairs(found, "e") == {"a": Now.SILENT, "b": Now.DIRECT}
    assert pairs(found, "c", Pair("b", How.VIA, ("d",)), Pair("a", How.BOTH)) == {"a": Now.PASSES}, "no tunnel"
    assert pairs(now(said("a"), Heard("b", doubt=Doubt.FORGED)), "b") == {}
    assert now(said("a", up=3, new=1), asker="x").pair("a", "b") is None, "it may be b that was not heard yet"


def test_of_pairs_that_a_node_names_it_is_said_how_they_stand_and_since_when() -> None:
    apart = (NotDirect(peer="c", since=7), NotDirect(peer="d", since=9, relay="b"))
    found = now(
        said("a", up=1, stale=1, relayed=1, not_direct=apart, nat="hard"), said("c", up=3, nat="easy"),
        said("d", up=1, stale=9, not_direct=(NotDirect(peer="b", since=3),)), asker="x",
    )  # fmt: skip
    assert found.pair("c", "a") == Meets(Now.STALE, "a", 7), "the end that does not hear counts"
    assert found.pair("a", "d") == Meets(Now.RELAYED, "a", 9, "b")
    assert found.pair("a", "b") == Meets(Now.DIRECT, "a"), "it names all that are not up"
    assert found.pair("d", "b") == Meets(Now.STALE, "d", 3)
    assert found.pair("d", "e") is None, "it has not named all"
    assert found.pair("a", "c", has_tunnel=False) is None
    assert found.named == (("a", "c"), ("a", "d"), ("b", "d"))
    assert (found.nat("a"), found.nat("z")) == ("hard", "")


def test_through_a_relay_that_does_not_hear_one_of_two_nothing_passes() -> None:
    apart = {"a": NotDirect(peer="b", since=9, relay="r"), "r": NotDirect(peer="b", since=7)}
    relayed = said("a", up=1, relayed=1, not_direct=(apart["a"],))
    assert now(relayed, said("r", up=2)).pair("a", "b") == Meets(Now.RELAYED, "a", 9, "r")
    assert now(relayed, said("r", up=1, stale=1, not_direct=(apart["r"],))).pair("a", "b") == Meets(Now.STALE, "r", 7)


def test_the_picture_says_of_which_tunnels_and_nodes_something_is_known() -> None:
    found = now(said("aws", up=1, stale=1, new=2, not_direct=(NotDirect(peer="home", since=7),)), asker="aws")
    drawn = str(picture(LIST, Asked(), rows(LIST), lambda mesh: live(mesh, found, Texts("zh"))))
    assert '<line class="direct never"' in drawn
    assert "<title>aws – home: 失联" in drawn
    assert drawn.count("</line>") == 1, "of the others nothing is known"
    assert "1 个连通，1 个失联，2 个尚未收到" in drawn


def test_the_nodes_are_asked_once_at_a_time_and_not_for_each_page() -> None:
    asked, may_end = threading.Semaphore(0), threading.Event()

    def look() -> FleetNow:
        asked.release()
        may_end.wait(60)
        return now(said("a"), said("b"))

    watching = Watching(look)
    for _ in range(20):
        assert watching.seen() is None, "a page never waits for it"
    may_end.set()
    until(watching.seen, 60)
    for _ in range(20):
        watching.seen()
    assert asked.acquire(timeout=60)
    assert not asked.acquire(blocking=False)
    assert watching.seen(time.monotonic()) is None, "what was heard before a push says nothing of it"
    assert asked.acquire(timeout=60)


def test_what_goes_wrong_while_asking_is_no_answer() -> None:
    def look() -> FleetNow:
        raise OSError

    watching = Watching(look)
    until(watching.seen, 60)
    found = watching.seen()
    assert found is not None
    assert found.fleet is None


def test_on_a_machine_that_is_no_peer_the_page_says_that_it_has_the_list_alone() -> None:
    with place() as folder:
        Operator(folder / "mesh")
        given_away(folder)
        with serving(folder / "mesh") as running:
            page = running.enter()
            until(lambda: "this machine is no peer of the mesh" in page.ask("/").shown, 60)
            assert "this machine is no peer of the mesh" in page.ask("/peer/aws").shown
            assert "/quiet/mesh" not in page.ask("/").text
            assert page.ask("/quiet/mesh?q=aws").text.startswith('<div id="peers">')
