"""What the daemon knows, on disk for `status`: written by the daemon alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mesh_sync.errors import ConfigError, DeviceError, Locked, MeshSyncError
from mesh_sync.node.config import Node
from mesh_sync.system.files import write_atomically
from mesh_sync.system.lock import locked
from mesh_sync.typed_toml.reader import read_json

_MOMENTS = ("since", "heard", "probed")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STALE = 60.0
"""Seconds after which what is written there is not how things are."""


def boot_id() -> str:
    """What tells this boot from every other; monotonic times of one boot mean nothing in the next."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def status_file(node: Node) -> Path:
    return node.paths.run / f"{node.interface}.watchdog.json"


def alone_file(node: Node) -> Path:
    """The lock that a running watchdog holds."""
    return node.paths.run / f"{node.interface}.watchdog.lock"


def memory_file(node: Node) -> Path:
    return node.paths.state / node.interface / "watchdog.json"


def write(path: Path, view: Mapping[str, Any]) -> str:
    """Write it. Return what went wrong, if anything did."""
    try:
        write_atomically(path, json.dumps(view, separators=(",", ":")), durable=False)
    except MeshSyncError as error:
        return error.message
    return ""


def read(node: Node) -> dict[str, Any]:
    """What the last watchdog wrote, with moments as Unix time, and whether it is `running` and up to date.

    Raise DeviceError when none ever ran since the boot.
    """
    path = status_file(node)
    try:
        view: dict[str, Any] = read_json(path.read_bytes())
        moment, same_boot = time.monotonic(), view["boot"] == boot_id()
        view["age"] = moment - view["written"] if same_boot else None
        offset = time.time() - moment if same_boot else 0.0
        for table, keys in [(view, ("started", "written")), *((peer, _MOMENTS) for peer in view["peers"])]:
            for key in keys:
                table[key] = table[key] + offset if same_boot and table[key] is not None else None
    except FileNotFoundError:
        text = f"no watchdog has run for {node.interface} since this machine was booted"
        raise DeviceError(text, hint="systemctl enable --now mesh-watchdog") from None
    except OSError as error:
        raise DeviceError(f"{path} cannot be read: {error.strerror}", hint="run it as root") from None
    except (ValueError, TypeError, KeyError) as error:
        raise DeviceError(f"{path} is broken: {error}", hint="systemctl restart mesh-watchdog") from None
    view["running"] = is_running(node)
    view["stale"] = view["age"] is None or view["age"] > STALE
    return view


@contextmanager
def alone(node: Node) -> Iterator[None]:
    """Be the only watchdog of the interface. Raise Locked when there is one."""
    try:
        with locked(alone_file(node), 0):
            yield
    except Locked:
        hint = "`mesh-watchdog status` shows what it does"
        raise Locked(f"another mesh-watchdog watches {node.interface}", hint=hint) from None


def is_running(node: Node) -> bool:
    """Whether a watchdog holds its lock."""
    if not alone_file(node).exists():
        return False
    try:
        with locked(alone_file(node), 0):
            return False
    except Locked:
        return True
    except (ConfigError, DeviceError):  # not ours to open: believe the file's age
        return True
