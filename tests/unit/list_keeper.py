"""A person with a working copy of a mesh repository, in which they use `mesh-sync peer` and git."""

from __future__ import annotations

from pathlib import Path

import git

from command import Ended, mesh_sync
from mesh_sync.wireguard import keys

AWS = """\
# The cloud side.
public_key = "{key}"   # since the move
addresses = [
    "10.0.0.1",  # the old one
    "fd00::1",
]

endpoint = "aws.example.org:51820"  # dynamic DNS
# An office of twelve.
subnets = ["192.168.10.0/24"]
"""


def key() -> str:
    return keys.public_key(keys.generate())


class Operator:
    """A person with a mesh repository: a git working copy with one peer, `aws`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "peers").mkdir(parents=True)
        (place / "mesh.toml").write_text('format = 1\nname = "test"\nnetworks = ["10.0.0.0/24", "fd00::/64"]\n')
        self.aws = AWS.format(key=key())
        self.put("aws", self.aws)
        self.git = git.Repo.init(place, initial_branch="main")
        self.git.git.add("--all")
        self.git.git.commit("--quiet", "-m", "begin")

    def put(self, name: str, text: str) -> None:
        (self.place / f"peers/{name}.toml").write_text(text)

    def file(self, name: str) -> str:
        return (self.place / f"peers/{name}.toml").read_text()

    def has(self, name: str) -> bool:
        return (self.place / f"peers/{name}.toml").exists()

    def peer(self, *words: object) -> Ended:
        return mesh_sync("peer", *words, "-C", self.place)

    def add(self, name: str, *words: object) -> Ended:
        return self.peer("add", name, "--public-key", key(), *words)
