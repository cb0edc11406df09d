"""A git host with the template's hook and a node that is shown the same push: what one takes, the other has to take."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from attrs import evolve

from mesh_sync.node.config import Repository
from unit.hooked_git_host import install_hook
from unit.judging_node import SignedMesh

MAIN = "refs/heads/main"


class Both:
    """Two git hosts with the same mesh: `hooked` has the hook, `open` has none, and a node judges what is there."""

    def __init__(self, mesh: SignedMesh, home: Path) -> None:
        self.mesh, self.hooked, self.open = mesh, home / "hooked.git", mesh.bare
        shutil.copytree(mesh.bare, self.hooked)
        install_hook(self.hooked)
        self.mesh.node = evolve(mesh.node, repository=Repository(urls=(str(self.open),)))
        self.environment: dict[str, str] = {}
        self.said = ""

    def git(self, *words: str, at: Path | None = None, input: str | None = None) -> str:
        """Run git in the operator's working copy, or on a bare repository."""
        place = ["-C", str(at or self.mesh.work)]
        env = {**os.environ, **_PERSON}
        done = subprocess.run(["git", *place, *words], input=input, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def try_push(self, host: Path, *refs: str) -> bool:
        """Push as a person does; whether the host took all of it. `said`: what the pusher was told."""
        env = {
            **os.environ,
            **_PERSON,
            **self.environment,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        words = ["git", "-C", self.mesh.work, "push", "--quiet", str(host), *refs]
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
        self.said = done.stderr
        return done.returncode == 0

    def push(self, *refs: str) -> tuple[bool, bool]:
        """Push to both: whether the hook lets it in, and whether the node has applied the host's head after it."""
        self.git("config", "receive.denyDeleteCurrent", "ignore", at=self.open)
        self.git("config", "receive.denyDeleteCurrent", "ignore", at=self.hooked)
        assert self.try_push(self.open, *refs), self.said
        taken = self.try_push(self.hooked, *refs)
        verdict = self.mesh.look()
        head = self.head(self.open)
        return taken, verdict.problem is None and head is not None and self.mesh.state.applied.commit == head

    def head(self, host: Path, ref: str = MAIN) -> str | None:
        found = subprocess.run(
            ["git", "-C", host, "rev-parse", "--verify", "-q", ref], capture_output=True, text=True
        ).stdout.strip()
        return found or None


_PERSON = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
