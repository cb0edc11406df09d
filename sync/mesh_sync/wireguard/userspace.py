"""wireguard-go, for kernels without WireGuard: one daemon for each interface, with a control socket of its own."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.system.run import run

SOCKETS = Path("/run/wireguard")
GOING = 2.0
"""Seconds a daemon may take to go after its interface was deleted."""


def start(interface: str) -> None:
    """Make ``interface``. Raise DeviceError when the program is not there, CommandError when it fails.

    A daemon whose interface was deleted takes its socket away as the last thing; a new one that is there by then
    would lose its own. It gives its interface the default MTU once it has gone into the background, and answers after
    that: an MTU that was set before its first answer would not stay.
    """
    SOCKETS.mkdir(mode=0o700, exist_ok=True)
    end = time.monotonic() + GOING
    while _is_served(SOCKETS / f"{interface}.sock") and time.monotonic() < end:
        time.sleep(0.02)
    try:
        run(["wireguard-go", interface])
    except CommandError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        raise DeviceError(
            "this kernel has no WireGuard, and wireguard-go is not installed",
            hint="install a kernel with WireGuard (5.6 or newer), or wireguard-go",
        ) from None
    run(["wg", "show", interface, "listen-port"])


def _is_served(path: Path) -> bool:
    """Whether a daemon still listens there; one that was killed leaves its socket behind."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
