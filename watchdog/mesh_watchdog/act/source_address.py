"""A source address that sticks: a userspace WireGuard goes on sending from an address that is long gone.

The kernel's own looks whether its source address is still there. wireguard-go does not as long as the interface stays
the same (device/sticky_linux.go), and no answer ever comes back. Told its listening port again, it forgets them all;
no endpoint is touched, and no session is lost.
"""

from __future__ import annotations

from pathlib import Path

from mesh_sync.errors import MeshSyncError
from mesh_sync.node.config import Node
from mesh_sync.system.lock import locked
from mesh_sync.system.run import run
from mesh_watchdog.act.set_endpoint import LOCK_WAIT

SOCKETS = Path("/var/run/wireguard")


def is_userspace(interface: str) -> bool:
    """Whether the interface belongs to a process, which then has its control socket here (wg(8))."""
    return (SOCKETS / f"{interface}.sock").exists()


def forget_source(node: Node) -> str:
    """Make a userspace WireGuard choose its source addresses again. Return what went wrong, if anything did."""
    if not is_userspace(node.interface):
        return ""
    try:
        with locked(node.lock_file, LOCK_WAIT):
            port = run(["wg", "show", node.interface, "listen-port"]).strip()
            run(["wg", "set", node.interface, "listen-port", port])
    except MeshSyncError as error:
        return f"{node.interface} may go on sending from an address that is gone: {error.message}"
    return ""
