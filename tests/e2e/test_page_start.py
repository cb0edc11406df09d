"""docs/start.md and docs/zh/start.md: two machines, typed as the pages say, and what else the Chinese page has typed.

What needs a machine that boots (packages, a git host of its own, units) `script/test-start PAGE` types.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.hosted_mesh import Hosted, Joining
from e2e.running_watchdog import watching
from lab import Lab, Node
from lab.mesh import now, status
from lab.story import Story, fenced
from lab.tree import HOME

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (DOCS / "start.md", DOCS / "zh/start.md")
HOSTED = "ssh://meshgit@aws.example.org/srv/home.git"
"""Where the pages have the list; the lab has a machine of its own for it."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """One for each page: both make the same machines."""
    with Lab() as lab:
        yield lab


def typed(page: Path, machine: str) -> list[str]:
    """The commands that a page has for a machine, one a line."""
    blocks = [block for block in fenced(page.read_text()) if block.words.get("machine") == machine]
    return [line for block in blocks for line in block.text.splitlines()]


def begin(mesh: Hosted, page: Path) -> Node:
    """Type what the page has for `aws` and `home`; return `home`."""
    aws, home = mesh.operator, mesh.machine("home", 22)
    mesh.lab.dns.set("aws.example.org", "203.0.113.9")
    install, host, init, invite = typed(page, "aws")
    assert "./mesh-sync.deb" in install
    assert host == "mesh-sync host /srv/home.git --name aws.example.org", "as `Hosted` has done"
    aws.run(["sh", "-ec", init.replace(HOSTED, mesh.url)], cwd=HOME, timeout=120)
    line = aws.run(["sh", "-ec", invite], cwd=HOME).stdout.strip()
    install, join, ping = typed(page, "home")
    assert "./mesh-sync.deb" in install
    assert join == "mesh-sync join LINE"
    let_in(mesh, home, "home", line)
    for node in (aws, home):
        now(node)  # the timer's work, where systemd is
    home.run(["sh", "-ec", f"{ping} -w 60"], timeout=90)
    return home


def let_in(mesh: Hosted, node: Node, name: str, line: str) -> None:
    joining = Joining(node, line)
    fingerprint = joining.fingerprint()
    joining.until("waiting for an admin")
    mesh.operator.run(["mesh-sync", "admit", name, "-C", "home", "--fingerprint", fingerprint], cwd=HOME)
    assert joining.end() == 0, joining.said


@pytest.mark.parametrize("page", PAGES, ids=("en", "zh"))
def test_two_machines_of_the_page_reach_each_other(lab: Lab, page: Path) -> None:
    mesh = Hosted(lab, begun=False)
    home = begin(mesh, page)
    aws = mesh.operator
    if page == DOCS / "start.md":
        return
    story = Story(page, {"aws": aws, "home": home})
    with watching(aws), watching(home):
        story.tell("第一张网")
        story.tell("家里的机器：NAT 和 DDNS")
        story.tell("手机")
        k3s = mesh.machine("k3s", 23)
        let_in(mesh, k3s, "k3s", aws.run(["mesh-sync", "invite", "k3s", "-C", "home"], cwd=HOME).stdout.strip())
        story.tell("Kubernetes")
        now(home)
        before = status(home)["commit"]
        story.tell("出了问题")
    now(home)
    assert status(home)["commit"] == before, "`resume` follows the list again"
    assert not story.untold
