"""A node changes its key and nobody loses it, whoever is away, left behind, without a watchdog, or at it as well."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.key_rotation import KEY, all_reach, begin, counted, end, held, keys_on, leftovers, rotate, timers
from e2e.preshared_mesh import SECRET, at, secret
from e2e.running_watchdog import Watchdog, watching
from lab import Lab
from lab.mesh import WORK, Mesh, key_of, now, now_json, status
from lab.node import Node
from lab.program import Program
from lab.tree import ENVIRONMENT, HOME
from lab.waiting import until
from mesh_sync.wireguard import keys
from mesh_sync.wireguard.psk_rollover import SLOT

pytestmark = pytest.mark.e2e

NUMBERS = (("a", 11), ("b", 12), ("c", 13))
SILENCE = 6.0
"""Seconds; docs/rotation.md has what is measured on a machine that does nothing else: 0.2 s."""


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        yield Mesh(lab)


def three(mesh: Mesh) -> tuple[Node, Node, Node]:
    """a, b and c, in the mesh and talking."""
    nodes = mesh.node("a", 11), mesh.node("b", 12), mesh.node("c", 13)
    mesh.push()
    mesh.now()
    all_reach(mesh)
    return nodes


def listed(mesh: Mesh, name: str) -> str:
    """A peer's file as it is at the git host."""
    mesh.operator.run(["git", "-C", WORK, "pull", "-q", "--rebase", mesh.url, "main"])
    return (mesh.operator.path(WORK) / f"peers/{name}.toml").read_text()


def said_of(watchdog: Watchdog) -> list[str]:
    """Whose traffic the watchdog itself has moved, before any timer."""
    return re.findall(r"(\S+) has changed its key: its traffic follows", watchdog.said())


def comment(mesh: Mesh, name: str, text: str) -> None:
    file = mesh.operator.path(WORK) / f"peers/{name}.toml"
    file.write_text(f"# {text}\n{file.read_text()}")


@pytest.mark.timeout(240)
def test_no_pair_of_four_nodes_misses_more_than_a_moment_whoever_rotates(mesh: Mesh) -> None:
    for number, name in enumerate("abc", 11):
        mesh.node(name, number)
    site = mesh.lab.site("home", "192.168.7.0/24", "203.0.113.40", port=None)
    mesh.enlist("home", site.gateway, address="10.0.0.14")
    comment(mesh, "a", "the one in the cellar")
    mesh.push()
    mesh.now()
    all_reach(mesh)
    before = {name: (key_of(node), held(node)) for name, node in mesh.nodes.items()}
    with contextlib.ExitStack() as stack:
        dogs = {name: stack.enter_context(watching(node)) for name, node in mesh.nodes.items()}
        with counted(mesh, tuple(mesh.nodes)) as losses:
            for name in ("a", "home"):
                with timers(mesh, *(other for other in mesh.nodes if other != name)):
                    said = rotate(mesh.nodes[name])
                assert "b is prepared" in said
                assert "answers under the new key: " in said
                mesh.now()
        assert said_of(dogs["b"]) == said_of(dogs["c"]) == ["a", "home"]
        assert (said_of(dogs["a"]), said_of(dogs["home"])) == (["home"], ["a"])
    for name, node in mesh.nodes.items():
        changed = name in ("a", "home")
        assert (key_of(node) != before[name][0]) == (held(node) != before[name][1]) == changed
        assert leftovers(node) == []
        assert keys_on(node) == {key_of(other) for other in mesh.nodes.values() if other is not node}
        assert status(node)["drift"] == []
        assert {peer["state"] for peer in status(node)["peers"]} == {"up"}
    assert "# the one in the cellar" in listed(mesh, "a")
    assert "next_public_key" not in listed(mesh, "a")
    assert {pair: loss.lost for pair, loss in losses.items() if set(pair) == {"b", "c"}} == {
        ("b", "c"): 0,
        ("c", "b"): 0,
    }
    silences = {pair: loss.longest_silence for pair, loss in losses.items()}
    assert max(silences.values()) < SILENCE, silences


@pytest.mark.timeout(240)
def test_a_node_that_was_renamed_changes_its_key_under_its_new_name(mesh: Mesh) -> None:
    a, _, _ = three(mesh)
    old = key_of(a)
    mesh.operator.run(["mesh-sync", "peer", "rename", "a", "zurich", "-C", WORK])
    mesh.push("a is zurich")
    with timers(mesh, "b", "c"):
        said = rotate(a)
    assert "zurich runs its new key" in said
    assert key_of(a) != old
    assert f'public_key = "{key_of(a)}"' in listed(mesh, "zurich")
    assert status(a)["node"] == "zurich"
    mesh.now()
    all_reach(mesh)


@pytest.mark.timeout(300)
def test_a_node_that_is_away_is_waited_for(mesh: Mesh) -> None:
    a, _, c = three(mesh)
    phone = keys.public_key(keys.generate())
    mesh.set("phone", public_key=phone, addresses=["10.0.0.99"], managed=False)
    mesh.push()
    mesh.now()
    old = key_of(a)
    c.port.unplug()
    with timers(mesh, "b"):
        said = rotate(a, "--wait", "8", exit_code=1)
    assert "b is prepared" in said
    assert "the key stays as it is; not prepared within 8 s: c\n" in said
    assert key_of(a) == old
    assert leftovers(a) == ["private.key.next"]
    assert now_json(a)["result"] == "in-sync"
    assert status(a)["rotating"]
    assert "this node is changing its key" in a.run(["mesh-sync", "status"]).stdout
    all_reach(mesh, "a", "b")
    c.port.plug()
    with timers(mesh, "b", "c"):
        said = rotate(a)
        all_reach(mesh)  # while they run: b's last run may have been before a answered under the new key
    assert "announces" not in said, "the first run did that"
    assert "to be exported again, they know only the old key: phone" in said
    assert key_of(a) != old
    assert leftovers(a) == []


@pytest.mark.timeout(300)
def test_a_node_that_was_left_behind_finds_the_new_key_in_the_list(mesh: Mesh) -> None:
    a, b, c = three(mesh)
    c.port.unplug()
    with timers(mesh, "b"):
        said = rotate(a, "--wait", "8", "--force")
    assert "not prepared, and without a tunnel to this node until they pull the list: c\n" in said
    now(b)
    all_reach(mesh, "a", "b")
    c.port.plug()
    assert key_of(a) not in keys_on(c)
    now(c)
    all_reach(mesh)
    assert keys_on(c) == {key_of(a), key_of(b)}


@pytest.mark.timeout(300)
def test_where_nobody_answers_under_the_new_key_the_old_one_is_back(mesh: Mesh) -> None:
    a, b, c = three(mesh)
    old, file = key_of(a), held(a)
    with watching(b), watching(c):
        said = rotate(a, "--wait", "0", "--force", exit_code=5)  # b and c have not even seen the list
        assert "this machine runs its old one again" in said
        assert (key_of(a), held(a)) == (old, file)
        assert leftovers(a) == ["private.key.next"]
        all_reach(mesh)
        with timers(mesh, "b", "c"):
            rotate(a)
        assert key_of(a) != old
        all_reach(mesh)


@pytest.mark.timeout(300)
def test_without_a_watchdog_the_next_now_moves_the_traffic(mesh: Mesh) -> None:
    a, b, c = three(mesh)
    rotating = begin(a)
    until(lambda: "next_public_key" in listed(mesh, "a"))
    mesh.now("b", "c")
    end(rotating)
    stale = [change["kind"] for change in now_json(b, "--dry-run")["changes"]]
    assert "allowed-ips" in stale
    mesh.now("b", "c")
    all_reach(mesh)
    assert status(b)["drift"] == status(c)["drift"] == []
    first = key_of(a)
    with timers(mesh, "b", "c"):
        rotate(a)
    assert key_of(a) != first
    mesh.now()
    all_reach(mesh)


@pytest.mark.timeout(300)
def test_over_ipv6_and_where_commits_are_signed_the_node_signs_its_own(mesh: Mesh) -> None:
    a, b, c = nodes = [mesh.node(name, number, endpoint=f"[2001:db8::{number}]:51820") for name, number in NUMBERS]
    mesh.allow("admin@lab", "a@node.lab")
    mesh.sign_as("admin@lab")
    for node in nodes:
        mesh.trust(node, "admin@lab")
    mesh.push()
    mesh.now()
    old = key_of(a)
    assert "signing.key does not exist, and commits have to be signed here; nothing was pushed" in rotate(
        a, exit_code=1
    )
    signing_key = a.path("/etc/mesh-sync/signing.key")
    signing_key.touch(mode=0o600)
    signing_key.write_bytes(mesh.operator.path(f"{HOME}/signers/a@node.lab").read_bytes())
    with timers(mesh, "b", "c"):
        rotate(a)
    mesh.now()
    assert key_of(a) != old
    assert keys_on(b) == {key_of(a), key_of(c)}
    all_reach(mesh)


@pytest.mark.timeout(300)
def test_two_nodes_rotate_at_the_same_time(mesh: Mesh) -> None:
    a, b, c = three(mesh)
    before = [key_of(a), key_of(b), key_of(c)]
    with watching(a), watching(b), watching(c), timers(mesh, "a", "b", "c"):
        for rotating in (begin(a), begin(b)):
            end(rotating)
        all_reach(mesh)
    mesh.now()
    after = [key_of(a), key_of(b), key_of(c)]
    assert (after[0] != before[0], after[1] != before[1], after[2] == before[2]) == (True, True, True)
    assert leftovers(a) == leftovers(b) == []
    assert keys_on(c) == set(after[:2])
    all_reach(mesh)


@pytest.mark.timeout(300)
def test_a_node_that_does_not_follow_the_newest_list_pushes_nothing_on_top_of_it(mesh: Mesh) -> None:
    a = mesh.node("a", 11)
    mesh.node("b", 12)
    mesh.push()
    mesh.now()
    a.run(["mesh-sync", "pause"])
    assert "a is paused; nothing was pushed" in rotate(a, exit_code=1)
    a.run(["mesh-sync", "resume"])
    mesh.set("a", public_key=keys.public_key(keys.generate()))
    mesh.push("somebody else's key")
    rotate(a, exit_code=2)
    mesh.set("a", public_key=key_of(a))
    mesh.remove("b")
    mesh.push("nobody is left, and the message does not allow it")
    assert "Mesh-Allow" in rotate(a, exit_code=4)
    assert "next_public_key" not in listed(mesh, "a")


@pytest.mark.timeout(400)
def test_while_the_mesh_has_two_secrets_who_was_prepared_long_ago_is_met_at_once(mesh: Mesh) -> None:
    """b tries the next key in a slot of the former secret, for as long as c is waited for."""
    a, b, c = [mesh.node(name, number) for name, number in NUMBERS]
    secret(mesh, "new", "--secret-file", SECRET)
    secret(mesh, "retire", "--force")
    secret(mesh, "rotate", "--secret-file", SECRET, *at(time.time() - 7200))
    mesh.push()
    mesh.now()
    all_reach(mesh)
    until(lambda: int(time.time() // SLOT) % 2 and time.time() % SLOT < SLOT / 2, 2 * SLOT)
    old, rotating = key_of(a), begin(a)
    until(lambda: "next_public_key" in listed(mesh, "a"))
    now(b)
    for _ in range(2):  # at the second of these looks it knows how often it has tried since the first
        time.sleep(6)
        now(b)
    now(c)
    end(rotating)
    now(b)
    all_reach(mesh, "a", "b")
    assert key_of(a) != old


@contextlib.contextmanager
def overtaken(mesh: Mesh, node: Node, folder: Path) -> Iterator[Program]:
    """`rotate-key`, before whose first push an admin does what the body does."""
    begun, go = folder / "begun", folder / "go"
    (folder / "git").write_text(f"""#!/bin/sh
        PATH={ENVIRONMENT["PATH"]}
        case "$*" in *" push "*) touch {begun}; until [ -e {go} ]; do sleep 0.1; done ;; esac
        exec git "$@"
    """)
    (folder / "git").chmod(0o755)
    rotating = node.popen(["mesh-sync", "rotate-key"], env={"PATH": f"{folder}:{ENVIRONMENT['PATH']}"})
    until(begun.exists)
    yield rotating
    go.touch()


@pytest.mark.timeout(300)
def test_a_rename_that_comes_before_its_push_is_heeded(mesh: Mesh, tmp_path: Path) -> None:
    a, _, _ = three(mesh)
    old = key_of(a)
    with overtaken(mesh, a, tmp_path) as rotating:
        mesh.operator.run(["mesh-sync", "peer", "rename", "a", "zurich", "-C", WORK])
        mesh.push("a is zurich")
    with timers(mesh, "b", "c"):
        end(rotating)
    assert key_of(a) != old
    assert f'public_key = "{key_of(a)}"' in listed(mesh, "zurich")


@pytest.mark.timeout(300)
def test_a_key_that_an_admin_takes_from_it_before_its_push_stays_away(mesh: Mesh, tmp_path: Path) -> None:
    """The machine may have been stolen: it must not write its own key back."""
    a, _, _ = three(mesh)
    other = keys.public_key(keys.generate())
    with overtaken(mesh, a, tmp_path) as rotating:
        mesh.set("a", public_key=other)
        mesh.push("another machine is a")
    assert "peers/a.toml has another public key than /etc/mesh-sync/private.key belongs to" in end(rotating, 2)
    assert f'public_key = "{other}"' in listed(mesh, "a")
    assert "next_public_key" not in listed(mesh, "a")


@pytest.mark.timeout(300)
def test_where_others_apply_a_commit_first_it_takes_longer(mesh: Mesh) -> None:
    a, b, c = three(mesh)
    mesh.set_mesh(rollout={"canary": ["b"], "wait": 3600})
    mesh.push("b goes first")
    mesh.now()
    old = key_of(a)
    with watching(a), watching(b), watching(c), timers(mesh, "b", "c"):
        said = rotate(a)
    assert "waiting for the nodes that apply a commit first" in said
    assert key_of(a) != old
    assert leftovers(a) == []


def take_no_end(mesh: Mesh, *, really: bool) -> None:
    """Whether the git host refuses commits without a next key for a."""
    hook = mesh.lab.git.bare / "hooks/update"
    hook.unlink(missing_ok=True)
    if really:
        hook.write_text('#!/bin/sh\ngit show "$3:peers/a.toml" | grep -q next_public_key\n')
        hook.chmod(0o755)


@pytest.mark.timeout(300)
def test_a_secret_that_is_sealed_to_the_old_key_after_the_switch_is_opened(mesh: Mesh) -> None:
    """The list goes on to name the old key first, until the end of the rotation can be pushed."""
    a, *_ = [mesh.node(name, number) for name, number in NUMBERS]
    secret(mesh, "new", "--secret-file", SECRET, *at(time.time() - 7200))
    secret(mesh, "retire", "--force")
    mesh.push()
    mesh.now()
    all_reach(mesh)
    old = key_of(a)
    take_no_end(mesh, really=True)
    with timers(mesh, "b", "c"):
        rotate(a, exit_code=3)
    assert key_of(a) != old
    mesh.operator.run(["git", "-C", WORK, "pull", "-q", "--rebase", mesh.url, "main"])
    secret(mesh, "rotate", "--secret-file", SECRET)
    commit = mesh.push("another secret")
    now(a)
    assert status(a)["commit"] == commit
    take_no_end(mesh, really=False)
    rotate(a)
    assert leftovers(a) == []
    mesh.now()
    all_reach(mesh)


@pytest.mark.timeout(300)
def test_a_power_cut_in_the_middle_of_it_cuts_nobody_off(mesh: Mesh) -> None:
    a, b, c = three(mesh)
    old = key_of(a)
    mesh.lab.git.kill()
    said = rotate(a, exit_code=3)
    assert leftovers(a) == [], said
    mesh.lab.git.start()
    take_no_end(mesh, really=True)
    with timers(mesh, "b", "c"):
        rotate(a, exit_code=3)
    new = key_of(a)
    assert new != old
    assert leftovers(a) == ["private.key.previous"]
    mesh.lab.git.kill()
    a.reboot()
    a.run(["mesh-sync", "up"])
    assert key_of(a) == new
    b.reboot()
    b.run(["mesh-sync", "up"])
    now(c, exit_code=3)  # it has no watchdog
    with watching(b):
        all_reach(mesh)
    assert {old, new} <= keys_on(b)
    mesh.lab.git.start()
    take_no_end(mesh, really=False)
    said = rotate(a)
    assert "this machine runs its next key already" in said
    assert key_of(a) == new
    assert leftovers(a) == []
    assert a.path(KEY).stat().st_mode & 0o777 == 0o600
    mesh.now()
    assert keys_on(b) == {new, key_of(c)}
