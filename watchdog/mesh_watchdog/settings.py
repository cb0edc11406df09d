"""The `[watchdog]` table of node.toml. Attribute names are the keys of the file; every one has a default."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import ConfigError
from mesh_sync.findings import shown
from mesh_sync.node.config import Node
from mesh_sync.typed_toml.fields import between, text
from mesh_sync.typed_toml.table import Wrong, table


@frozen(kw_only=True)
class Settings:
    """``idle_interval``, ``memory_interval``, ``metrics_interval``, ``summary_interval``: seconds.

    ``metrics_file``: for node_exporter's textfile collector; ``metrics_listen``: a loopback address and a port.
    ``news``: whether peers are told of new commits, and what they tell makes this node look; ``serve_git``: whether
    peers may fetch the mesh repository from this node.
    """

    idle_interval: int = 5
    memory_interval: int = 60
    metrics_interval: int = 15
    summary_interval: int = 3600
    metrics_file: Path | None = None
    metrics_listen: tuple[str, int] | None = None
    news: bool = True
    serve_git: bool = True


def settings_of(node: Node, path: Path) -> Settings:
    """The node's `[watchdog]` table. Raise ConfigError with everything that is wrong; ``path`` is for its text."""
    try:
        return _settings(node.watchdog)
    except Wrong as wrong:
        raise ConfigError(wrong.lines(f"{path}:watchdog.")) from None


def _listen(value: object) -> tuple[str, int]:
    host, _colon, port = text(value).rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(f'{shown(value)} is not an address and a port, like "127.0.0.1:9586"') from None
    if not address.is_loopback:
        raise ValueError(f"{shown(value)}: metrics are served on a loopback address only")
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise ValueError(f"{shown(value)}: {shown(port)} is not a port number")
    return str(address), int(port)


_settings = table(
    Settings,
    idle_interval=between(1, 60, "a number of seconds"),
    memory_interval=between(1, 3600, "a number of seconds"),
    metrics_interval=between(1, 3600, "a number of seconds"),
    summary_interval=between(60, 86400, "a number of seconds"),
    metrics_listen=_listen,
)
