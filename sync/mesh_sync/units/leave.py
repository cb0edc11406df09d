"""`mesh-sync leave`: the way out. Units, interface and what it did as a gateway go; keys and node.toml go on demand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import DeviceError, MeshSyncError
from mesh_sync.node.config import DEFAULT_CONFIG, Node
from mesh_sync.reconcile.up_down import take_down
from mesh_sync.units.machine import Place, carry_out, look, sources
from mesh_sync.units.plan import leaving

Note = Callable[[str], None]
BESIDE_CONFIG = ("allowed_signers", "known_hosts")
"""What `join` writes beside node.toml, and node.toml may name elsewhere."""


@frozen
class Left:
    """``failed``: what could not be taken away, in sentences; ``acted``: whether there was anything to take away;
    ``kept``: drop-ins of the units, which are not ours.
    """

    failed: tuple[str, ...]
    acted: bool
    kept: tuple[Path, ...]


def leave(node: Node | None, note: Note, place: Place | None = None) -> Left:
    """Stop and remove the units, take the interface down. Each step is tried whatever became of those before it.

    ``node``: None where there is no node.toml: the units go all the same.
    """
    place = place or Place()
    names = tuple(sources())
    steps = leaving(look(place, names), names)
    if not place.has_systemd:
        steps = tuple(step for step in steps if not str(step).startswith("systemctl"))
    stops = sum(str(step).startswith(("systemctl stop", "systemctl disable")) for step in steps)
    acted = bool(steps)

    def told(text: str) -> None:
        nonlocal acted
        acted = True
        note(f"+ {text}")

    failed = list(carry_out(place, steps[:stops], note))
    if node:
        try:  # whatever the units have done: one that had failed does nothing when it is stopped
            take_down(node, told)
        except MeshSyncError as error:
            failed.append(error.message)
    failed += carry_out(place, steps[stops:], note)
    kept = tuple(folder for name in names if (folder := place.own / f"{name}.d").is_dir())
    return Left(tuple(failed), acted, kept)


def purge(node: Node, note: Note, config: Path = DEFAULT_CONFIG) -> None:
    """Remove this machine's keys, what it remembers, and last node.toml. Raise DeviceError when something stays."""
    try:
        for path in _everything(node, config):
            if path.is_dir() and not path.is_symlink():
                note(f"+ remove {path}/")
                shutil.rmtree(path)
            elif path.exists() or path.is_symlink():
                note(f"+ remove {path}")
                path.unlink()
        for folder in (config.parent, node.paths.state, node.news_file.parent, node.paths.run):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise DeviceError(f"{error.filename} cannot be removed: {error.strerror}") from None


def _everything(node: Node, config: Path) -> Iterator[Path]:
    """What belongs to this node alone, the most secret first."""
    for key in (node.private_key_file, node.signing_key_file):
        yield key
        yield from (key.with_name(key.name + suffix) for suffix in (".next", ".previous", ".pub"))
    if node.mesh_secret_file:
        yield node.mesh_secret_file
    yield node.conf_file
    yield node.state_file.parent
    yield from sorted(node.paths.run.glob(f"{node.interface}.*"))
    yield from (node.news_file, node.trust.allowed_signers)
    yield from (config.parent / name for name in BESIDE_CONFIG)
    yield config
