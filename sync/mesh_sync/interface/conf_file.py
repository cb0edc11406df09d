"""wg0.conf on the disk: written whole, kept private, and looked after when somebody else changed it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mesh_sync import state as states
from mesh_sync.errors import DeviceError
from mesh_sync.files import write_atomically
from mesh_sync.interface.plan import Change
from mesh_sync.interface.wanted import Wanted
from mesh_sync.keys import public_key, read_private_key
from mesh_sync.node import Node
from mesh_sync.state import State


def write(node: Node, wanted: Wanted) -> str:
    """Write wg0.conf, keeping aside one that somebody else wrote; return its digest."""
    from mesh_sync.interface import conf

    text = conf.text(wanted, private_key(node, wanted))
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


def is_written(node: Node, wanted: Wanted) -> bool:
    from mesh_sync.interface import conf

    return read(node) == conf.text(wanted, private_key(node, wanted)) and not _is_open(node)


def is_ours(text: str) -> bool:
    from mesh_sync.interface import conf

    return conf.MARK in text.partition("\n")[0]


def _is_open(node: Node) -> bool:
    return bool(node.conf_file.stat().st_mode & 0o077)


def read(node: Node) -> str:
    try:
        return node.conf_file.read_text(errors="replace")
    except OSError:
        return ""


def private_key(node: Node, wanted: Wanted) -> str:
    """This node's private key: the one that the list means, or meant before a switch that is not confirmed yet.

    Raise DeviceError when neither file holds it.
    """
    file = node.private_key_file
    earlier = file.with_name(file.name + ".previous")
    for candidate in (file, earlier) if earlier.exists() else (file,):
        key = read_private_key(candidate)
        if public_key(key) == wanted.public_key:
            return key
    raise DeviceError(f"{file} does not belong to the public key of {wanted.name} in the list")


def put_back(node: Node, digest: str) -> None:
    """Have the wg0.conf with this digest again that ``write`` kept aside; none if there was none ("")."""
    aside = _aside(node)
    if not digest:
        node.conf_file.unlink(missing_ok=True)
    elif aside.exists() and states.digest(aside.read_text(errors="replace")) == digest:
        aside.replace(node.conf_file)


def _aside(node: Node) -> Path:
    return node.conf_file.with_suffix(".conf.before-mesh-sync")
