"""A node changes its key while the list changes for other reasons, too: renamed, revoked, by canaries, with secrets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.key_rotation import (
    NUMBERS,
    all_reach,
    begin,
    end,
    leftovers,
    listed,
    rotate,
    take_no_end,
    three,
    timers,
)
from e2e.preshared_mesh import SECRET, at, secret
from e2e.running_watchdog import watching
from lab import Lab
from lab.mesh import WORK, Mesh, key_of, now, status
from lab.node import Node
from lab.program import Program
from lab.tree import ENVIRONMENT
from lab.waiting import until
from mesh_sync.wireguard import keys
from mesh_sync.wireguard.psk_rollover import SLOT

pytestmark = pytest.mark.e2e


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        yield Mesh(lab)


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
