"""What is not a commit's fault is not blamed on it: it is confirmed, or tried again later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.mesh_on_trial import GIT_HOST, SHORT, cover
from lab import Lab
from lab.mesh import Mesh, now, now_json, status, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.tree import ENVIRONMENT
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

STATE = "/var/lib/mesh-sync/wg0/state.json"


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """a and b, up and talking."""
    with Lab() as lab:
        mesh = Mesh(lab)
        mesh.node("a", 11)
        mesh.node("b", 12)
        mesh.push("two peers")
        mesh.now()
        first_answer(mesh.nodes["b"], "10.0.0.11")
        yield mesh


def confirmed(node: Node, commit: str) -> None:
    found = now_json(node, timeout=90)
    assert (found["result"], found["commit"]) == ("applied", commit)
    last = status(node)["history"][-1]
    assert (last["commit"], last["ended"]) == (commit, "confirmed")


def test_an_ordinary_commit_is_confirmed_in_a_moment(mesh: Mesh) -> None:
    stranger(mesh, "c", 13)
    began = time.monotonic()
    confirmed(mesh.nodes["a"], mesh.push("c"))
    assert time.monotonic() - began < 25, "it does not wait for the deadline, 30 s"


@pytest.mark.parametrize(
    "changed",
    [{"addresses": ["10.0.0.41"]}, {"listen_port": 4444}, {"endpoint": "203.0.113.11:51820"}, {"endpoint": None}],
    ids=["address", "port", "endpoint", "no endpoint"],
)
def test_what_is_the_nodes_own_may_change(mesh: Mesh, changed: dict[str, object]) -> None:
    """The others have not pulled yet."""
    mesh.set("a", **changed)
    mesh.set("b", persistent_keepalive=9)
    stranger(mesh, "c", 13)
    confirmed(mesh.nodes["a"], mesh.push("a changes"))


def test_the_nodes_own_key_may_change_before_anybody_knows_it(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    private = keys.generate()
    a.path("/etc/mesh-sync/private.key").write_text(private + "\n")
    mesh.set("a", public_key=keys.public_key(private))
    confirmed(a, mesh.push("a's new key\n\nMesh-Allow: re-key a"))
    mesh.now("b")
    first_answer(mesh.nodes["b"], "10.0.0.11")


def test_a_peer_may_get_another_key_before_it_has_it(mesh: Mesh) -> None:
    private = keys.generate()
    mesh.set("b", public_key=keys.public_key(private))
    confirmed(mesh.nodes["a"], mesh.push("b's new key\n\nMesh-Allow: re-key b"))
    mesh.nodes["b"].path("/etc/mesh-sync/private.key").write_text(private + "\n")
    mesh.now("b")
    first_answer(mesh.nodes["b"], "10.0.0.11")


def test_the_last_peer_that_was_alive_may_leave(mesh: Mesh) -> None:
    mesh.remove("b")
    stranger(mesh, "c", 13)
    confirmed(mesh.nodes["a"], mesh.push("b leaves"))


def test_a_peer_that_died_just_before_is_not_waited_for(mesh: Mesh) -> None:
    """Its session is young; but it does not answer any more when the commit comes."""
    mesh.nodes["b"].port.unplug()
    stranger(mesh, "c", 13)
    confirmed(mesh.nodes["a"], mesh.push("c"))


def test_where_nothing_was_alive_only_the_remote_has_to_answer() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        a = mesh.node("a", 11)
        stranger(mesh, "c", 13)
        confirmed(a, mesh.push("first"))
        stranger(mesh, "d", 14)
        began = time.monotonic()
        confirmed(a, mesh.push("second"))
        assert time.monotonic() - began < 25, "it does not wait for the deadline, 30 s"


def test_a_commit_that_changes_nothing_here_needs_no_trial(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    history = status(a)["history"]
    mesh.edit("README.md", "words\n")
    commit = mesh.push("words")
    assert now_json(a)["result"] == "in-sync"
    assert (status(a)["commit"], status(a)["history"]) == (commit, history)


CUT = """table inet cut {
    chain in { type filter hook input priority 0; iifname "eth0" drop; }
    chain out { type filter hook output priority 0; oifname "eth0" drop; }
}"""
Wrapped = Callable[[str, str], dict[str, str]]


@pytest.fixture
def wrapped(tmp_path: Path) -> Wrapped:
    """An environment in which a script comes before a program."""

    def wrap(name: str, script: str) -> dict[str, str]:
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nPATH={ENVIRONMENT["PATH"]}\n{script}\nexec {name} "$@"\n')
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}"}

    return wrap


@pytest.fixture
def cut_when_applying(wrapped: Wrapped) -> dict[str, str]:
    """An environment whose `wg` cuts the node off just before it changes the interface."""
    return wrapped("wg", f"case \"$*\" in *addconf*) nft -f - <<'END'\n{CUT}\nEND\nesac")


def test_a_peer_that_dies_while_the_commit_is_fetched_is_not_waited_for(
    mesh: Mesh, wrapped: Wrapped, tmp_path: Path
) -> None:
    """It was heard since the run began, and is gone when the commit is tried."""
    a, b = mesh.nodes["a"], mesh.nodes["b"]
    mesh.configure(a, confirm=SHORT)
    begun, go = tmp_path / "begun", tmp_path / "go"
    hanging = wrapped("git", f'case "$*" in *" fetch "*) touch {begun}; until [ -e {go} ]; do sleep 0.1; done ;; esac')
    stranger(mesh, "c", 13)
    commit = mesh.push("c")
    run = a.popen(["mesh-sync", "now"], env=hanging)
    until(begun.exists)
    first_answer(b, "10.0.0.11")
    b.port.unplug()
    go.touch()
    said, _ = run.communicate(timeout=90)
    assert (run.returncode, status(a)["commit"]) == (0, commit), said


def test_a_node_that_is_offline_itself_does_not_blame_the_commit(mesh: Mesh, cut_when_applying: dict[str, str]) -> None:
    a, b = mesh.nodes["a"], mesh.nodes["b"]
    mesh.configure(a, confirm=SHORT)
    before = status(a)["commit"]
    stranger(mesh, "c", 13)
    commit = mesh.push("c")
    found = now_json(a, exit_code=5, env=cut_when_applying, timeout=90)
    assert (found["result"], found["commit"]) == ("rolled-back", before)
    assert "no peer that was alive before and no remote (" in found["message"]
    assert found["message"].endswith("nor with the previous state again; the next run retries it")
    assert status(a)["refused_commits"] == []
    now(a, exit_code=3)
    a.run(["nft", "delete", "table", "inet", "cut"])
    confirmed(a, commit)
    first_answer(b, "10.0.0.11")


def test_an_outage_that_ends_while_the_node_is_back_is_not_blamed_on_the_commit(
    mesh: Mesh, wrapped: Wrapped, tmp_path: Path
) -> None:
    """It begins when the commit is applied, and ends when it is taken back."""
    a = mesh.nodes["a"]
    mesh.configure(a, confirm={"deadline": 4})
    stranger(mesh, "c", 13)
    commit = mesh.push("c")
    script = f"""case "$*" in
        *addconf*) [ -e {tmp_path}/was ] || nft -f - <<'END'
{CUT}
END
        touch {tmp_path}/was ;;
        *remove) nft delete table inet cut ;;
    esac"""
    found = now_json(a, env=wrapped("wg", script), timeout=90)
    assert (found["result"], found["commit"]) == ("applied", commit)
    assert f"rolled back commit {commit[:10]}: no " in found["message"]
    assert found["message"].endswith(" s; tried again, it was confirmed")
    told = status(a)
    assert told["refused_commits"] == []
    assert told["history"][-1]["ended"] == "confirmed"
    assert "rolled-back" not in {past["ended"] for past in told["history"]}


def test_a_git_host_that_is_slower_than_the_deadline_confirms_and_convicts(mesh: Mesh, wrapped: Wrapped) -> None:
    """It takes 3 s to answer, and the deadline is 2: what is good stays, and what is bad is not tried each minute."""
    a = mesh.nodes["a"]
    slow = wrapped("git", 'case "$*" in *ls-remote*) sleep 3 ;; esac')
    mesh.configure(a, confirm={"deadline": 2})
    stranger(mesh, "c", 13)
    good = mesh.push("c")
    found = now_json(a, env=slow, timeout=90)
    assert (found["result"], found["commit"]) == ("applied", good)
    cover(mesh, *GIT_HOST)
    bad = mesh.push("covers the git host")
    assert now_json(a, env=slow, exit_code=5, timeout=120)["message"].startswith(f"rolled back commit {bad[:10]}: no r")
    assert (status(a)["commit"], status(a)["refused_commits"]) == (good, [bad])
    assert now_json(a, env=slow, exit_code=5)["changes"] == []


def test_a_git_host_that_answers_each_run_only_once_has_a_commit_tried_ever_more_rarely(
    mesh: Mesh, wrapped: Wrapped
) -> None:
    a = mesh.nodes["a"]
    once = wrapped("git", f"""case "$*" in *ls-remote*) grep -q '"trial":null' {STATE} || exit 1 ;; esac""")
    mesh.configure(a, confirm={"deadline": 2})
    stranger(mesh, "c", 13)
    commit = mesh.push("c")
    says = [now_json(a, env=once, exit_code=5, timeout=90)["message"] for _ in range(3)]
    assert says[0].endswith("nor with the previous state again; the next run retries it")
    assert " again; it is tried again after " in says[1]
    assert says[1].endswith(" UTC")
    assert says[2] == says[1]
    assert len([past for past in status(a)["history"] if past["ended"] == "rolled-back"]) == 2
    assert now_json(a, "--retry")["commit"] == commit


def test_the_check_can_be_turned_off(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    mesh.configure(a, confirm={"deadline": 0})
    stranger(mesh, "c", 13)
    cover(mesh, *GIT_HOST)
    mesh.push("covers the git host")
    assert now_json(a)["result"] == "applied"
    assert status(a)["history"][-1]["ended"] == "unconfirmed"
    now(a, exit_code=3)
