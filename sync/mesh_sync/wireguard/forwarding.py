"""The sysctls of a node that routes for its subnets, or relays for other peers.

Their earlier values are kept under `run` (they are as short-lived as the kernel's memory), so that `down` puts
everything back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from mesh_sync.errors import DeviceError
from mesh_sync.system.files import write_atomically
from mesh_sync.typed_toml import fields
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, mapping_of

PROC_SYS = Path("/proc/sys")


def live_sysctls(paths: Iterable[str]) -> frozenset[str]:
    """Those of ``paths`` that are on."""
    return frozenset(path for path in paths if _read(path) not in ("", "0"))


def turn_on(path: str, memory: Path) -> str:
    """Set a sysctl to 1 and remember in ``memory`` what it was. Return why that could not be done, empty if it was.

    One that is on already is left alone. A crash in between leaves it remembered.
    """
    if live_sysctls([path]):
        return ""
    before = remembered(memory)
    if path not in before:
        _remember(memory, {**before, path: _read(path)})
    try:
        if path == "net/ipv6/conf/all/forwarding":
            _keep_router_advertisements()
        (PROC_SYS / path).write_text("1")
    except OSError as error:
        _remember(memory, before)
        name = path.replace("/", ".")
        given = re.sub(r"^(net/ipv4/conf)/(?!all/)[^/]+", r"\1/default", path).replace("/", ".")
        fix = f"on a host run `sysctl -w {name}=1`, start a container with --sysctl {given}=1"
        return f"{name} is {_read(path)} and cannot be set to 1 ({error.strerror}): {fix}"
    return ""


def put_back(memory: Path, path: str) -> None:
    """Give a remembered sysctl its earlier value, and forget it."""
    before = remembered(memory)
    value = before.pop(path)
    if (PROC_SYS / path).exists():
        _write(path, value)
    _remember(memory, before)


def _remember(memory: Path, values: dict[str, str]) -> None:
    if values:
        write_atomically(memory, json.dumps(values))
    else:
        memory.unlink(missing_ok=True)


def remembered(memory: Path) -> dict[str, str]:
    """The earlier values, by path; empty when nothing was changed."""
    try:
        return _values_of(read_json(memory.read_bytes()))
    except (OSError, Wrong):
        return {}


_values_of = mapping_of(fields.text)


def _keep_router_advertisements() -> None:
    """A forwarding node ignores router advertisements unless told 2, and would lose its own default route."""
    for accept in (PROC_SYS / "net/ipv6/conf").glob("*/accept_ra"):
        if accept.read_text().strip() == "1":
            accept.write_text("2")


def _read(path: str) -> str:
    try:
        return (PROC_SYS / path).read_text().strip()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    try:
        (PROC_SYS / path).write_text(value)
    except OSError as error:
        name = path.replace("/", ".")
        raise DeviceError(f"sysctl {name} cannot be set to {value}: {error.strerror}") from None
