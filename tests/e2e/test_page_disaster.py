"""docs/disaster.md, from loss to loss: what the page says is what happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from e2e.joined_mesh import Signed
from lab import Lab
from lab.githost import GitHost
from lab.mesh import WORK, dump, key_of, now, status
from lab.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs/disaster.md"
NODES = ("aws", "azure", "home")


def secret(mesh: Signed) -> None:
    """Preshared keys, in use since long ago."""
    mesh.commit("secret", "new", "--secret-file", "/run/home/mesh.secret", "--at", "2026-01-01T00:00:00Z")
    mesh.commit("secret", "retire", "--force")


def lose(path: str, mesh: Signed) -> None:
    shutil.rmtree(mesh.operator.path(path))


def empty(host: GitHost) -> None:
    """What was there is gone; another, empty repository takes its place."""
    shutil.rmtree(host.bare)
    host.repository("mesh")


def test_each_loss_is_mended_as_the_page_says(lab: Lab) -> None:
    mesh = Signed(lab)
    alice = mesh.operator
    alice.run(["git", "-C", WORK, "remote", "add", "origin", mesh.url])
    for number, name in enumerate(NODES, start=21):
        mesh.member(name, number)
    mesh.pull()
    secret(mesh)
    for node in mesh.nodes.values():
        now(node)
    other = lab.another_git("git2", "203.0.113.12")
    story = Story(PAGE, {"alice": alice, "git2": other.host, **mesh.nodes})
    aws, azure, home = (mesh.nodes[name] for name in NODES)

    lab.git.kill()
    story.tell("The git host is lost")
    assert status(home)["commit"] == other.head()

    thief = key_of(azure)
    story.tell("A node is stolen")
    assert thief not in dump(aws)
    assert thief not in dump(home)

    before = alice.path("/run/home/mesh.secret").read_text()
    lose(WORK, mesh)
    story.tell("Your machine is lost")
    assert aws.path("/run/home/mesh.secret").read_text() in before

    story.tell("An admin's key is lost", 2)
    for node in (aws, home):
        node.path("/run/home/allowed_signers").write_text(alice.path("/run/home/allowed_signers").read_text())
    story.tell("An admin's key is lost")
    now(home)
    now(aws)
    last = other.head()
    assert status(aws)["commit"] == status(home)["commit"] == last

    other.kill()
    lose(WORK, mesh)
    empty(lab.git)
    lab.git.start()
    story.tell("All that is left is one node")
    assert lab.git.head() == last

    home.run(["sed", "-i", "s/git2.example.org/git.example.org/", "/etc/mesh-sync/node.toml"])
    story.tell("wg0 is broken on a far node")
    assert key_of(aws) in dump(home)
    assert not story.untold
