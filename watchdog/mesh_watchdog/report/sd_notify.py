"""sd_notify(3): tell systemd how it goes, where there is a systemd that wants to know."""

from __future__ import annotations

import os
import socket


def notify(*lines: str) -> None:
    """Send lines like READY=1. Does nothing outside systemd, and never fails."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), address)
    except OSError:
        return


def ping_interval() -> float:
    """Seconds between the pings that WatchdogSec asks for: half of it; 0 when it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    except ValueError:
        return 0.0
