"""Preshared keys on real tunnels: each pair has its own, and none is lost while they change.

A session lives 120 s, and only a handshake shows a new key at work: one test waits for that, with everything in it.
"""

from __future__ import annotations

import time

import pytest

from e2e.preshared_mesh import SECRET, all_pinging, at, connects, handshake_age, lost, pairs, psks, secret
from lab import Lab
from lab.mesh import WORK, Mesh, dump, now, status
from lab.ping import steady_ping
from mesh_sync.wireguard import keys

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

NONE = "(none)"
REKEY = 120


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    """Nodes n21 to n24 that never knew each other without preshared keys."""
    mesh = Mesh(lab)
    for number in range(21, 25):
        mesh.node(f"n{number}", number)
    secret(mesh, "new", "--secret-file", SECRET)
    secret(mesh, "retire", "--force")
    mesh.push("a mesh with preshared keys")
    mesh.now()
    return mesh


def test_each_pair_has_a_key_of_its_own_and_connects(mesh: Mesh) -> None:
    for one, other in pairs(mesh, mesh.nodes):
        assert connects(one, f"10.0.0.{other.name.removeprefix('n')}")
    keys = psks(mesh, mesh.nodes)
    assert len(set(keys.values())) == len(keys) == 6
    assert all(len(key) == 44 for key in keys.values())
    conf = mesh.nodes["n21"].path("/etc/wireguard/wg0.conf")
    assert keys["n21", "n22"] in conf.read_text()
    assert conf.stat().st_mode & 0o777 == 0o600


def test_a_new_peer_changes_no_other_pairs_key_and_costs_no_packet(mesh: Mesh) -> None:
    before = psks(mesh, mesh.nodes)
    old = tuple(mesh.nodes)
    new = mesh.node("n25", 25)
    secret(mesh, "seal", "--secret-file", SECRET)
    mesh.push("a new peer")
    with all_pinging(mesh, old[:3]) as losses:
        time.sleep(1)
        mesh.now()
        assert connects(new, "10.0.0.21")
    assert lost(losses) == {}
    after = psks(mesh, mesh.nodes)
    assert before.items() <= after.items()
    assert len(set(after.values())) == 10


def test_a_node_that_cannot_have_the_secret_refuses_and_stays_as_it_is(mesh: Mesh) -> None:
    n25 = mesh.nodes["n25"]
    file = mesh.operator.path("/run/home/mesh/secrets/n25.toml")
    good, before = file.read_text(), dump(n25)
    n25.path("/var/lib/mesh-sync/wg0/mesh.secret").unlink()
    neighbour = mesh.operator.path("/run/home/mesh/secrets/n24.toml").read_text()
    for spoilt, says in (
        (None, "the mesh secret 1 is not sealed to this node: there is no secrets/n25.toml"),
        (neighbour, "the mesh secret 1 is in secrets/n25.toml, but this node's private key does not open it"),
    ):
        if spoilt:
            file.write_text(spoilt)
        else:
            file.unlink()
        mesh.push("nothing to open")
        done = now(n25, exit_code=4)
        assert says in done.stderr
        assert {key: peer["psk"] for key, peer in dump(n25).items() if key} == {
            key: peer["psk"] for key, peer in before.items() if key
        }
    file.write_text(good)
    mesh.push("sealed again")
    mesh.now()


def test_a_node_that_changes_its_wireguard_key_keeps_its_preshared_keys(mesh: Mesh) -> None:
    """What was sealed to the key before does not open any more: the node remembers it, and the check names it."""
    before = psks(mesh, mesh.nodes)
    n25 = mesh.nodes["n25"]
    private = keys.generate()
    n25.path("/etc/mesh-sync/private.key").write_text(private + "\n")
    mesh.set("n25", public_key=keys.public_key(private))
    mesh.push("n25 has another key\n\nMesh-Allow: re-key n25")
    mesh.now()
    assert psks(mesh, mesh.nodes) == before
    assert connects(n25, "10.0.0.21")
    assert (
        "secrets/n25.toml:public_key: warning: is no longer the key of n25"
        in mesh.operator.run(["mesh-sync", "check", WORK], check=False).stdout
    )
    secret(mesh, "seal", "--secret-file", SECRET)
    mesh.push("sealed to the new key")
    mesh.now()


def test_a_secret_out_of_band_wins_and_has_to_be_closed_to_others(mesh: Mesh) -> None:
    n25 = mesh.nodes["n25"]
    before = psks(mesh, mesh.nodes)
    secret(mesh, "show", "--secret-file", SECRET, "-o", "/run/home/carried")
    carried = n25.path("/etc/mesh-sync/mesh.secret")
    carried.touch(mode=0o600)
    carried.write_text(mesh.operator.path("/run/home/carried").read_text())
    mesh.configure(n25, mesh_secret_file="/etc/mesh-sync/mesh.secret")
    mesh.operator.path("/run/home/mesh/secrets/n25.toml").unlink()
    mesh.push("n25 has it in a file")
    mesh.now()
    assert psks(mesh, mesh.nodes) == before
    carried.chmod(0o644)
    mesh.push("anything")
    assert "/etc/mesh-sync/mesh.secret is readable by other users" in now(n25, exit_code=4).stderr
    carried.chmod(0o600)
    now(n25)


def test_a_secret_is_rotated_under_traffic_and_who_was_away_is_found_again(mesh: Mesh) -> None:
    """n21 to n23 pull within 40 s of each other; n24 is off, comes back with the former secret only, and pulls last.

    n25 leaves in the commit that rotates: the thief of its disk has the former secret and its key, and neither helps.
    """
    stay, away, thief = ("n21", "n22", "n23"), mesh.nodes["n24"], mesh.nodes["n25"]
    away.port.unplug()
    for name in stay:
        mesh.nodes[name].run(["mesh-sync", "down"])
    for name in stay:
        mesh.nodes[name].run(["mesh-sync", "up"])
    assert all(connects(one, f"10.0.0.{other.name.removeprefix('n')}") for one, other in pairs(mesh, stay))
    began = time.time()
    former = psks(mesh, stay)
    with all_pinging(mesh, stay) as losses:
        mesh.remove("n25")
        secret(mesh, "rotate", "--secret-file", SECRET, *at(began - 30))
        mesh.push("n25 leaves, and the secret changes")
        for name, seconds in (("n21", 2), ("n22", 20), ("n23", 40)):
            time.sleep(max(0.0, began + seconds - time.time()))
            now(mesh.nodes[name])
            assert status(mesh.nodes[name])["drift"] == []
        assert not set(former.values()) & set(psks(mesh, stay).values())
        assert not connects(thief, "10.0.0.21", seconds=6)
        found = come_back(mesh, stay, away)
        while any(handshake_age(one, other) > time.time() - began - 60 for one, other in pairs(mesh, stay)):
            assert time.time() - began < 200, "no session was renewed"
            time.sleep(2)
        time.sleep(1)
    assert lost(losses) == {}
    assert found < 160
    newer = psks(mesh, stay)
    assert not set(former.values()) & set(newer.values())
    catch_up(mesh, stay, newer)


def come_back(mesh: Mesh, stay: tuple[str, ...], away: object) -> float:
    """n24 boots without git, and talks to everybody after this many seconds."""
    node = mesh.nodes["n24"]
    node.reboot()
    node.run(["mesh-sync", "up"])
    began = time.monotonic()
    reached: dict[str, float] = {}
    with steady_ping(node, "10.0.0.21", interval=0.2), steady_ping(node, "10.0.0.22", interval=0.2):
        while len(reached) < 2:
            for name in stay:
                now(mesh.nodes[name])
            for name in ("n21", "n22"):
                if handshake_age(node, mesh.nodes[name]) < 60:
                    reached.setdefault(name, time.monotonic() - began)
            assert time.monotonic() - began < 240, "it does not find its peers"
            time.sleep(10)
    return max(reached.values())


def catch_up(mesh: Mesh, stay: tuple[str, ...], newer: dict[tuple[str, str], str]) -> None:
    """n24 pulls; the former secret is retired; a new handshake has the newer one."""
    node = mesh.nodes["n24"]
    with steady_ping(node, "10.0.0.21", interval=0.05) as loss:
        now(node)
        secret(mesh, "retire", "--force")
        mesh.push("the former secret is retired")
        mesh.now(*stay, "n24")
    assert loss.lost == 0
    found = psks(mesh, [*stay, "n24"])
    assert newer.items() <= found.items()
    node.run(["mesh-sync", "down"])
    node.run(["mesh-sync", "up"])
    assert connects(node, "10.0.0.21")
    assert connects(node, "10.0.0.22")
