"""wg0.conf on the disk: written whole, and kept private."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import private_key
from mesh_sync.node.state import digest
from mesh_sync.reconcile.drift import is_open, is_ours, read_conf
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.desired import Desired


def write(node: Node, desired: Desired) -> str:
    """Write wg0.conf, keeping aside one that others wrote; return its digest."""
    text = conf.text(desired, private_key(node, desired))
    present = read_conf(node)
    if present and not is_ours(present):
        write_atomically(_aside(node), present)
    if present != text or is_open(node):
        write_atomically(node.conf_file, text)
    return digest(text)


def is_written(node: Node, desired: Desired) -> bool:
    """Whether it says already what `write` would write."""
    return read_conf(node) == conf.text(desired, private_key(node, desired)) and not is_open(node)


def put_back(node: Node, written: str) -> None:
    """Have the wg0.conf with the digest ``written`` again that `write` kept aside; none if there was none ("")."""
    aside = _aside(node)
    if not written:
        node.conf_file.unlink(missing_ok=True)
    elif aside.exists() and digest(aside.read_text(errors="replace")) == written:
        aside.replace(node.conf_file)


def _aside(node: Node) -> Path:
    return node.conf_file.with_suffix(".conf.before-mesh-sync")
