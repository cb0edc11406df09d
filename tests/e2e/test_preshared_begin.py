"""A mesh that begins with preshared keys, and one that gives them up, under traffic."""

from __future__ import annotations

import time

import pytest

from e2e.preshared_mesh import SECRET, all_pinging, at, connects, handshake_age, lost, pairs, psk, psks, secret
from lab import Lab
from lab.mesh import Mesh, now, status

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODES = ("n21", "n22")
NONE = "(none)"


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    """Two nodes without preshared keys."""
    mesh = Mesh(lab)
    for number in (21, 22):
        mesh.node(f"n{number}", number)
    mesh.push("no preshared keys")
    mesh.now()
    return mesh


def test_going_over_to_preshared_keys_and_back_costs_no_packet(mesh: Mesh) -> None:
    """The way there waits for the handshake that uses the key; the way back is the same, and is only begun."""
    began = time.time()
    with all_pinging(mesh, NODES) as losses:
        secret(mesh, "new", "--secret-file", SECRET, *at(began - 30))
        mesh.push("preshared keys")
        for name, seconds in (("n21", 3), ("n22", 45)):
            time.sleep(max(0.0, began + seconds - time.time()))
            now(mesh.nodes[name])
            assert status(mesh.nodes[name])["drift"] == []
        assert set(psks(mesh, NODES).values()) != {NONE}
        renewed = wait_for_renewal(mesh, began)
        secret(mesh, "retire", "--force")
        secret(mesh, "off", *at(renewed - 30))
        mesh.push("no preshared keys any more")
        mesh.now()
        assert set(psks(mesh, NODES).values()) == {NONE}
        time.sleep(1)
        secret(mesh, "retire", "--force")
        mesh.push("as before")
        mesh.now()
    assert lost(losses) == {}
    assert "PresharedKey" not in mesh.nodes["n21"].path("/etc/wireguard/wg0.conf").read_text()


def test_a_secret_that_is_retired_before_anyone_has_moved_is_held_over(mesh: Mesh) -> None:
    """n21 pulls the retirement, n22 is paused. Handshakes go on, with the former key."""
    one, other = (mesh.nodes[name] for name in NODES)
    secret(mesh, "new", "--secret-file", SECRET)
    mesh.push("a secret, from in 5 minutes on")
    mesh.now()
    other.run(["mesh-sync", "pause"])
    secret(mesh, "retire", "--force")
    mesh.push("and nothing but that")
    mesh.now()
    assert status(one)["commit"] != status(other)["commit"]
    one.run(["mesh-sync", "down"])
    one.run(["mesh-sync", "up"])
    assert connects(one, "10.0.0.22")
    assert psk(one, other) == NONE
    other.run(["mesh-sync", "resume"])
    mesh.now()
    assert connects(one, "10.0.0.22")


def wait_for_renewal(mesh: Mesh, began: float) -> float:
    """Wait until both ends have made a handshake after this moment; return when that was."""
    both = pairs(mesh, NODES)
    while (age := max(handshake_age(one, other) for one, other in both)) > time.time() - began - 60:
        assert time.time() - began < 200, "the session was not renewed"
        time.sleep(1)
    return time.time() - age
