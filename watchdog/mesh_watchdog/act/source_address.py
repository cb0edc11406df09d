"""A source address that sticks: a userspace WireGuard goes on sending from an address that is long gone.

The kernel's own looks whether its source address is still there. wireguard-go does not as long as the interface stays
the same (device/sticky_linux.go), and no answer ever comes back. Told its listening port again, it forgets them all;
no endpoint is touched, and no session is lost.
"""

from __future__ import annotations

from mesh_sync.node.config import Node
from mesh_sync.system.run import run
from mesh_sync.wireguard.userspace import SOCKETS
from mesh_watchdog.act.changing import Changed, under_lock


def forget_source(node: Node) -> str:
    """Make a userspace WireGuard choose its source addresses again. Return what went wrong, if anything did."""
    if not (SOCKETS / f"{node.interface}.sock").exists():  # the kernel's
        return ""

    def tell_the_port_again() -> Changed:
        port = run(["wg", "show", node.interface, "listen-port"]).strip()
        run(["wg", "set", node.interface, "listen-port", port])
        return Changed()

    problem = under_lock(node, tell_the_port_again).problem
    return f"{node.interface} may go on sending from an address that is gone: {problem}" if problem else ""
