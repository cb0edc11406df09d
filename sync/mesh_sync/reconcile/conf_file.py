"""wg0.conf on the disk: written whole, kept private, and looked after when somebody else changed it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key
from mesh_sync.node.state import digest
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.plan import Change


def write(node: Node, desired: Desired) -> str:
    """Write wg0.conf, keeping aside one that others wrote; return its digest."""
    text = conf.text(desired, private_key(node, desired))
    present = read(node)
    if present and not is_ours(present):
        write_atomically(_aside(node), present)
    if present != text or _is_open(node):
        write_atomically(node.conf_file, text)
    return digest(text)


def drift(node: Node, written: str) -> Iterator[Change]:
    """What became of the wg0.conf that was written last; ``written``: its digest, empty when none was."""
    name, text = node.conf_file.name, read(node)
    if not written or (digest(text) == written and not _is_open(node)):
        return
    if not text:
        what = "was removed: written again"
    elif digest(text) != written:
        what = "was changed by hand: written again"
    else:
        what = "was readable by other users: mode reset to 0600"
    yield Change("conf", f"{name} {what}")


def is_written(node: Node, desired: Desired) -> bool:
    return read(node) == conf.text(desired, private_key(node, desired)) and not _is_open(node)


def is_ours(text: str) -> bool:
    return conf.MARK in text.partition("\n")[0]


def _is_open(node: Node) -> bool:
    return bool(node.conf_file.stat().st_mode & 0o077)


def read(node: Node) -> str:
    try:
        return node.conf_file.read_text(errors="replace")
    except OSError:
        return ""


def put_back(node: Node, written: str) -> None:
    """Have the wg0.conf with the digest ``written`` again that `write` kept aside; none if there was none ("")."""
    aside = _aside(node)
    if not written:
        node.conf_file.unlink(missing_ok=True)
    elif aside.exists() and digest(aside.read_text(errors="replace")) == written:
        aside.replace(node.conf_file)


def _aside(node: Node) -> Path:
    return node.conf_file.with_suffix(".conf.before-mesh-sync")
