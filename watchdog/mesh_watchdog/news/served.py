"""The repository that peers may fetch from: one branch at the applied commit, and the objects of the bare copy.

Nothing of the bare copy's own refs is in it: a head that was fetched and is not trusted has no name here, and what has
no name is not given out by the protocol that is spoken (gitprotocol-pack(5); a client is not let choose a newer one).
"""

from __future__ import annotations

from pathlib import Path

from mesh_sync.node.config import Node
from mesh_sync.node.news import BRANCH
from mesh_sync.system.files import write_atomically
from mesh_sync.system.run import environment, limited

MEMORY = 48
"""MiB of its own memory that each git process may have."""
SILENCE = 5
"""Seconds without a word from the client after which git ends."""
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
_HEAD = f"ref: refs/heads/{BRANCH}\n"
_SETTINGS = (
    "uploadpack.allowAnySHA1InWant=false", "uploadpack.allowFilter=false", "uploadpack.allowRefInWant=false",
    "protocol.version=0", "core.hooksPath=/dev/null", "core.fsmonitor=false",
    "core.packedGitWindowSize=4m", "core.packedGitLimit=16m", "core.deltaBaseCacheLimit=4m",
    "pack.threads=1", "pack.windowMemory=8m", "gc.auto=0",
)  # fmt: skip


def point_at(node: Node, commit: str) -> None:
    """Serve this commit from now on. Raise DeviceError when that cannot be written."""
    place = node.served_repository
    files = {
        "config": _CONFIG,
        "objects/info/alternates": f"{node.bare_repository.absolute()}/objects\n",
        f"refs/heads/{BRANCH}": f"{commit}\n",
        "HEAD": _HEAD,
    }
    for name, content in files.items():
        path = place / name
        if not path.exists() or path.read_text() != content:
            write_atomically(path, content, durable=False)


def command(place: Path) -> list[str]:
    """The program that serves it, on its standard input and output."""
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    words = ["git", "--no-replace-objects", *settings, "upload-pack", "--strict", f"--timeout={SILENCE}", str(place)]
    return limited(words, memory=MEMORY, file=1)


def surroundings() -> dict[str, str]:
    """Its environment: the settings of no user, and no word of the client's."""
    return environment({"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"})
