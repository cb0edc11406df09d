"""wg0.conf on the disk: written whole, kept private, and looked after when somebody else changed it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key
from mesh_sync.node.state import State
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.plan import Change


def write(node: Node, desired: Desired) -> str:
    """Write wg0.conf, keeping aside one that somebody else wrote; return its digest."""
    from mesh_sync.wireguard import conf

    text = conf.text(desired, private_key(node, desired))
    present = read(node)
    if present and not is_ours(present):
        write_atomically(_aside(node), present)
    if present != text or _is_open(node):
        write_atomically(node.conf_file, text)
    return states.digest(text)


def drift(node: Node, state: State) -> Iterator[Change]:
    """What somebody else did to the wg0.conf that was written last."""
    name, text = node.conf_file.name, read(node)
    if not state.conf or (states.digest(text) == state.conf and not _is_open(node)):
        return
    if not text:
        what = "is gone: written anew"
    elif states.digest(text) != state.conf:
        what = "is not what was written last: written anew"
    else:
        what = "could be read by others: closed to them"
    yield Change("conf", f"{name} {what}")


def is_written(node: Node, desired: Desired) -> bool:
    from mesh_sync.wireguard import conf

    return read(node) == conf.text(desired, private_key(node, desired)) and not _is_open(node)


def is_ours(text: str) -> bool:
    from mesh_sync.wireguard import conf

    return conf.MARK in text.partition("\n")[0]


def _is_open(node: Node) -> bool:
    return bool(node.conf_file.stat().st_mode & 0o077)


def read(node: Node) -> str:
    try:
        return node.conf_file.read_text(errors="replace")
    except OSError:
        return ""


def put_back(node: Node, digest: str) -> None:
    """Have the wg0.conf with this digest again that ``write`` kept aside; none if there was none ("")."""
    aside = _aside(node)
    if not digest:
        node.conf_file.unlink(missing_ok=True)
    elif aside.exists() and states.digest(aside.read_text(errors="replace")) == digest:
        aside.replace(node.conf_file)


def _aside(node: Node) -> Path:
    return node.conf_file.with_suffix(".conf.before-mesh-sync")
