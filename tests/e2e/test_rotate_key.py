"""A node changes its key and nobody loses it, whoever is away, left behind, without a watchdog, or at it as well."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest

from e2e.key_rotation import (
    KEY,
    NUMBERS,
    all_reach,
    begin,
    counted,
    end,
    held,
    keys_on,
    leftovers,
    listed,
    rotate,
    take_no_end,
    three,
    timers,
)
from e2e.running_watchdog import Watchdog, watching
from lab import Lab
from lab.mesh import WORK, Mesh, key_of, now, now_json, status
from lab.tree import HOME
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

SILENCE = 6.0
"""Seconds; docs/rotation.md has what is measured on a machine that does nothing else: 0.2 s."""


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        yield Mesh(lab)


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
