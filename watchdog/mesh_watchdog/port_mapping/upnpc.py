"""`upnpc` of miniupnpc, if it is installed: its command lines, and what it prints. Pure.

That program parses the router's XML, so that this one does not have to. What it prints partly comes from the router, so
only lines that look exactly as expected count.
"""

from __future__ import annotations

import re
from contextlib import suppress

from mesh_watchdog.port_mapping.answers import Granted, IPv4

PROGRAM = "upnpc"
MOST = 64 * 1024
"""Bytes that it may print."""
LIFETIME = 7200
"""Seconds; longer than with the other protocols, as a renewal takes a process and some seconds."""
_DESCRIPTION = re.compile(r"(?m)^ desc: (http://([0-9.]{7,15}):[0-9]{1,5}/[A-Za-z0-9._~/?=&%-]{0,200})$")
_REDIRECTED = re.compile(
    r"(?m)^external ([0-9.]{7,15}):([0-9]{1,5}) UDP is redirected to internal ([0-9.]{7,15}):([0-9]{1,5})"
    r" \(duration=([0-9]{1,10})\)$"
)


def search(own: IPv4) -> list[str]:
    """Look for routers from this address."""
    return [PROGRAM, "-m", str(own), "-s"]


def described(text: str, gateway: IPv4) -> str | None:
    """The URL of the gateway's description; answers of other machines in the LAN do not count."""
    return next((url for url, host in _DESCRIPTION.findall(text) if host == str(gateway)), None)


def add(url: str, own: IPv4, port: int, external: int) -> list[str]:
    return [
        PROGRAM, "-m", str(own), "-u", url, "-e", "WireGuard",
        "-a", str(own), str(port), str(external), "UDP", str(LIFETIME),
    ]  # fmt: skip


def added(text: str, own: IPv4, port: int) -> Granted | None:
    """The mapping that it says it made, if that is for our port."""
    for address, external, inner, internal, duration in _REDIRECTED.findall(text):
        with suppress(ValueError):
            if (inner, internal) == (str(own), str(port)) and 0 < int(external) < 65536:
                return Granted(IPv4(address), int(external), int(duration) or LIFETIME)
    return None


def remove(url: str, own: IPv4, external: int) -> list[str]:
    return [PROGRAM, "-m", str(own), "-u", url, "-d", str(external), "UDP"]
