"""This node's own key: the file says which one it runs, and while it changes there are two that it may be.

`private_key_file` is the one truth about it. Beside it lie, during a rotation, the key to come (`.next`) and, until the
new one has proved itself, the one before (`.previous`). They take each other's place by renaming.
"""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.errors import ConfigError, DeviceError
from mesh_sync.files import sync_folder, write_atomically
from mesh_sync.interface import conf_file
from mesh_sync.interface.wanted import Wanted
from mesh_sync.keys import public_key, read_private_key, write_private_key
from mesh_sync.node import Node


def with_own_key(wanted: Wanted, node: Node) -> Wanted:
    """While the list names two keys for this node, run the one in its file."""
    if not wanted.other_key:
        return wanted
    try:
        held = public_key(read_private_key(node.private_key_file))
    except ConfigError:  # whoever needs the key will say so
        return wanted
    if held != wanted.other_key:
        return wanted
    return evolve(wanted, public_key=held, other_key=wanted.public_key)


def with_held_key(wanted: Wanted, node: Node) -> Wanted:
    """What there was before, to be brought back: with the key in the file, if its own is not there any more.

    A key that cannot come back must not keep everything else from coming back.
    """
    wanted = with_own_key(wanted, node)
    try:
        conf_file.private_key(node, wanted)
    except ConfigError:  # whoever needs the key will say so
        return wanted
    except DeviceError:
        return evolve(wanted, public_key=public_key(read_private_key(node.private_key_file)))
    return wanted


@frozen
class KeyFiles:
    """The node's key file and its two neighbours."""

    held: Path

    @property
    def next(self) -> Path:
        return self.held.with_name(self.held.name + ".next")

    @property
    def previous(self) -> Path:
        return self.held.with_name(self.held.name + ".previous")

    def make_next(self) -> str:
        """The public half of the key to come; made if it is not there. Raise ConfigError when the file is no good."""
        if self.next.exists() and (key := public_key(read_private_key(self.next))) != self.public:
            return key
        return write_private_key(self.next)

    @property
    def public(self) -> str:
        """The key that this node runs."""
        return public_key(read_private_key(self.held))

    def switch(self) -> None:
        """The next key becomes the node's: the rename is the moment."""
        write_atomically(self.previous, read_private_key(self.held) + "\n")
        self._move(self.next)

    def switch_back(self) -> None:
        """The previous key becomes the node's again; the other one is the next once more."""
        write_atomically(self.next, read_private_key(self.held) + "\n")
        self._move(self.previous)

    def tidy(self) -> None:
        """The new key has proved itself: the one before goes, and copies that an interrupted switch left."""
        self.previous.unlink(missing_ok=True)
        if self.next.exists() and public_key(read_private_key(self.next)) == self.public:
            self.next.unlink()
        sync_folder(self.held.parent)

    @property
    def is_on_trial(self) -> bool:
        """Whether the previous key is still kept. A copy of the present one is what an interrupted switch left."""
        return self.previous.exists() and public_key(read_private_key(self.previous)) != self.public

    def _move(self, source: Path) -> None:
        source.replace(self.held)
        sync_folder(self.held.parent)
