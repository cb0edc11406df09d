"""A git host that has the template's hook, and somebody who pushes to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HOOK = Path(__file__).parents[2] / "mesh-repo-template/hooks/pre-receive"

# A stand-in that leaves its arguments and what it was given to check, and finds an error in `broken`.
MESH_SYNC = """#!/bin/sh
echo "$@" >>{log}/argv
env >{log}/environment
pwd >{log}/cwd
rm -rf {log}/seen
cp -R "$2" {log}/seen
if grep -rq broken "$2"; then echo "peers/x.toml:mtu: is broken"; exit 1; fi
"""


class Push:
    """A git host with the hook, and somebody's clone of it."""

    def __init__(self, place: Path) -> None:
        self.log, self.host, self.clone = place / "log", place / "mesh.git", place / "clone"
        programs = place / "bin"
        for folder in (self.log, programs, self.clone):
            folder.mkdir()
        (programs / "mesh-sync").write_text(MESH_SYNC.format(log=self.log))
        (programs / "mesh-sync").chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(place),
            "TMPDIR": str(place),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.host))
        self.git("init", "--quiet", "--initial-branch=main")
        (self.host / "hooks/pre-receive").write_bytes(HOOK.read_bytes())
        (self.host / "hooks/pre-receive").chmod(0o755)

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *arguments], cwd=self.clone, env=self.environment, capture_output=True, text=True)

    def commit(self, **files: str) -> None:
        for path, text in files.items():
            (self.clone / path).write_text(text)
        self.git("add", "--all")
        assert self.git("commit", "--quiet", "--message=change").returncode == 0

    def push(self, refs: str = "HEAD:main") -> subprocess.CompletedProcess[str]:
        return self.git("push", str(self.host), refs)

    @property
    def checks(self) -> int:
        log = self.log / "argv"
        return len(log.read_text().splitlines()) if log.exists() else 0

    @property
    def head(self) -> str:
        return self.git("ls-remote", str(self.host), "main").stdout[:40]

    def with_the_real_check(self) -> None:
        """From now on the hook runs mesh-sync itself, not the stand-in."""
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
