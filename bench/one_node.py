"""What a node does from its bare repository to wg0.conf, in a process of its own: read, check, render, write.

Usage: python one_node.py BARE COMMIT DIRECTORY NAME; DIRECTORY holds the private key, and gets wg0.conf.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.reconcile.derive import desired_at
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.keys import read_private_key


def main() -> None:
    """Take the steps of `mesh-sync now` that need neither network nor interface."""
    bare, commit, place, name = sys.argv[1:]
    key = Path(place) / "private.key"
    node = Node(name=name, private_key_file=key, repository=Repository(urls=(bare,)), trust=Trust(mode="none"))
    desired = desired_at(node, commit, GitObjects(Path(bare)), datetime.now(UTC))
    write_atomically(Path(place) / "wg0.conf", conf.text(desired, read_private_key(key)))


if __name__ == "__main__":
    main()
