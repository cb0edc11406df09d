"""Modules of the kernel, and what this process may do: why an interface cannot be made."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.errors import CommandError
from mesh_sync.system.run import run

STATUS = Path("/proc/self/status")
CAP_NET_ADMIN = 12


def load(module: str) -> bool:
    """Load a module. The kernel asks for one by itself where it can; in a container that may be left to the host."""
    try:
        run(["modprobe", module])
    except CommandError:
        return False
    return True


def may_change_the_network() -> bool:
    """Whether this process has CAP_NET_ADMIN, in the namespace that it is in."""
    effective = next(line for line in STATUS.read_text().splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) & 1 << CAP_NET_ADMIN)
