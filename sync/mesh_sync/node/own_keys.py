"""This node's own key: the file says which one it runs, and while it changes there are two that it may be.

`private_key_file` is the one truth about it. Beside it lie, during a rotation, the key to come (`.next`) and, until the
new one has proved itself, the one before (`.previous`). They take each other's place by renaming.
"""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.errors import ConfigError, DeviceError
from mesh_sync.node.config import Node
from mesh_sync.system.files import sync_folder, write_atomically
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.keys import public_key, read_private_key, write_private_key


def with_own_key(desired: Desired, node: Node) -> Desired:
    """While the list names two keys for this node, run the one in its file."""
    if not desired.other_key:
        return desired
    try:
        held = public_key(read_private_key(node.private_key_file))
    except ConfigError:  # the step that needs the key reports it
        return desired
    if held != desired.other_key:
        return desired
    return evolve(desired, public_key=held, other_key=desired.public_key)


def with_held_key(desired: Desired, node: Node) -> Desired:
    """What there was before, to be brought back: with the key in the file, if its own is not there any more.

    A key that cannot come back must not keep everything else from coming back.
    """
    desired = with_own_key(desired, node)
    try:
        private_key(node, desired)
    except ConfigError:  # the step that needs the key reports it
        return desired
    except DeviceError:
        return evolve(desired, public_key=public_key(read_private_key(node.private_key_file)))
    return desired


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

    @property
    def private(self) -> tuple[str, ...]:
        """The private half of it, and of the one before while that is kept. Raise ConfigError."""
        return tuple(map(read_private_key, (self.held, *([self.previous] if self.previous.exists() else []))))

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


def private_key(node: Node, desired: Desired) -> str:
    """This node's private key: the one that the list means, or meant before a switch that is not confirmed yet.

    Raise DeviceError when neither file holds it.
    """
    file = node.private_key_file
    earlier = file.with_name(file.name + ".previous")
    for candidate in (file, earlier) if earlier.exists() else (file,):
        key = read_private_key(candidate)
        if public_key(key) == desired.public_key:
            return key
    raise DeviceError(f"{file} does not belong to the public key of {desired.name} in the list")
