"""A git host that has the template's hook, and somebody who pushes to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HOOK = Path(__file__).parents[2] / "mesh-repo-template/hooks/pre-receive"


def install_hook(host: Path) -> None:
    """As the hook's first lines say."""
    (host / "hooks").mkdir(exist_ok=True)
    (host / "hooks/pre-receive").write_bytes(HOOK.read_bytes())
    (host / "hooks/pre-receive").chmod(0o755)


class Push:
    """A git host with the hook, and somebody's clone of it."""

    def __init__(self, place: Path) -> None:
        self.host, self.clone = place / "mesh.git", place / "clone"
        self.clone.mkdir()
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(place),
            "TMPDIR": str(place),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.host))
        self.git("init", "--quiet", "--initial-branch=main")
        install_hook(self.host)

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
    def head(self) -> str:
        return self.git("ls-remote", str(self.host), "main").stdout[:40]
