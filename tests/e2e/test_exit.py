"""An exit is a choice: who offers one, who uses it, and what comes in by the underlay all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from e2e.exit_lab import ExitLab, Session, becomes_seen, seen_from, strict
from lab import Lab, reachability
from lab.mesh import dump, now_json

pytestmark = pytest.mark.e2e

WORLD, WORLD6 = "203.0.113.99", "2001:db8::99"
PUB, PUB6 = "198.51.100.20", "2001:db8:f::20"
EXIT, EXIT6 = "203.0.113.12", "2001:db8::12"


@pytest.fixture(scope="module")
def net() -> Iterator[ExitLab]:
    with Lab() as lab:
        yield ExitLab(lab)


@pytest.fixture
def calm(net: ExitLab) -> ExitLab:
    """All nodes up and in sync, without an exit."""
    net.begin()
    return net


def pushed(net: ExitLab, message: str) -> None:
    net.mesh.push(message)
    net.mesh.now()


def test_an_offer_changes_nothing_and_only_who_chooses_it_leaves_by_it(calm: ExitLab) -> None:
    nodes = (calm.pub, calm.far, calm.home)
    before = [seen_from(node, WORLD) for node in nodes]
    assert before == [PUB, "198.51.100.21", "203.0.113.11"]
    calm.offer()
    pushed(calm, "exit: offers one")
    assert [seen_from(node, WORLD) for node in nodes] == before
    assert [dump(node)[""]["fwmark"] for node in nodes] == ["off"] * 3
    calm.use("far")
    pushed(calm, "far: uses it")
    assert becomes_seen(calm.far, WORLD, {EXIT}) == EXIT
    assert becomes_seen(calm.far, WORLD6, {EXIT6}) == EXIT6
    assert [seen_from(node, WORLD) for node in (calm.pub, calm.home)] == [before[0], before[2]]
    assert {now_json(node)["result"] for node in nodes} == {"in-sync"}


def test_a_public_address_is_answered_where_it_was_asked(calm: ExitLab) -> None:
    """By TCP and ping, in both IP versions, with a strict reverse path filter, while its own goes by the exit."""
    calm.offer()
    calm.use("pub")
    with strict(calm.pub), closing(Session(calm.world, calm.pub, PUB)) as session:
        pushed(calm, "pub: uses the exit")
        assert session.answers(), "one that was open before"
        assert becomes_seen(calm.pub, WORLD, {EXIT}) == EXIT
        assert becomes_seen(calm.pub, WORLD6, {EXIT6}) == EXIT6
        assert seen_from(calm.world, PUB) == WORLD
        assert seen_from(calm.world, PUB6) == WORLD6
        asked = [(calm.world, PUB), (calm.world, PUB6), (calm.pub, "10.0.0.11"), (calm.far, "fd00:77::20")]
        found = reachability(asked, deadline=12)
        assert all(found.values()), found
        assert seen_from(calm.far, "10.0.0.20") == "10.0.0.21"


def test_a_default_route_in_pieces_is_an_exit(calm: ExitLab) -> None:
    calm.offer("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")
    pushed(calm, "exit: offers one in halves")
    assert seen_from(calm.pub, WORLD) == PUB
    calm.use("pub")
    pushed(calm, "pub: uses it")
    assert becomes_seen(calm.pub, WORLD, {EXIT}) == EXIT
    assert becomes_seen(calm.pub, WORLD6, {EXIT6}) == EXIT6
    assert seen_from(calm.world, PUB) == WORLD


def test_a_machine_declines_by_its_own_file(calm: ExitLab) -> None:
    calm.offer()
    calm.mesh.set_mesh(exit="exit")
    calm.mesh.configure(calm.pub, accept_exit=False)
    try:
        pushed(calm, "all use the exit")
        assert becomes_seen(calm.home, WORLD, {EXIT}) == EXIT
        assert seen_from(calm.pub, WORLD) == PUB
    finally:
        calm.mesh.set_mesh(exit=None)
