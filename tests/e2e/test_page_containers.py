"""docs/containers.md: the entry of a container without systemd keeps a node in its mesh, and takes it down at its end.

The shell is BusyBox's, which is Alpine's.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lab import Lab
from lab.mesh import Mesh, now, status, stranger
from lab.ping import first_answer
from lab.story import Story
from lab.tree import HOME
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PAGE = Path(__file__).parents[2] / "docs/containers.md"


def test_the_entry_does_what_units_do_elsewhere(lab: Lab) -> None:
    mesh = Mesh(lab)
    aws, box = mesh.node("aws", 21), mesh.node("box", 22)
    mesh.push("two peers")
    now(aws)
    story = Story(PAGE, {"box": box})
    story.tell("Without systemd")
    assert not story.untold

    log = box.directory / "entry.log"
    with log.open("wb") as file:
        entry = box.popen(["busybox", "sh", "./mesh-entry"], cwd=HOME, stdout=file.fileno(), stderr=file.fileno())
    first_answer(aws, "10.0.0.22")
    stranger(mesh, "more", 23)
    head = mesh.push("one more")
    until(lambda: status(box)["commit"] == head, 150, what=log.read_text)

    entry.send_signal(signal.SIGTERM)
    assert entry.wait(60) == 0
    assert box.run(["wg", "show", "wg0"], check=False).returncode != 0
