"""What became of the wg0.conf that was written last. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_sync.node.config import Node
from mesh_sync.node.state import digest
from mesh_sync.wireguard.desired import CONF_MARK
from mesh_sync.wireguard.plan import Change


def drift(node: Node, written: str) -> Iterator[Change]:
    """What became of the wg0.conf that was written last; ``written``: its digest, empty when none was."""
    name, text = node.conf_file.name, read(node)
    if not written or (digest(text) == written and not is_open(node)):
        return
    if not text:
        what = "was removed: written again"
    elif digest(text) != written:
        what = "was changed by hand: written again"
    else:
        what = "was readable by other users: mode reset to 0600"
    yield Change("conf", f"{name} {what}")


def read(node: Node) -> str:
    """Its text; empty when it is not there."""
    try:
        return node.conf_file.read_text(errors="replace")
    except OSError:
        return ""


def is_ours(text: str) -> bool:
    """Whether mesh-sync has written this wg0.conf."""
    return CONF_MARK in text.partition("\n")[0]


def is_open(node: Node) -> bool:
    """Whether other users can read it."""
    return bool(node.conf_file.stat().st_mode & 0o077)


def public_keys(conf: str) -> frozenset[str]:
    """The peers a wg-quick text names."""
    lines = (line.partition("=") for line in conf.splitlines())
    return frozenset(value.strip() for key, _, value in lines if key.strip().lower() == "publickey")
