"""wireguard-go, for kernels without WireGuard: one daemon for each interface, with a control socket of its own."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from mesh_sync.errors import DeviceError
from mesh_sync.system.run import is_installed, run
from mesh_sync.wireguard import kernel_module

SOCKETS = Path("/run/wireguard")
TUN = Path("/dev/net/tun")
GOING = 2.0
"""Seconds a daemon may take to go after its interface was deleted."""


def start(interface: str) -> None:
    """Make ``interface``. Raise DeviceError when the program or its device is not there, CommandError when it fails.

    A daemon whose interface was deleted takes its socket away as the last thing; a new one that is there by then
    would lose its own. It gives its interface the default MTU once it has gone into the background, and answers after
    that: an MTU that was set before its first answer would not stay.
    """
    if not is_installed("wireguard-go"):
        raise DeviceError(
            "this kernel has no WireGuard, and wireguard-go is not installed",
            hint="install a kernel with WireGuard (5.6 or newer), or load its module: `modprobe wireguard`, for a "
            "container on the host; or install wireguard-go",
        )
    if problem := _tun_problem():
        raise DeviceError(
            f"this kernel has no WireGuard, and wireguard-go cannot have {TUN}: {problem}",
            hint="`modprobe wireguard` or `modprobe tun`, for a container on the host; start the container with "
            f"--device {TUN}",
        )
    SOCKETS.mkdir(mode=0o700, exist_ok=True)
    end = time.monotonic() + GOING
    while _is_served(SOCKETS / f"{interface}.sock") and time.monotonic() < end:
        time.sleep(0.02)
    run(["wireguard-go", interface])
    run(["wg", "show", interface, "listen-port"])


def _tun_problem() -> str:
    """Why the device of tunnels cannot be opened; empty if it can."""
    if not TUN.exists():
        kernel_module.load("tun")
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return str(error.strerror)
    return ""


def _is_served(path: Path) -> bool:
    """Whether a daemon still listens there; one that was killed leaves its socket behind."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
