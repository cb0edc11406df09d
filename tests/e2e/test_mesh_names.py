"""`[dns] names` in node.toml: set up by `now` and `up`, kept by `now`, undone by `down`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lab.mesh import Mesh, now, now_json
from lab.node import Node
from lab.ping import first_answer
from lab.tree import ENVIRONMENT

pytestmark = pytest.mark.e2e

HOSTS = "/run/home/hosts"
OTHERS = "127.0.0.1 localhost\n"
BLOCK = (
    "# BEGIN mesh-sync wg0: written by mesh-sync, changes are lost\n10.0.0.21 a.mesh.internal\n"
    "10.0.0.22 b.mesh.internal\n# END mesh-sync wg0\n"
)
ASKED = [
    "dns wg0 10.0.0.21", "domain wg0 ~mesh.internal", "default-route wg0 no", "dnssec wg0 no", "dnsovertls wg0 no",
]  # fmt: skip


class Resolved:
    """A `resolvectl` that writes down what it is told."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "told"
        (folder / "bin").mkdir()
        self.program = folder / "bin/resolvectl"
        self.program.write_text(f'#!/bin/sh\necho "$*" >>{self._log}\n')
        self.program.chmod(0o755)
        self.env: Mapping[str, str] = {"PATH": f"{folder / 'bin'}:{ENVIRONMENT['PATH']}"}
        self.told()

    def told(self) -> list[str]:
        """What it was told since this was asked last."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.write_text("")
        return lines


@pytest.fixture
def resolved(tmp_path: Path) -> Resolved:
    return Resolved(tmp_path)


@pytest.fixture
def node(mesh: Mesh) -> Iterator[Node]:
    """a, which names nothing yet and will name nothing any more."""
    node = mesh.nodes["a"]
    node.path(HOSTS).write_text(OTHERS)
    mesh.configure(node, paths={"hosts": HOSTS})
    yield node
    mesh.configure(node, paths=None, dns=None)
    now(node)


def test_systemd_resolved_is_told_once_and_told_to_forget_it(mesh: Mesh, node: Node, resolved: Resolved) -> None:
    mesh.configure(node, dns={"names": "resolved"})
    assert [change["kind"] for change in now_json(node, env=resolved.env)["changes"]] == ["names"]
    assert resolved.told() == ASKED
    assert now_json(node, env=resolved.env)["changes"] == []
    node.run(["mesh-sync", "down"], env=resolved.env)
    assert resolved.told() == ["revert wg0"]
    node.run(["mesh-sync", "up"], env=resolved.env)
    assert resolved.told() == ASKED
    mesh.configure(node, dns=None)
    now(node, env=resolved.env)
    assert resolved.told() == ["revert wg0"]


def test_an_interface_that_was_made_again_by_others_is_told_of_again(
    mesh: Mesh, node: Node, resolved: Resolved
) -> None:
    mesh.configure(node, dns={"names": "resolved"})
    now(node, env=resolved.env)
    resolved.told()
    node.run(["ip", "link", "delete", "wg0"])
    now(node, env=resolved.env)
    assert resolved.told() == ASKED


def test_where_resolved_refuses_the_node_says_so_and_has_its_mesh(mesh: Mesh, node: Node, resolved: Resolved) -> None:
    mesh.configure(node, dns={"names": "resolved"})
    resolved.program.write_text("#!/bin/sh\nexit 1\n")
    done = now(node, env=resolved.env)
    assert "resolvectl" in done.stdout + done.stderr
    first_answer(node, "10.0.0.22")


def test_the_hosts_file_follows_the_list_until_down(mesh: Mesh, node: Node) -> None:
    file = node.path(HOSTS)
    mesh.configure(node, dns={"names": "hosts"})
    now(node)
    assert file.read_text() == OTHERS + BLOCK
    file.write_text(OTHERS)
    status = json.loads(node.run(["mesh-sync", "status", "--json"], check=False).stdout)
    assert [change["kind"] for change in status["drift"]] == ["names"]
    now(node)
    assert file.read_text() == OTHERS + BLOCK
    mesh.set_mesh(dns_zone="corp.example")
    mesh.push()
    now(node)
    assert file.read_text() == OTHERS + BLOCK.replace("mesh.internal", "corp.example")
    node.run(["mesh-sync", "down"])
    assert file.read_text() == OTHERS
    node.run(["mesh-sync", "up"])
    assert file.read_text() == OTHERS + BLOCK.replace("mesh.internal", "corp.example")
