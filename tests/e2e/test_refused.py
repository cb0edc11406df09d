"""A commit that cannot be accepted changes nothing on a node: not the device, not wg0.conf, not what is enforced."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Iterator

import pytest

from lab import Lab
from lab.mesh import WORK, Mesh, dump, now, now_json, status, two_peers
from lab.snapshot import untouched
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

PRIVATE = keys.generate()


@pytest.fixture(scope="module")
def net(lab: Lab) -> Mesh:
    """Peers a and b, up."""
    return two_peers(lab)


@pytest.fixture
def mesh(net: Mesh) -> Iterator[Mesh]:
    """The same, with a list that is good again afterwards, on the git host and on the node."""
    good = git(net, "rev-parse HEAD")
    yield net
    git(net, f"reset -q --hard {good} && git clean -qfd && git push -q --force {net.url} HEAD:main")
    net.now("a")


def git(mesh: Mesh, words: str, input: str | None = None) -> str:
    """Run git, and what else the line says, in the operator's working copy."""
    return mesh.operator.run(["sh", "-c", f"git {words}"], cwd=WORK, input=input).stdout.strip()


def refused(mesh: Mesh, commit: str, *lines: str) -> str:
    """The node refuses the commit with these findings, and says so in the sentence that is returned.

    What was applied before is still enforced: a drift is repaired in the same run. `status` names the commit.
    """
    a = mesh.nodes["a"]
    before = untouched(a)
    a.ip("link set wg0 mtu 1300")
    done = now(a, exit_code=4)
    assert "MTU 1300 -> 1420" in done.stdout
    assert untouched(a) == before
    told = status(a)
    assert (told["refused_commits"], told["remote_commit"], told["drift"]) == ([commit], commit, [])
    assert told["commit"] != commit
    said = done.stderr.splitlines()
    assert said[: len(lines)] == list(lines)
    assert said[len(lines)].startswith("mesh-sync: ")
    assert len(said) <= len(lines) + 2, "no more than a hint"
    return said[len(lines)].removeprefix("mesh-sync: ")


def accepts_the_next(mesh: Mesh) -> None:
    """A good commit on top is applied, and nothing is refused any more."""
    a = mesh.nodes["a"]
    [b] = (peer for key, peer in dump(a).items() if key)
    mesh.set("a", persistent_keepalive=22 if b["keepalive"] == "21" else 21)
    commit = mesh.push("good again")
    found = now_json(a)
    assert (found["result"], found["commit"]) == ("applied", commit)
    assert status(a)["refused_commits"] == []


def several(mesh: Mesh) -> None:
    mesh.set("b", mtu=0, colour="red")
    mesh.set("a", endpoint="a b:1")


BAD: dict[str, tuple[Callable[[Mesh], None], list[str]]] = {
    "TOML syntax": (
        lambda mesh: mesh.edit("peers/b.toml", "= 1"),
        ["peers/b.toml:: is not valid TOML: Invalid statement (at line 1, column 1)"],
    ),
    "several at once": (
        several,
        [
            "peers/a.toml:endpoint: 'a b:1': 'a b' is not a host name",
            "peers/b.toml:colour: unknown key",
            "peers/b.toml:mtu: 0 is not an MTU (576 to 65535)",
        ],
    ),
    "a terminal's escape": (
        lambda mesh: mesh.edit("peers/c.toml", '"\\u001b]0;gotcha\\u0007" = 1\n'),
        [
            "peers/c.toml:\\x1b]0;gotcha\\x07: unknown key",
            "peers/c.toml:addresses: is missing",
            "peers/c.toml:public_key: is missing",
        ],
    ),
}
"""tests/unit/test_bad_input.py and test_trust_content.py have them all."""


@pytest.mark.parametrize(("spoil", "lines"), BAD.values(), ids=BAD)
def test_a_list_that_is_wrong(mesh: Mesh, spoil: Callable[[Mesh], None], lines: list[str]) -> None:
    spoil(mesh)
    commit = mesh.push("wrong")
    count = f"{len(lines)} error{'s' * (len(lines) > 1)}"
    assert refused(mesh, commit, *lines) == f"commit {commit[:10]} has {count}"


def test_json_says_the_same_each_time(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    applied = status(a)["commit"]
    mesh.set("b", mtu=0)
    commit = mesh.push("wrong")
    for _ in range(2):
        found = now_json(a, exit_code=4)
        assert (found["result"], found["commit"], found["remote_commit"]) == ("refused", applied, commit)
        assert found["findings"] == [
            {"file": "peers/b.toml", "key": "mtu", "severity": "error", "message": "0 is not an MTU (576 to 65535)"}
        ]
        assert found["message"] == f"commit {commit[:10]} has 1 error"


def test_check_in_a_clone_says_the_same(mesh: Mesh) -> None:
    mesh.set("b", mtu=0)
    mesh.edit("peers/C.toml", "")
    commit = mesh.push("wrong")
    done = mesh.operator.run(["mesh-sync", "check"], cwd=WORK, check=False)
    assert done.returncode == 1
    refused(mesh, commit, *done.stdout.splitlines())


# -- what only git can hold


def crafted(mesh: Mesh, mode: str, kind: str, thing: str, name: str) -> str:
    """Push a commit whose `peers` has one entry more, of any mode and under any name; return it."""
    entry = shlex.quote(f"{mode} {kind} {thing}\t{name}")
    script = f"""git ls-tree HEAD:peers >.git/entries; printf '%s\\n' {entry} >>.git/entries
        peers=$(git mktree --missing <.git/entries)
        top=$(git ls-tree HEAD | sed "s/ tree [0-9a-f]*\\tpeers/ tree $peers\\tpeers/" | git mktree)
        commit=$(git commit-tree -p HEAD -m crafted "$top")
        git push -q {mesh.url} "$commit:main" && echo "$commit" """
    return mesh.operator.run(["sh", "-ec", script], cwd=WORK).stdout.strip()


def blob(mesh: Mesh, text: str) -> str:
    return git(mesh, "hash-object -w --stdin", input=text)


def peer_c() -> str:
    public = base64.b64encode(b"c" * 32).decode()
    return f'public_key = "{public}"\naddresses = ["10.0.0.99"]\n'


def test_a_link_to_the_nodes_own_secrets_is_not_followed(mesh: Mesh) -> None:
    target = blob(mesh, "/etc/mesh-sync/private.key")
    git(mesh, f"update-index --add --cacheinfo 120000,{target},peers/c.toml")
    git(mesh, f"commit -q -m link && git push -q {mesh.url} HEAD:main")
    refused(mesh, git(mesh, "rev-parse HEAD"), "peers/c.toml:: is a symbolic link; replace it with a plain file")


def test_a_name_that_would_leave_the_repository(mesh: Mesh) -> None:
    commit = crafted(mesh, "100644", "blob", blob(mesh, peer_c()), "..")
    tree = git(mesh, f"rev-parse {commit}:peers")
    line = f".:: contains '..' (git object {tree[:10]})"
    assert refused(mesh, commit, line) == f"{mesh.url} sends objects that are no sound git history"


# -- and then


def test_the_next_good_commit_is_taken_on_top_of_forged_history(mesh: Mesh) -> None:
    good = git(mesh, "rev-parse HEAD")
    crafted(mesh, "100644", "blob", blob(mesh, peer_c()), "..")
    now(mesh.nodes["a"], exit_code=4)
    git(mesh, f"push -q --force {mesh.url} {good}:main")
    assert now_json(mesh.nodes["a"])["result"] == "in-sync"
    assert status(mesh.nodes["a"])["refused_commits"] == []
    accepts_the_next(mesh)


def test_going_back_to_the_applied_commit_ends_a_refusal(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    mesh.set("b", mtu=0)
    commit = mesh.push("wrong")
    now(a, exit_code=4)
    git(mesh, f"push -q --force {mesh.url} {commit}~1:main")
    assert now_json(a)["result"] == "in-sync"
    assert status(a)["refused_commits"] == []


def test_a_node_that_is_missing_keeps_its_state_and_keeps_pulling(mesh: Mesh) -> None:
    own = (mesh.operator.path(WORK) / "peers/a.toml").read_text()
    mesh.remove("a")
    commit = mesh.push("without a")
    assert refused(mesh, commit).startswith(f"commit {commit[:10]} removes a, this node; if that is intended")
    mesh.set("b", persistent_keepalive=19)
    still = mesh.push("still without a")
    assert refused(mesh, still).startswith(f"commit {commit[:10]} removes a")
    mesh.edit("peers/a.toml", own)
    accepts_the_next(mesh)


def test_a_list_with_another_key_for_this_node_would_cut_it_off(mesh: Mesh) -> None:
    mesh.set("a", public_key=keys.public_key(PRIVATE))
    commit = mesh.push("a stranger's key\n\nMesh-Allow: re-key a")
    done = now(mesh.nodes["a"], exit_code=4)
    assert "peers/a.toml has another public key than /etc/mesh-sync/private.key belongs to" in done.stderr
    assert status(mesh.nodes["a"])["refused_commits"] == [commit]


def test_a_first_list_that_is_wrong_makes_nothing(lab: Lab, mesh: Mesh) -> None:
    mesh.node("new", 77, endpoint=None)
    mesh.set("b", mtu=0)
    mesh.push("wrong")
    new = mesh.nodes.pop("new")
    now(new, exit_code=4)
    assert "wg0" not in new.run(["ip", "-brief", "link"]).stdout
    assert not new.path("/etc/wireguard/wg0.conf").exists()
