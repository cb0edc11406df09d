"""A new commit of which peers have told: mesh-watchdog writes it down, the next run of `mesh-sync now` reads it."""

from __future__ import annotations

import re

from attrs import frozen

from mesh_sync.node.config import Node
from mesh_sync.system.files import write_atomically
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import table

PORT = 9418
"""Where a node serves the repository on its mesh addresses: that of git's own protocol (git-daemon(1))."""

BRANCH = "mesh"
"""What the branch is called there, whatever a node's own remote calls it."""


@frozen
class Teller:
    """A peer that has told of the commit, by its name, and where it serves it: a mesh address."""

    name: str
    address: str

    @property
    def url(self) -> str:
        """Its repository, which the watchdog serves (mesh_watchdog.news)."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"git://{host}/mesh"


@frozen
class News:
    """``commit``: a hash; nothing says that there is such a commit."""

    commit: str
    tellers: tuple[Teller, ...] = ()


def load(node: Node) -> News | None:
    """The news, if there is any."""
    try:
        found: News = _news(read_json(node.news_file.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    sound = _COMMIT.fullmatch(found.commit) and all(_ADDRESS.fullmatch(teller.address) for teller in found.tellers)
    return found if sound else None


def save(node: Node, news: News) -> None:
    """Write it down. Raise DeviceError when it cannot be written."""
    write_atomically(node.news_file, as_json(news), durable=False)


_news = table(News)
_COMMIT, _ADDRESS = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f.:]{2,45}")
