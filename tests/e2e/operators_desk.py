"""The operator's machine in the lab: a working copy that belongs to a person without rights, and the page of it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import frozen

from e2e.signed_mesh import ADMIN
from lab.mesh import Mesh
from lab.node import Node
from lab.waiting import until
from unit.git_identity import VARIABLES
from unit.web_page import AS_A_USER

HOME = "/run/page"
PROGRAM = (sys.executable, "-c", "from mesh_sync.__main__ import main; main()", "web")
OPENER = '#!/bin/sh\nprintf "%s\\n" "$1" >"$OPENED"\n'
"""A browser that writes down what it is to open."""


@frozen
class Desk:
    """A person on a node, and their working copy."""

    node: Node
    place: str = f"{HOME}/mesh"

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": HOME, **VARIABLES}

    def git(self, *words: str) -> str:
        """git as this person runs it."""
        argv = [*AS_A_USER, "git", "-C", self.place, *words]
        return self.node.run(argv, env=self.env).stdout.strip()

    def own(self) -> None:
        """Make all of the home theirs."""
        if AS_A_USER:
            self.node.run(["chown", "-R", "65534:65534", HOME])

    @contextmanager
    def page(self) -> Iterator[tuple[str, str]]:
        """The page, started as on a machine with a screen: its address, and that of the file which opens it."""
        opener, found = f"{HOME}/opener", f"{self.place}.opened"
        self.node.path(opener).write_text(OPENER)
        self.node.path(opener).chmod(0o755)
        screen = {"TMPDIR": HOME, "DISPLAY": ":0", "BROWSER": f"{opener} %s", "OPENED": found}
        process = self.node.popen([*AS_A_USER, *PROGRAM, "-C", self.place], env={**self.env, **screen})
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = re.findall(r"http://\S+/", line)
            assert url, line + process.stdout.read()
            until(lambda: self.node.path(found).exists() and self.node.path(found).read_text().endswith("\n"), 60)
            yield url[0], self.node.path(found).read_text().strip()
        finally:
            process.kill()


def cloned(mesh: Mesh, name: str) -> Desk:
    """The working copy of the mesh's admin on one of its nodes."""
    node = mesh.nodes[name]
    node.run(["git", "clone", "-q", mesh.url, f"{HOME}/mesh"])
    key = mesh.operator.path(f"{mesh.home}/signers/{ADMIN}")
    for file in (key, key.with_name(f"{key.name}.pub")):
        shutil.copy(file, node.path(f"{HOME}/key{file.suffix if file != key else ''}"))
    settings = {"gpg.format": "ssh", "user.signingKey": f"{HOME}/key", "commit.gpgSign": "true"}
    for setting, value in settings.items():
        node.run(["git", "-C", f"{HOME}/mesh", "config", setting, value])
    desk = Desk(node)
    desk.own()
    return desk
