"""What cannot be taken back is what admins have signed; what nodes sign above it is provisional, and bounded."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.errors import DeviceError, MeshSyncError, Refused, Unreachable
from mesh_sync.reconcile import evaluate
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.repository.remote import Remote
from mesh_sync.trust.guard_history import MAX_STEPS
from mesh_sync.trust.quota import MOST_BYTES, MOST_COMMITS
from mesh_sync.wireguard.desired import Desired
from unit.hostile_mesh import ANNA, OTTO, HostileMesh, Observed, git, make_keys, peer

B, C = "b@node.lab", "c@node.lab"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder)
    return folder


@pytest.fixture
def mesh(tmp_path: Path, folder: Path) -> Iterator[HostileMesh]:
    mesh = HostileMesh(tmp_path, folder)
    yield mesh
    mesh.server.close()


def by_node(mesh: HostileMesh, parent: str, port: int, signer: str = B, **more: object) -> str:
    """A commit in which a node changes its own file."""
    name = signer[0]
    return mesh.commit(
        {**mesh.made[parent].files, f"peers/{name}.toml": peer(name, listen_port=port, **more)}, [parent], signer
    )


def by_admin(mesh: HostileMesh, parent: str, keepalive: int = 7, signer: str = ANNA) -> str:
    files = {**mesh.made[parent].files, "peers/d.toml": peer("d", persistent_keepalive=keepalive)}
    return mesh.commit(files, [parent], signer)


def takes(mesh: HostileMesh, commit: str, node: str = "a") -> None:
    mesh.show_everywhere(commit)
    found = mesh.nodes[node].poll()
    assert found.problem is None
    assert mesh.nodes[node].state.applied.commit == commit


def refuses(mesh: HostileMesh, commit: str, node: str = "a") -> str:
    mesh.show_everywhere(commit)
    found = mesh.nodes[node].poll()
    assert isinstance(found.problem, Refused)
    return found.problem.message


def at(mesh: HostileMesh, node: str = "a") -> str | None:
    return mesh.nodes[node].state.applied.commit


# -- what nodes sign


def test_a_rewind_of_a_nodes_commit_changes_nothing_and_an_admins_next_commit_is_taken(mesh: HostileMesh) -> None:
    ahead = by_node(mesh, mesh.first, 1001)
    takes(mesh, ahead)
    assert refuses(mesh, mesh.first) == (
        f"commit {mesh.first[:10]} is older than {ahead[:10]}, which is applied: "
        "only a commit that an admin has signed may take that back"
    )
    assert at(mesh) == ahead
    takes(mesh, by_admin(mesh, mesh.first))


def test_a_fork_of_nodes_commits_changes_nothing_and_an_admins_next_commit_is_taken(mesh: HostileMesh) -> None:
    one, other = by_node(mesh, mesh.first, 1001), by_node(mesh, mesh.first, 1002, C)
    takes(mesh, one)
    assert f"does not descend from {one[:10]}" in refuses(mesh, other)
    assert at(mesh) == one
    takes(mesh, by_admin(mesh, other))


def test_what_an_admin_has_signed_no_node_takes_back(mesh: HostileMesh) -> None:
    takes(mesh, by_admin(mesh, mesh.first))
    assert "the remote went back" in refuses(mesh, mesh.first)
    assert "the branch was rewritten" in refuses(mesh, by_node(mesh, mesh.first, 1001))
    assert "the branch was rewritten" in refuses(mesh, by_admin(mesh, mesh.first, 8))


def pile(mesh: HostileMesh, parent: str, number: int = MOST_COMMITS + 1) -> str:
    for port in range(number):
        parent = by_node(mesh, parent, 2000 + port)
    return parent


def test_past_its_number_of_commits_a_nodes_key_is_stopped_and_an_admins_next_commit_goes_on(mesh: HostileMesh) -> None:
    signed = by_admin(mesh, mesh.first)
    full = pile(mesh, signed, MOST_COMMITS)
    over = by_node(mesh, full, 1001)
    said = refuses(mesh, over)
    assert said.startswith(
        f"{B} has signed {MOST_COMMITS + 1} commits since the last commit of an admin; {MOST_COMMITS} are"
    )
    assert "they count once an admin has signed a commit on top of them" in said
    assert at(mesh) == signed, "the newest of an admin, which was never the head that this node saw"
    takes(mesh, full, "b")
    takes(mesh, by_node(mesh, full, 1003, C), "b")
    last = by_admin(mesh, over, 9)
    for node in "abd":
        takes(mesh, last, node)


def test_so_with_its_number_of_bytes(mesh: HostileMesh) -> None:
    head, files = mesh.first, dict(mesh.made[mesh.first].files)
    for number in range(MOST_BYTES // 15_000 + 1):
        files["peers/b.toml"] = peer("b", listen_port=1000 + number) + f"# {'x' * 15_000}\n"
        head = mesh.commit(files, [head], B)
    assert re.match(rf"{B} has signed [\d,]+ bytes since the last commit of an admin; ", refuses(mesh, head))
    takes(mesh, by_admin(mesh, head))


def test_what_is_wrong_with_a_nodes_commit_does_not_hide_the_admins_below_it(mesh: HostileMesh) -> None:
    signed = by_admin(mesh, mesh.first)
    bad = mesh.commit({**mesh.made[signed].files, "peers/b.toml": peer("b", mtu=1)}, [signed], B)
    assert "has 1 error" in refuses(mesh, bad)
    assert at(mesh) == signed
    assert "has 1 error" in refuses(mesh, bad), "it is remembered"
    assert at(mesh) == signed
    greedy = mesh.commit({**mesh.made[signed].files, "peers/a.toml": peer("a", mtu=1400)}, [signed], B)
    assert "who may not change 'peers/a.toml'" in refuses(mesh, greedy, "d")
    assert at(mesh, "d") == signed


def test_what_an_admin_pushes_together_is_taken_together(mesh: HostileMesh) -> None:
    """So that an admin who has pushed something wrong can push something else in place of all of it."""
    half = by_admin(mesh, mesh.first)
    assert "is not signed" in refuses(mesh, mesh.commit(mesh.made[half].files, [half], None, legitimate=False))
    assert at(mesh) == mesh.first
    takes(mesh, by_admin(mesh, mesh.first, 8))


def test_a_node_takes_in_what_is_verified_of_a_push_that_another_admin_replaces(mesh: HostileMesh) -> None:
    """Even if it has applied a node's commit before, which neither of the two knows."""
    takes(mesh, by_node(mesh, mesh.first, 1001))
    half = by_admin(mesh, mesh.first)
    refuses(mesh, mesh.commit(mesh.made[half].files, [half], None, legitimate=False))
    assert "the branch was rewritten" in refuses(mesh, by_node(mesh, mesh.first, 1002, C))
    takes(mesh, by_admin(mesh, mesh.first, 8, OTTO))


def test_what_an_admin_takes_back_of_nodes_needs_no_leave_of_the_guard(mesh: HostileMesh) -> None:
    """Else three nodes' keys could make the next commit of any admin look as if it moved all endpoints."""
    head = mesh.first
    for name in "bcd":
        files = {**mesh.made[head].files, f"peers/{name}.toml": peer(name, endpoint=f"other-{name}.example:1")}
        head = mesh.commit(files, [head], f"{name}@node.lab")
        takes(mesh, head)
    takes(mesh, by_admin(mesh, mesh.first))


def test_many_commits_of_nodes_do_not_hide_what_an_admin_has_allowed(mesh: HostileMesh) -> None:
    head = mesh.first
    for number in range(MAX_STEPS + 5):
        head = by_node(mesh, head, 2000 + number, f"{'bcd'[number % 3]}@node.lab")
    others = {f"peers/{name}.toml" for name in "bcd"}
    files = {path: text for path, text in mesh.made[head].files.items() if path not in others}
    for message in ("x", "Mesh-Allow: empty-list\n\nx"):
        alone = mesh.commit(files, [head], ANNA, message=message)
        assert "leaves no other peer in the mesh" in refuses(mesh, mesh.commit(files, [alone], ANNA))
    allowed = mesh.commit(files, [head], ANNA, message="so be it\n\nMesh-Allow: empty-list\nX:")
    takes(mesh, mesh.commit(files, [allowed], ANNA))


# -- one commit, two spellings of its signature


def test_a_twin_of_an_admins_commit_is_that_commit(mesh: HostileMesh) -> None:
    signed = by_admin(mesh, mesh.first)
    twin = mesh.twin(signed)
    assert twin
    takes(mesh, twin)
    takes(mesh, signed)
    takes(mesh, by_node(mesh, signed, 1001))
    takes(mesh, by_admin(mesh, signed, 8))


def test_a_twin_counts_when_the_node_has_lost_its_copy_of_the_one_it_knew(mesh: HostileMesh) -> None:
    signed = by_admin(mesh, mesh.first)
    takes(mesh, mesh.twin(signed) or "")
    mesh.nodes["a"].lose_copy()
    takes(mesh, by_admin(mesh, signed, 8))


def test_a_twin_of_a_nodes_commit_is_that_commit(mesh: HostileMesh) -> None:
    mine = by_node(mesh, mesh.first, 1001)
    takes(mesh, mesh.twin(mine) or "")
    takes(mesh, by_node(mesh, mine, 1002, C))


@pytest.mark.parametrize("signature", ["none", "another's"])
def test_a_twin_that_its_admin_has_not_signed_is_no_twin(mesh: HostileMesh, signature: str) -> None:
    signed = by_admin(mesh, mesh.first)
    takes(mesh, signed)
    raw = subprocess.run(
        ["git", "--git-dir", str(mesh.store), "cat-file", "commit", signed], capture_output=True, check=True
    ).stdout
    bare = re.sub(rb"gpgsig (.*\n )*.*\n", b"", raw)
    if signature == "another's":
        (mesh.store / "payload").write_bytes(bare)
        argv = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(mesh.keys / B), str(mesh.store / "payload")]
        subprocess.run(argv, check=True, capture_output=True)
        text = (mesh.store / "payload.sig").read_bytes().strip().replace(b"\n", b"\n ")
        bare = bare.replace(b"\n\n", b"\ngpgsig " + text + b"\n\n", 1)
    name = git("hash-object", "-t", "commit", "-w", "--stdin", at=mesh.store, input=bare)
    mesh._note(name, mesh.made[signed].parents, mesh.made[signed].files, False)
    assert mesh.made[name].signed.split()[-1] == mesh.made[signed].signed.split()[-1]
    assert "the branch was rewritten" in refuses(mesh, by_admin(mesh, name, 8))


def test_an_admin_may_begin_again_in_the_middle_of_what_was_refused(mesh: HostileMesh) -> None:
    one = by_admin(mesh, mesh.first)
    middle = by_node(mesh, one, 1001)
    two = by_admin(mesh, middle, 8)
    refuses(mesh, mesh.commit(mesh.made[two].files, [two], None, legitimate=False))
    takes(mesh, by_admin(mesh, middle, 9))


# -- several hosts


def shown(mesh: HostileMesh, first: str | None, second: str | None) -> Observed:
    node = mesh.nodes["a"]
    node.show(0, first)
    node.show(1, second)
    return node


def notes(verdict: Verdict) -> str:
    assert verdict.problem is None
    return "; ".join(verdict.notes)


def test_when_the_first_host_shows_what_is_refused_the_second_is_asked(
    mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = by_admin(mesh, mesh.first)
    bad = mesh.commit(mesh.made[good].files, [good], None, legitimate=False)
    node = shown(mesh, bad, good)
    assert notes(node.poll()) == f"commit {bad[:10]} is not signed"
    assert at(mesh) == good
    assert notes(node.poll()) == f"commit {bad[:10]} is not signed"
    refusals = node.state.remote.refusals
    monkeypatch.setattr(evaluate, "evaluate", lambda *_: pytest.fail("what is refused is looked at again"))
    assert notes(node.poll()) == f"commit {bad[:10]} is not signed"
    assert node.state.remote.refusals == refusals


def test_a_host_that_withholds_is_found_out_after_a_while(mesh: HostileMesh) -> None:
    good = by_admin(mesh, mesh.first)
    node = shown(mesh, mesh.first, good)
    node.poll()
    assert at(mesh) == mesh.first, "both were asked a moment ago"
    node.wait()
    assert notes(node.poll()) == ""
    assert at(mesh) == good
    assert "the remote went back" in notes(node.poll()), "the first one is behind from now on"
    assert at(mesh) == good


def test_what_a_later_host_shows_takes_nothing_away(mesh: HostileMesh) -> None:
    good = by_admin(mesh, mesh.first)
    node = shown(mesh, good, mesh.first)
    node.wait()
    assert "the remote went back" in notes(node.poll())
    assert (at(mesh), node.state.remote.commit, node.state.remote.silent_since) == (good, good, None)


def test_of_two_good_heads_the_newer_wins_whoever_shows_it(mesh: HostileMesh) -> None:
    one = by_admin(mesh, mesh.first)
    two = by_admin(mesh, one, 8)
    for first, second in ((one, two), (two, one)):
        mesh.nodes["a"].wait()
        shown(mesh, first, second).poll()
        assert at(mesh) == two


def test_a_first_host_that_takes_all_the_time_leaves_some_for_the_second(
    mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = by_admin(mesh, mesh.first)
    bad = mesh.commit(mesh.made[good].files, [good], None, legitimate=False)
    node = shown(mesh, bad, good)
    fetch = Remote.fetch

    def slowly(remote: Remote, url: str) -> str:
        commit = fetch(remote, url)
        if url == str(node.views[0]):
            remote.give_up()
        return commit

    monkeypatch.setattr(Remote, "fetch", slowly)
    node.poll()
    assert at(mesh) == good


def test_when_no_host_shows_anything_good_the_first_ones_refusal_is_told(mesh: HostileMesh) -> None:
    bad = mesh.commit(mesh.made[mesh.first].files, [mesh.first], None, legitimate=False)
    node = shown(mesh, bad, None)
    problem = node.poll().problem
    assert problem
    assert problem.message == f"commit {bad[:10]} is not signed"


# -- whatever else fails


def test_a_defect_of_ours_keeps_what_was_confirmed(mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Desired:
        raise RecursionError("too deep\x1b[31m")

    before = mesh.nodes["a"].state.applied
    monkeypatch.setattr(evaluate, "interface", fail)
    head = by_admin(mesh, mesh.first)
    mesh.show_everywhere(head)
    found = mesh.nodes["a"].poll()
    assert type(found.problem) is MeshSyncError
    assert found.problem.message == f"commit {head[:10]} cannot be evaluated: RecursionError: too deep\\x1b[31m"
    assert found.after.applied == before
    monkeypatch.undo()
    takes(mesh, head)


@pytest.mark.parametrize("fault", [DeviceError("the disk is full"), Unreachable("no answer")])
def test_a_fault_of_this_machine_or_of_the_host_keeps_what_was_confirmed(
    mesh: HostileMesh, monkeypatch: pytest.MonkeyPatch, fault: MeshSyncError
) -> None:
    def fail(*_: object) -> str:
        raise fault

    before = mesh.nodes["a"].state.applied
    monkeypatch.setattr(Remote, "fetch", fail)
    mesh.show_everywhere(by_admin(mesh, mesh.first))
    found = mesh.nodes["a"].poll()
    assert found.problem is fault
    assert found.after.applied == before


def test_a_peer_expires_although_the_copy_of_the_list_is_gone(mesh: HostileMesh) -> None:
    files = {
        **mesh.made[mesh.first].files,
        "peers/c.toml": peer("c", subnets=["10.9.0.0/24"]) + "expires = 2199-01-01\n",
    }
    takes(mesh, mesh.commit(files, [mesh.first], ANNA))
    node = mesh.nodes["a"]
    desired = node.state.applied.desired
    assert desired
    assert "10.9.0.0/24" in desired.routes
    peers = tuple(evolve(one, ends=one.ends and 1.0) for one in desired.peers)
    node.state = evolve(
        node.state, applied=evolve(node.state.applied, desired=evolve(desired, peers=peers, valid_until=1.0))
    )
    node.lose_copy()
    mesh.show_everywhere(None)
    found = node.poll()
    assert isinstance(found.problem, Unreachable)
    left = found.after.applied.desired
    assert left
    assert [one.name for one in left.peers] == ["b", "d"]
    assert "10.9.0.0/24" not in left.routes
    assert not left.is_due(2.0) or left.valid_until == 1.0
