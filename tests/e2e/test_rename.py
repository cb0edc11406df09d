"""Peers are renamed under traffic: no device loses a peer or a session, and the renamed node goes on by its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from e2e.preshared_mesh import SECRET, all_pinging, lost, psks, secret
from e2e.running_watchdog import watching
from lab import Lab
from lab.mesh import WORK, Mesh, dump, key_of, now_json, status
from lab.node import Node
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NODES = ("n21", "n22", "n23")
ADMIN = "anna@example.org"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """Three nodes with preshared keys, who accept what an admin has signed; n23 may carry others."""
    with Lab() as lab:
        mesh = Mesh(lab)
        for number in (21, 22, 23):
            mesh.node(f"n{number}", number, **({"relay": True} if number == 23 else {}))
        mesh.begin_signed(ADMIN)
        secret(mesh, "new", "--secret-file", SECRET)
        secret(mesh, "retire", "--force")
        mesh.push("preshared keys")
        mesh.now()
        yield mesh


def rename(mesh: Mesh, old: str, new: str) -> str:
    """Rename a peer as an operator does, and push it; return what the command said."""
    said = mesh.operator.run(["mesh-sync", "peer", "rename", old, new, "-C", WORK]).stdout
    mesh.push(f"{old} is {new}")
    return said


def sessions(mesh: Mesh) -> Mapping[tuple[str, str], tuple[str, str]]:
    """The endpoint and the handshake of each tunnel, by name of the machine and key of the peer."""
    return {
        (name, key): (peer["endpoint"], peer["handshake"])
        for name, node in mesh.nodes.items()
        for key, peer in dump(node).items()
        if key
    }


def received(node: Node, key: str) -> int:
    return int(dump(node)[key]["rx"])


def test_no_tunnel_notices_that_a_peer_is_renamed(mesh: Mesh) -> None:
    with all_pinging(mesh, NODES) as losses:
        until(lambda: all(int(shake) for _, shake in sessions(mesh).values()), 60, what="every tunnel")
        before, keys = sessions(mesh), psks(mesh, NODES)
        counted = {(one, key): received(mesh.nodes[one], key) for one, key in before}
        rename(mesh, "n21", "zurich")
        done = {name: now_json(node) for name, node in mesh.nodes.items()}
        assert {name: found["changes"] for name, found in done.items()} == {name: [] for name in NODES}
        assert {name: found["result"] for name, found in done.items()} == dict.fromkeys(NODES, "in-sync")
        until(
            lambda: all(received(mesh.nodes[one], key) > seen for (one, key), seen in counted.items()), 60,
            what="traffic in each tunnel",
        )  # fmt: skip
        after = sessions(mesh)
    assert after.keys() == before.keys(), "no peer left a device, and none came"
    assert {tunnel: at for tunnel, (at, _) in after.items()} == {tunnel: at for tunnel, (at, _) in before.items()}
    assert all(int(shake) >= int(before[tunnel][1]) for tunnel, (_, shake) in after.items())
    assert psks(mesh, NODES) == keys
    assert lost(losses) == {}
    names = [peer["name"] for peer in status(mesh.nodes["n22"])["peers"]]
    assert sorted(names) == ["n23", "zurich"]


def test_the_renamed_node_says_what_it_is_called_and_follows_the_list_on(mesh: Mesh) -> None:
    node = mesh.nodes["n21"]
    assert 'name = "n21"' in node.path("/etc/mesh-sync/node.toml").read_text()
    assert status(node)["node"] == "zurich"
    shown = node.run(["mesh-sync", "status"]).stdout
    assert 'node.toml still calls it n21: write name = "zurich" there' in shown
    mesh.set("zurich", mtu=1300)
    mesh.push("it goes on")
    found = now_json(node)
    assert [change["text"] for change in found["changes"]] == ["MTU 1420 -> 1300"]
    node.run(["mesh-sync", "down"])
    node.run(["mesh-sync", "up"])
    assert status(node)["drift"] == []
    mesh.configure(node, name="zurich")
    assert now_json(node)["changes"] == []
    assert "node.toml" not in node.run(["mesh-sync", "status"]).stdout


def test_a_new_handshake_is_made_with_the_preshared_key_of_before(mesh: Mesh) -> None:
    """The relay is renamed, and then both ends of a pair begin from nothing, one before it has pulled."""
    one, other = mesh.nodes["n22"], mesh.nodes["n23"]
    key = key_of(other)
    keys = psks(mesh, NODES)
    rename(mesh, "n23", "zagreb")
    mesh.now("n22", "n21")
    for node in (one, other):
        node.run(["mesh-sync", "down"])
        node.run(["mesh-sync", "up"])
    one.run(["ping", "-q", "-n", "-c1", "-w30", "10.0.0.23"], timeout=60)
    assert int(dump(one)[key]["handshake"])
    mesh.now()
    assert psks(mesh, NODES) == keys


def test_the_watchdog_goes_on_with_what_it_knows_of_a_peer(mesh: Mesh) -> None:
    node = mesh.nodes["n22"]
    with watching(node) as dog:
        node.run(["ping", "-q", "-n", "-c1", "-w30", "10.0.0.21"], timeout=60)
        until(lambda: dog.all_are("up", "zurich"), 60, what="the peer to be up")
        before = dog.peer("zurich")
        rename(mesh, "zurich", "n21")
        mesh.now("n22")
        names = {"n21", "zagreb"}
        until(lambda: {peer["name"] for peer in dog.written()["peers"]} == names, 60, what="the new name")
        after = dog.peer("n21")
    same = ("state", "endpoint", "writes", "switches", "last_recovery")
    assert [after[key] for key in same] == [before[key] for key in same]
