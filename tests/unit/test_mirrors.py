"""What a peer offers as a mirror: taken where it is to be trusted; whatever else it is, it only costs a little time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.errors import Refused, Unreachable
from mesh_sync.node import news
from mesh_sync.node import state as states
from mesh_sync.node.clock import trusted
from mesh_sync.node.config import Trust
from mesh_sync.node.news import News, Teller
from mesh_sync.node.state import BadCommit, Intent, Pause
from mesh_sync.reconcile.heads import verdict_on
from mesh_sync.reconcile.mirrored import answering
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.repository import mirrors as mirrors_module
from mesh_sync.repository.mirrors import LONGEST, Mirrors, mirrors
from mesh_sync.repository.remote import Remote, asked
from mesh_sync.wireguard.plan import Change
from unit.hostile_mesh import HostileMesh, Observed, git
from unit.hostile_steps import at, by_admin, by_node
from unit.peer_as_mirror import ADDRESS, Mirror, mirroring, serving, silent


@pytest.fixture
def mirror(mesh: HostileMesh, tmp_path: Path) -> Iterator[Mirror]:
    """A peer that serves whatever it is told to, of everything that was ever made."""
    with mirroring(Mirror(serving(tmp_path / "mirror", mesh.store), mesh.first)) as found:
        yield found


def asks(node: Observed, commit: str, *tellers: Teller) -> Remote:
    """Whom the node asks, once the peer (else these) has told of a commit."""
    states.save(node.node.state_file, node.state)
    news.save(node.node, News(commit, tellers or (Teller("b", ADDRESS),)))
    return mirrors(node.node)


def told(node: Observed, commit: str, *tellers: Teller) -> Verdict:
    """The peer tells of a commit; the verdict of the run."""
    with asked(asks(node, commit, *tellers)) as request:
        verdict = verdict_on(node.node, node.state, request, trusted(time.time()), retry=False, note=lambda text: None)
    node.state = verdict.after
    return verdict


def unsigned(mesh: HostileMesh, parent: str) -> str:
    return mesh.commit(mesh.made[parent].files, [parent], None, legitimate=False)


def test_a_commit_is_taken_from_a_peer_and_no_remote_is_asked(mesh: HostileMesh, mirror: Mirror) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    node.ask("/nowhere")
    mirror.show(good)
    verdict = told(node, good)
    assert (verdict.problem, at(mesh), verdict.mirrored) == (None, good, True)
    assert verdict.notes == (f"commit {good[:10]} came from b (git://{ADDRESS}/mesh)",)
    assert node.state.remote.trusted
    assert node.state.remote.trusted.commit == good


@pytest.mark.parametrize("newer", ["a good one", "an unsigned one"])
def test_of_a_peer_that_has_a_newer_one_what_was_told_is_taken(mesh: HostileMesh, mirror: Mirror, newer: str) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    mirror.show(by_admin(mesh, good, 8) if newer == "a good one" else unsigned(mesh, good))
    node.ask("/nowhere")
    assert told(node, good).problem is None
    assert at(mesh) == good


def test_after_a_mirror_of_no_use_the_next_is_asked(mesh: HostileMesh, mirror: Mirror) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    node.ask("/nowhere")
    mirror.show(good)
    assert told(node, good, Teller("c", "127.0.0.250"), Teller("b", ADDRESS)).problem is None
    assert at(mesh) == good


@pytest.mark.parametrize("host", [True, False], ids=["the host has a good one", "the host has nothing new"])
def test_an_unsigned_commit_is_not_taken_and_not_remembered(mesh: HostileMesh, mirror: Mirror, host: bool) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    bad = unsigned(mesh, mesh.first)
    node.show(0, good if host else mesh.first)
    before = node.state
    mirror.show(bad)
    verdict = told(node, bad)
    assert verdict.problem is None
    assert at(mesh) == (good if host else mesh.first)
    assert f"commit {bad[:10]} is not signed" in "; ".join(verdict.notes)
    assert (node.state.remote.refusals, node.state.remote.bad) == ((), None)
    if not host:
        assert node.state == before


@pytest.mark.parametrize("of", ["the new one", "the old one"])
def test_an_old_head_takes_nothing_back(mesh: HostileMesh, mirror: Mirror, of: str) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    newer = by_admin(mesh, good, 8)
    node.show(0, good)
    node.poll()
    node.show(0, newer)
    mirror.show(mesh.first)
    verdict = told(node, newer if of == "the new one" else mesh.first)
    assert (verdict.problem, at(mesh)) == (None, newer)
    assert node.state.remote.refusals == ()


def test_a_commit_of_a_node_does_not_replace_another(mesh: HostileMesh, mirror: Mirror) -> None:
    """What nodes have signed is provisional; only an admin takes it back."""
    node = mesh.nodes["a"]
    one, other = by_node(mesh, mesh.first, 51821), by_node(mesh, mesh.first, 51822)
    node.show(0, one)
    node.poll()
    mirror.show(other)
    told(node, other)
    assert at(mesh) == one
    assert node.state.remote.refusals == ()


def test_what_only_a_node_has_signed_comes_from_a_remote_while_one_answers(mesh: HostileMesh, mirror: Mirror) -> None:
    """Else a node that may not push could keep what others push from this one, until an admin's next commit."""
    node = mesh.nodes["a"]
    fork, pushed = by_node(mesh, mesh.first, 51821), by_node(mesh, mesh.first, 51822)
    node.show(0, mesh.first)
    mirror.show(fork)
    assert "no admin has signed it" in "; ".join(told(node, fork).notes)
    assert at(mesh) == mesh.first
    node.show(0, pushed)
    told(node, fork)
    assert at(mesh) == pushed


def test_while_no_remote_answers_it_comes_from_a_peer_too(mesh: HostileMesh, mirror: Mirror) -> None:
    node, own = mesh.nodes["a"], by_node(mesh, mesh.first, 51821)
    node.ask("/nowhere")
    mirror.show(own)
    assert isinstance(told(node, own).problem, Unreachable)
    assert told(node, own).problem is None
    assert at(mesh) == own


def test_a_peer_that_says_nothing_costs_a_little_time(mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors_module, "EACH", 0.5)
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    node.show(0, good)
    with silent():
        verdict = told(node, good)
    assert at(mesh) == good
    assert "did not deliver" in "; ".join(verdict.notes)


def test_where_no_remote_answers_a_slow_mirror_has_time(
    mesh: HostileMesh, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors_module, "EACH", 0.0)
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    node.ask("/nowhere")
    mirror.show(good)
    assert isinstance(told(node, good).problem, Unreachable)
    assert told(node, good).problem is None
    assert at(mesh) == good


def test_where_nothing_listens_the_remotes_are_asked(mesh: HostileMesh) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    node.show(0, good)
    assert "refuses the connection" in "; ".join(told(node, good).notes)
    assert at(mesh) == good


def test_when_neither_has_it_the_remotes_are_unreachable(mesh: HostileMesh) -> None:
    node = mesh.nodes["a"]
    node.ask("/nowhere")
    verdict = told(node, by_admin(mesh, mesh.first))
    assert isinstance(verdict.problem, Unreachable)
    assert at(mesh) == mesh.first


def test_after_a_minute_of_mirrors_the_remotes_are_asked_whatever_peers_tell(mesh: HostileMesh, mirror: Mirror) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    newer = by_admin(mesh, good, 8)
    mirror.show(good)
    told(node, good)
    since = node.state.remote.mirrored_since
    assert since
    assert isinstance(asks(node, newer), Mirrors)
    node.state = evolve(node.state, remote=evolve(node.state.remote, mirrored_since=since - LONGEST))
    node.show(0, newer)
    mirror.show(newer)
    verdict = told(node, newer)
    assert (at(mesh), verdict.mirrored, node.state.remote.mirrored_since) == (newer, False, None)


def test_after_a_minute_of_mirrors_they_are_asked_where_no_remote_answers(mesh: HostileMesh, mirror: Mirror) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    newer = by_admin(mesh, good, 8)
    node.ask("/nowhere")
    mirror.show(good)
    told(node, good)
    node.state = evolve(node.state, remote=evolve(node.state.remote, mirrored_since=time.time() - 2 * LONGEST))
    bad = unsigned(mesh, good)
    mirror.show(bad)
    assert isinstance(told(node, bad).problem, Unreachable)
    mirror.show(newer)
    assert told(node, newer).problem is None
    assert at(mesh) == newer


def test_an_outage_of_the_remotes_is_not_over_because_a_peer_answers(mesh: HostileMesh, mirror: Mirror) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    node.ask("/nowhere")
    node.poll()
    since = node.state.remote.silent_since
    assert since
    mirror.show(good)
    told(node, good)
    assert (at(mesh), node.state.remote.silent_since) == (good, since)


def test_who_asks_no_mirror(mesh: HostileMesh) -> None:
    node, good = mesh.nodes["a"], by_admin(mesh, mesh.first)
    assert isinstance(asks(node, good), Mirrors)
    applied = at(mesh)
    assert applied
    assert type(asks(node, applied)) is Remote, "it is applied"
    state, settings = node.state, node.node
    for changed in (
        evolve(state, intent=Intent(Pause(1.0))),
        evolve(state, remote=evolve(state.remote, bad=BadCommit(good, "rolled back"))),
        evolve(state, remote=evolve(state.remote, trusted=None)),
    ):
        node.state = changed
        assert type(asks(node, good)) is Remote
    node.state = state
    node.node = evolve(settings, trust=Trust(mode="none"))
    assert type(asks(node, good)) is Remote, "a peer could give it anything"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"commit": "x", "tellers": []}', f'{{"commit": "{"1" * 40}", "tellers": [{{"name": "a", '
     '"address": "-x/../y"}]}'],
)  # fmt: skip
def test_news_that_are_none(mesh: HostileMesh, text: str) -> None:
    node = mesh.nodes["a"].node
    news.save(node, News("1" * 40))
    node.news_file.write_text(text)
    assert news.load(node) is None


def test_only_what_may_cut_a_node_off_has_a_remote_asked_first(mesh: HostileMesh) -> None:
    node = mesh.nodes["a"]
    desired = node.state.applied.desired
    assert desired
    peers = (Change("peer-added", "x"), Change("peer-removed", "y"), Change("keepalive", "z"), Change("conf", ""))
    assert answering(node.node, desired, desired, peers) is None
    assert answering(node.node, desired, desired, (*peers, Change("foreign-peer", "kept", acted=False))) is None
    exits = evolve(desired, exit_routes=frozenset({"0.0.0.0/0"}))
    for kind in ("route-added", "route-removed", "address-added", "fwmark", "allowed-ips", "private-key"):
        assert answering(node.node, desired, desired, (*peers, Change(kind, "x"))) is not None
    assert answering(node.node, desired, exits, peers) is not None
    assert answering(node.node, exits, desired, peers) is not None
    node.ask("/nowhere")
    assert answering(node.node, exits, exits, peers) is None, "what did not answer before cannot be missed"


# -- what a peer gets


def heads_at(place: str = "mesh") -> str:
    env = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["git", "ls-remote", f"git://{ADDRESS}/{place}"], env=env, capture_output=True, text=True, timeout=60
    )
    return done.stdout if done.returncode == 0 else "refused"


def test_only_the_applied_commit_has_a_name(mesh: HostileMesh, mirror: Mirror, tmp_path: Path) -> None:
    good = by_admin(mesh, mesh.first)
    git("update-ref", "refs/mesh/candidate", unsigned(mesh, good), at=mesh.store)
    git("update-ref", "refs/heads/main", good, at=mesh.store)
    assert heads_at() == f"{mesh.first}\tHEAD\n{mesh.first}\trefs/heads/mesh\n"
    mirror.show(good)
    assert heads_at() == f"{good}\tHEAD\n{good}\trefs/heads/mesh\n"


def test_what_was_fetched_and_is_not_trusted_is_not_given_out(
    mesh: HostileMesh, mirror: Mirror, tmp_path: Path
) -> None:
    bad = unsigned(mesh, mesh.first)
    place = tmp_path / "thief.git"
    git("init", "-q", "--bare", str(place), at=place)
    for version in ("0", "2"):
        fetch = ["-c", f"protocol.version={version}", "--git-dir", str(place), "fetch", f"git://{ADDRESS}/mesh", bad]
        done = subprocess.run(["git", *fetch], capture_output=True, timeout=60)
        assert done.returncode, "an unsigned commit was given out"
    assert git("fetch", "-q", f"git://{ADDRESS}/mesh", "mesh", at=place) == ""


@pytest.mark.parametrize("place", ["", "mesh/", "mesh.git", "../mesh", "mesh/../mesh", "etc", "Mesh"])
def test_there_is_no_other_repository(mirror: Mirror, place: str) -> None:
    assert heads_at(place) == "refused"


def test_nothing_is_pushed(mesh: HostileMesh, mirror: Mirror) -> None:
    push = ["--git-dir", str(mesh.store), "push", "-q", f"git://{ADDRESS}/mesh", f"{mesh.first}:refs/heads/x"]
    assert subprocess.run(["git", *push], capture_output=True, timeout=60).returncode
    assert heads_at() == f"{mesh.first}\tHEAD\n{mesh.first}\trefs/heads/mesh\n"


def test_a_refusal_stays_one(mesh: HostileMesh, mirror: Mirror) -> None:
    """What the remotes show is judged as ever, after a mirror has shown it before."""
    node, bad = mesh.nodes["a"], unsigned(mesh, mesh.first)
    mirror.show(bad)
    told(node, bad)
    node.show(0, bad)
    node.show(1, bad)
    assert isinstance(node.poll().problem, Refused)
    assert [one.commit for one in node.state.remote.refusals] == [bad]
