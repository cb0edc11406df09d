"""`now` runs out of disk, finds its memory broken, or meets itself: the next run puts all of it right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab import Lab, steady_ping
from lab.mesh import Mesh, dump, key_of, now, now_json, status, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.snapshot import CONF
from lab.waiting import LONG, eventually

pytestmark = pytest.mark.e2e

STATE = "/var/lib/mesh-sync/wg0/state.json"


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        yield Mesh(lab)


# -- a full disk


def small_disk(node: Node, place: str, *options: str) -> None:
    """Mount a little memory over a folder of the node; what it holds moves in."""
    mount = ",".join(("size=2m", "mode=700", *options))
    move_out = f"mkdir -p {place}; cp -a {place} /run/moved"
    move_in = f"cp -a /run/moved/. {place}; rm -r /run/moved"
    node.run(["sh", "-ec", f"{move_out}; mount -t tmpfs -o {mount} tmpfs {place}; {move_in}"])


def fill(node: Node, place: str) -> None:
    node.run(["sh", "-c", f"cat /dev/zero >{place}/ballast"], check=False)


def empty(node: Node, place: str) -> None:
    node.run(["rm", f"{place}/ballast"])


def is_one_sentence(said: str) -> bool:
    """What a person reads: what went wrong, and perhaps a hint."""
    return said.startswith("mesh-sync: ") and "Traceback" not in said and len(said.splitlines()) <= 2


@pytest.mark.parametrize("place", ["/var/lib/mesh-sync", "/etc/wireguard"])
def test_a_full_disk_leaves_everything_as_it_is_until_there_is_room(mesh: Mesh, place: str) -> None:
    a, b = mesh.node("a", 11), mesh.node("b", 12)
    revoked = stranger(mesh, "revoked", 13)
    mesh.push()
    mesh.now()
    first_answer(b, "10.0.0.11")
    small_disk(a, place)
    assert now_json(a)["result"] == "in-sync"
    before = dump(a)
    conf = a.run(["cat", CONF]).stdout

    fill(a, place)
    mesh.remove("revoked")
    added = stranger(mesh, "added", 14)
    mesh.push()
    with steady_ping(a, "10.0.0.12") as loss:
        done = now(a, exit_code=6)
        assert is_one_sentence(done.stderr), done.stderr
        assert set(dump(a)) == set(before)
        assert a.run(["cat", CONF]).stdout == conf
        fill(a, place)  # what the first attempt has cleared away
        assert is_one_sentence(now(a, exit_code=6).stderr)
        empty(a, place)
        now(a)
    assert loss.lost == 0
    assert set(dump(a)) == set(before) - {revoked} | {added}
    assert status(a)["drift"] == []


@pytest.mark.parametrize("place", ["/var/lib/mesh-sync", "/etc/wireguard"])
def test_a_first_now_on_a_full_disk_is_made_good_when_there_is_room(mesh: Mesh, place: str) -> None:
    a = mesh.node("a", 11)
    added = stranger(mesh, "added", 14)
    mesh.push()
    small_disk(a, place)
    fill(a, place)
    assert is_one_sentence(now(a, exit_code=6).stderr)
    empty(a, place)
    now(a)
    assert set(dump(a)) == {"", added}
    assert status(a)["drift"] == []


def test_a_full_run_folder_stops_nothing_but_what_has_to_be_remembered_there(mesh: Mesh) -> None:
    a, b = mesh.node("a", 11), mesh.node("b", 12)
    mesh.push()
    mesh.now()
    first_answer(b, "10.0.0.11")
    small_disk(a, "/run/mesh-sync")
    fill(a, "/run/mesh-sync")
    added = stranger(mesh, "added", 14)
    mesh.push()
    now(a)
    assert added in dump(a)

    mesh.configure(a, gateway={"masquerade": "eth0"})
    with steady_ping(a, "10.0.0.12") as loss:
        assert is_one_sentence(now(a, exit_code=6).stderr)
        empty(a, "/run/mesh-sync")
        now(a)
    assert loss.lost == 0
    assert a.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout == "1\n"
    assert status(a)["drift"] == []


def test_a_run_folder_that_takes_no_more_files_leaves_the_tunnels_alone(mesh: Mesh) -> None:
    a, b = mesh.node("a", 11), mesh.node("b", 12)
    mesh.push()
    mesh.now()
    first_answer(b, "10.0.0.11")
    small_disk(a, "/run/mesh-sync", "nr_inodes=4")
    a.run(["sh", "-c", "cd /run/mesh-sync && rm *; touch 1 2 3"])
    with steady_ping(a, "10.0.0.12") as loss:
        assert is_one_sentence(now(a, exit_code=6).stderr)
        a.run(["sh", "-c", "rm /run/mesh-sync/*"])
        now(a)
    assert loss.lost == 0


# -- a broken memory

BROKEN: dict[str, Callable[[bytes], bytes | None]] = {
    "half": lambda state: state[: len(state) // 2],
    "empty": lambda state: b"",
    "gone": lambda state: None,
    "zeros": lambda state: bytes(len(state)),
    "another shape": lambda state: b'["version", 1]',
    "another version": lambda state: state.replace(b'"version":2', b'"version":99'),
}


def break_state(node: Node, how: Callable[[bytes], bytes | None]) -> None:
    file = node.path(STATE)
    broken = how(file.read_bytes())
    if broken is None:
        file.unlink()
    else:
        assert broken != file.read_bytes()
        file.write_bytes(broken)


@pytest.fixture(scope="module")
def broken_mesh(lab: Lab) -> Mesh:
    mesh = Mesh(lab)
    mesh.node("a", 11)
    mesh.node("b", 12)
    mesh.push()
    mesh.now()
    first_answer(mesh.nodes["b"], "10.0.0.11")
    return mesh


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
def test_a_peer_that_left_the_list_goes_although_the_state_is_broken(
    broken_mesh: Mesh, how: Callable[[bytes], bytes | None]
) -> None:
    mesh, a, b = broken_mesh, broken_mesh.nodes["a"], key_of(broken_mesh.nodes["b"])
    revoked = stranger(mesh, "revoked", 13, subnets=["192.168.13.0/24"])
    mesh.push()
    now(a)
    assert set(dump(a)) == {"", b, revoked}

    break_state(a, how)
    mesh.remove("revoked")
    mesh.push()
    with steady_ping(a, "10.0.0.12") as loss:
        now(a)
    assert loss.lost == 0
    assert set(dump(a)) == {"", b}
    assert "192.168.13.0" not in a.run(["ip", "route"]).stdout
    assert status(a)["drift"] == []
    assert now_json(a)["result"] == "in-sync"


def test_what_is_ours_is_not_forgotten_when_broken_state_meets_a_refused_commit(broken_mesh: Mesh) -> None:
    mesh, a, b = broken_mesh, broken_mesh.nodes["a"], key_of(broken_mesh.nodes["b"])
    revoked = stranger(mesh, "revoked", 13)
    mesh.push()
    now(a)
    break_state(a, BROKEN["half"])
    mesh.remove("revoked")
    mesh.edit("mesh.toml", "format = ")
    mesh.push()
    now(a, exit_code=4)
    assert set(dump(a)) == {"", b, revoked}
    mesh.edit("mesh.toml", 'format = 1\nname = "lab"\nnetworks = ["10.0.0.0/24"]\n')
    mesh.push()
    now(a)
    assert set(dump(a)) == {"", b}


# -- two at once


def test_a_second_now_waits_and_finds_nothing_to_do_or_leaves_with_7(mesh: Mesh) -> None:
    a = mesh.node("a", 11)
    added = stranger(mesh, "added", 14)
    mesh.push()
    mesh.lab.git.freeze()
    first = a.popen(["mesh-sync", "now"])
    assert eventually(lambda: is_locked(a))
    hurried = now(a, "--wait", "0.2", exit_code=7)
    assert is_one_sentence(hurried.stderr)
    patient = a.popen(["mesh-sync", "now"])
    mesh.lab.git.thaw()
    assert "wg0 is at commit" in first.communicate(timeout=LONG)[0]
    assert "wg0 is in sync with commit" in patient.communicate(timeout=LONG)[0]
    assert (first.returncode, patient.returncode) == (0, 0)
    assert set(dump(a)) == {"", added}


def is_locked(node: Node) -> bool:
    return node.run(["flock", "-n", "/run/mesh-sync/wg0.run.lock", "true"], check=False).returncode == 1
