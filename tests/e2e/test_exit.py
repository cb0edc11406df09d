"""An exit is a choice: who offers one, who uses it, and what comes in by the underlay all the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from e2e.exit_lab import ExitLab, Session, becomes_seen, passes, seen_from, strict, stub
from e2e.running_watchdog import endpoint, watching
from lab import Lab, Node, reachability
from lab.firewall import NEVER_SPEAKS_FIRST
from lab.mesh import dump, key_of, now_json
from lab.ping import pinging
from lab.waiting import until

pytestmark = pytest.mark.e2e

LEAK = """table inet leak {
    chain out {
        type filter hook output priority 300
        oifname "eth0" ip daddr { 203.0.113.10, 203.0.113.53 } counter
    }
}"""
NO_GIT = """table inet no_git {
    chain forward {
        type filter hook forward priority -10
        ip daddr 203.0.113.10 drop
        ip6 daddr 2001:db8::10 drop
    }
}"""
WORLD, WORLD6 = "203.0.113.99", "2001:db8::99"
PUB, PUB6 = "198.51.100.20", "2001:db8:f::20"
EXIT, EXIT6 = "203.0.113.12", "2001:db8::12"
FLOWING = 10
"""Seconds of traffic before a move: after so long it is a conversation."""


@pytest.fixture(scope="module")
def net() -> Iterator[ExitLab]:
    with Lab() as lab:
        yield ExitLab(lab)


@pytest.fixture
def calm(net: ExitLab) -> ExitLab:
    """All nodes up and in sync, without an exit."""
    net.begin()
    return net


def test_an_offer_changes_nothing_and_only_who_chooses_it_leaves_by_it(calm: ExitLab) -> None:
    nodes = (calm.pub, calm.far, calm.home)
    before = [seen_from(node, WORLD) for node in nodes]
    assert before == [PUB, "198.51.100.21", "203.0.113.11"]
    calm.offer()
    calm.push("exit: offers one")
    assert [seen_from(node, WORLD) for node in nodes] == before
    assert [dump(node)[""]["fwmark"] for node in nodes] == ["off"] * 3
    calm.use("far")
    calm.push("far: uses it")
    assert becomes_seen(calm.far, WORLD, {EXIT}) == EXIT
    assert becomes_seen(calm.far, WORLD6, {EXIT6}) == EXIT6
    assert [seen_from(node, WORLD) for node in (calm.pub, calm.home)] == [before[0], before[2]]
    assert {now_json(node)["result"] for node in nodes} == {"in-sync"}


def test_a_public_address_is_answered_where_it_was_asked(calm: ExitLab) -> None:
    """By TCP and ping, in both IP versions, with a strict reverse path filter, while its own goes by the exit."""
    calm.offer()
    calm.use("pub")
    with strict(calm.pub), closing(Session(calm.world, calm.pub, PUB)) as session:
        calm.push("pub: uses the exit")
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
    calm.push("exit: offers one in halves")
    assert seen_from(calm.pub, WORLD) == PUB
    calm.use("pub")
    calm.push("pub: uses it")
    assert becomes_seen(calm.pub, WORLD, {EXIT}) == EXIT
    assert becomes_seen(calm.pub, WORLD6, {EXIT6}) == EXIT6
    assert seen_from(calm.world, PUB) == WORLD


def test_a_machine_declines_by_its_own_file(calm: ExitLab) -> None:
    calm.offer()
    calm.mesh.set_mesh(exit="exit")
    calm.mesh.configure(calm.pub, accept_exit=False)
    try:
        calm.push("all use the exit")
        assert becomes_seen(calm.home, WORLD, {EXIT}) == EXIT
        assert seen_from(calm.pub, WORLD) == PUB
    finally:
        calm.mesh.set_mesh(exit=None)


# -- the exit dies


@pytest.fixture
def used(calm: ExitLab) -> ExitLab:
    """`pub` and `home` leave by the exit."""
    calm.offer()
    calm.use("pub", "home")
    calm.push("pub and home use the exit")
    for node in (calm.pub, calm.home):
        assert becomes_seen(node, WORLD, {EXIT}) == EXIT
    return calm


def ways_past(node: Node) -> str:
    return node.run(["sh", "-c", "ip rule show priority 5182; ip -6 rule show priority 5182; ls /run/mesh-sync"]).stdout


def test_the_removal_of_a_dead_exit_is_taken_within_two_passes(used: ExitLab) -> None:
    nodes = (used.pub, used.home)
    with stub(used.home, used.mesh.lab), used.dead():
        used.use(exit_=None)
        used.mesh.set("exit", enabled=False)
        head = used.mesh.push("the exit is dead: no node uses it")
        done = passes(*nodes)
        if {each["commit"] for each in done} != {head}:
            done = passes(*nodes)
        assert [(each["result"], each["commit"]) for each in done] == [("applied", head)] * 2, done
        assert all("the exit exit does not answer: git went past it" in each["message"] for each in done)
        assert [seen_from(node, WORLD) for node in nodes] == [PUB, "203.0.113.11"]
    for node in nodes:
        assert "5182" not in ways_past(node)
        assert "past_exit" not in ways_past(node)


def test_another_commit_is_taken_while_the_exit_is_dead(used: ExitLab) -> None:
    with used.dead():
        used.mesh.set("pub", persistent_keepalive=9)
        head = used.mesh.push("pub: another keepalive")
        [done] = passes(used.pub)
        assert (done["result"], done["commit"]) == ("applied", head), done
        assert seen_from(used.pub, WORLD) == "", "what is not git waits for the exit"
        assert "5182" not in ways_past(used.pub)


def test_git_never_goes_past_an_exit_that_answers_unless_told_so(used: ExitLab) -> None:
    """The exit leads to no git host. Not a packet to that, or to the nameserver, leaves `pub` but by the tunnel."""
    used.mesh.configure(used.home, git_past_exit="unreachable")
    used.pub.nft(LEAK)
    used.exit.nft(NO_GIT)
    try:
        kept, told = passes(used.pub, used.home)
        assert kept["result"] == "unreachable"
        assert "past" not in kept["message"]
        assert told["result"] == "in-sync", told
        assert "no remote answers through the exit exit: git went past it" in told["message"]
    finally:
        used.exit.run(["nft", "delete", "table", "inet", "no_git"])
        counted = used.pub.run(["nft", "list", "table", "inet", "leak"]).stdout
        used.pub.run(["nft", "delete", "table", "inet", "leak"])
    assert "counter packets 0 " in counted


def test_a_machine_can_be_told_never_to_go_past_it_or_leave_it_by_itself(used: ExitLab) -> None:
    used.mesh.configure(used.pub, git_past_exit="never")
    used.mesh.configure(used.home, accept_exit=False, git_past_exit="never")
    with used.dead():
        done = passes(used.pub, used.home)
        assert [each["result"] for each in done] == ["unreachable"] * 2
        assert seen_from(used.pub, WORLD) == ""
        assert seen_from(used.home, WORLD) == "203.0.113.11", "declined without git"


def test_a_way_past_that_a_killed_run_left_is_closed(used: ExitLab) -> None:
    for command in (["mesh-sync", "now"], ["mesh-sync", "down"]):
        used.pub.run(["mkdir", "-p", "/run/mesh-sync"])
        used.pub.run(["sh", "-c", """echo '["203.0.113.10", "2001:db8::10"]' >/run/mesh-sync/wg0.past_exit.json"""])
        used.pub.ip("rule add to 203.0.113.10 lookup main priority 5182")
        used.pub.run(command)
        assert "5182" not in ways_past(used.pub)
        assert "past_exit" not in ways_past(used.pub)
    used.pub.run(["mesh-sync", "up"])


def test_an_exit_that_moves_silently_is_found_though_names_are_asked_by_a_local_stub(used: ExitLab) -> None:
    """The stub asks through the exit and never hears back; whom it asks is in a file, as systemd-resolved has it."""
    lab, pub, exit_ = used.mesh.lab, used.pub, used.exit
    lab.dns.set("exit.example", EXIT)
    used.mesh.set("exit", endpoint="exit.example:51820")
    used.push("exit: by its name")
    pub.run(["wg", "set", "wg0", "peer", key_of(exit_), "remove"])
    pub.run(["mesh-sync", "now"], check=False)  # without an exit there is no git, and yet the name is looked up
    assert endpoint(pub, key_of(exit_)) == f"{EXIT}:51820"
    exit_.nft(NEVER_SPEAKS_FIRST)
    try:
        with stub(pub, lab), watching(pub) as dog, pinging(pub, WORLD) as [ping]:
            until(lambda: dog.all_are("up", "exit"))
            ping.flows(time.time() + FLOWING)
            exit_.renumber("203.0.113.112")
            pub.run(["ip", "neigh", "flush", "all"])
            lab.dns.set("exit.example", "203.0.113.112")
            moved = time.time()
            took = ping.flows(moved, 40)
        print(f"found after {took:.1f} s")
        assert endpoint(pub, key_of(exit_)) == "203.0.113.112:51820"
    finally:
        exit_.run(["nft", "delete", "table", "ip", "shut"])
        exit_.renumber(EXIT)
        used.mesh.set("exit", endpoint=f"{EXIT}:51820")


# -- what covers an endpoint, a nameserver or the git host


def test_a_network_behind_a_peer_may_cover_its_endpoint_and_the_git_host(calm: ExitLab) -> None:
    """203.0.113.0/24 has the exit itself, git, DNS and the witness in it; `pub` reaches all of them by its router."""
    calm.mesh.set("exit", subnets=["203.0.113.0/24"])
    with strict(calm.pub):
        calm.push("the whole network is behind the peer exit")
        assert becomes_seen(calm.pub, WORLD, {EXIT}) == EXIT
        assert seen_from(calm.pub, WORLD6) == PUB6
        assert seen_from(calm.world, PUB) == WORLD
        rules = calm.pub.run(["ip", "route", "show", "table", "51820"]).stdout
        assert rules.startswith("203.0.113.0/24 dev wg0")
        assert {now_json(node)["result"] for node in (calm.pub, calm.far, calm.home)} == {"in-sync"}
    with calm.dead():
        calm.mesh.set("exit", subnets=None)
        head = calm.mesh.push("it is dead: nothing is behind it")
        done = passes(calm.pub, calm.home)
        if {each["commit"] for each in done} != {head}:
            done = passes(calm.pub, calm.home)
        assert {each["commit"] for each in done} == {head}, done
        assert seen_from(calm.pub, WORLD) == PUB
