"""From nothing to a ping by invitation: a git host on one machine, one line, one comparison; and who else tries."""

from __future__ import annotations

import pytest

from e2e.hosted_mesh import Hosted, Joining
from e2e.joined_mesh import CONFIG, files
from lab import Lab, Node, reachability
from lab.mesh import status

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Hosted:
    return Hosted(lab)


@pytest.fixture
def new(mesh: Hosted) -> Node:
    """A machine that knows nothing yet."""
    return mesh.machine(*mesh.next_name())


def test_two_machines_are_invited_and_reach_each_other(mesh: Hosted) -> None:
    nodes = {}
    for name, number in (("aws", 21), ("home", 22)):
        nodes[name] = mesh.machine(name, number)
        line = mesh.invite(name, "--endpoint", f"203.0.113.{number}:51820")
        joining = Joining(nodes[name], line)
        fingerprint = joining.fingerprint()
        joining.until(f"mesh-sync admit {name} --fingerprint {fingerprint}")
        assert "pushed 1 commit" in mesh.admit(name, fingerprint)
        assert joining.end() == 0, joining.said
        assert status(nodes[name])["commit"] == mesh.head
    nodes["aws"].run(["mesh-sync", "now"])
    assert reachability([(nodes["home"], "10.0.0.1")]) == {("home", "10.0.0.1"): True}
    assert 'first_commit = "' in nodes["home"].path(f"{CONFIG}/node.toml").read_text()
    assert files(nodes["home"]) == ["allowed_signers", "known_hosts", "node.toml", "private.key", "signing.key"]
