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
from mesh_sync.node.statement import Statement
from mesh_sync.web.watching import Watching
from mesh_sync.workspace.fleet_now import FleetNow, Now, Taken
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


def test_of_pairs_only_what_follows_from_the_counts_is_said() -> None:
    found = now(
        said("a", up=2, stale=2), said("b", up=4), said("c", up=3, relayed=1), said("d", up=1, stale=3), Heard("e")
    )
    assert found.pairs("b", ()) == dict.fromkeys("acde", Now.DIRECT)
    assert found.pairs("c", ()) == {"a": Now.PASSES, "b": Now.DIRECT}
    assert found.pairs("a", ()) == {"b": Now.DIRECT, "c": Now.PASSES, "d": Now.PASSES, "e": Now.SILENT}
    assert found.pairs("e", ()) == {"a": Now.SILENT, "b": Now.DIRECT}
    assert found.pairs("c", [Pair("b", How.VIA, ("d",))]) == {"a": Now.PASSES}, "there is no tunnel between the two"
    assert now(said("a"), Heard("b", doubt=Doubt.FORGED)).pairs("b", ()) == {}


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
