"""`machine`: a peer whose key is on several machines, of which one has it up and the others stand by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.errors import Refused
from mesh_sync.mesh.differing import Differing
from mesh_sync.mesh.manifest import read
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.reconcile.derive import interface
from mesh_sync.trust.node_rights import EXTRA_KEYS, OWN_KEYS
from mesh_sync.wireguard import keys
from mesh_sync.wireguard.desired import Desired
from mesh_sync.workspace.preview import changes_of
from unit.bad_list import MESH, Files, peer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LISTED: Files = {"mesh.toml": MESH, "peers/home.toml": peer(2)}


class Machine:
    """A machine that holds the hub's key; the hub of the list is where ``at`` says."""

    def __init__(self, folder: Path) -> None:
        private = keys.generate()
        file = folder / "private.key"
        file.touch(mode=0o600)
        file.write_text(private + "\n")
        self.public = keys.public_key(private)
        self.node = Node(
            name="hub", private_key_file=file, repository=Repository(urls=("x",)), trust=Trust(mode="none"),
            paths=Paths(state=folder),
        )  # fmt: skip

    def lists(self, at: str) -> Files:
        machine = {"machine": f'"{at}"'} if at else {}
        return {**LISTED, "peers/hub.toml": peer(1, public_key=f'"{self.public}"', relay="true", **machine)}

    def desired(self, at: str, here: str) -> Desired:
        files = {path: str(text).encode() for path, text in self.lists(at).items()}
        mesh, wrong = read(files)
        assert mesh
        assert not wrong
        return interface(Tree(files), mesh, evolve(self.node, machine=here), "c" * 40, NOW)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(("at", "here"), [("a", "a"), ("", "a"), ("", "")])
def test_it_is_up_where_the_list_says_or_does_not_say(machine: Machine, at: str, here: str) -> None:
    found = machine.desired(at, here)
    assert found.peers
    assert found.addresses


def test_elsewhere_it_has_its_key_and_nothing_that_another_machine_has(machine: Machine) -> None:
    found = machine.desired("a", "b")
    assert found.public_key == machine.public
    assert not any((found.peers, found.addresses, found.routes, found.passages, found.sysctls, found.relay))


def test_a_machine_without_a_name_does_not_guess(machine: Machine) -> None:
    with pytest.raises(Refused, match="on the machine a"):
        machine.desired("a", "")


def test_plan_says_where_it_moves_and_that_no_other_node_changes(machine: Machine) -> None:
    lists = [read({path: str(text).encode() for path, text in machine.lists(at).items()})[0] for at in ("a", "b")]
    both = Differing(*(Renderer(mesh, NOW) for mesh in lists if mesh))
    assert [change.text for change in changes_of("hub", both)] == ["is up on the machine b only (before: a)"]
    assert changes_of("home", both) == ()


def test_no_nodes_own_key_moves_it() -> None:
    assert "machine" not in OWN_KEYS | EXTRA_KEYS
