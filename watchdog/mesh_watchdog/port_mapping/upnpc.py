"""`upnpc` of miniupnpc, if it is installed: its command lines, and what it prints. Pure.

The XML of a router is parsed by that program and not by this one, which runs as root as well but is Python; what it
prints is partly the router's own words, so nothing counts that does not look exactly as it should.
"""

from __future__ import annotations

import re
from contextlib import suppress

from mesh_watchdog.port_mapping.answers import Granted, IPv4

PROGRAM = "upnpc"
MOST = 64 * 1024
"""Bytes it may print."""
LIFETIME = 7200
"""Seconds; asked for less often than with the other protocols, for this takes a process and seconds."""
_DESCRIPTION = re.compile(r"(?m)^ desc: (http://([0-9.]{7,15}):[0-9]{1,5}/[A-Za-z0-9._~/?=&%-]{0,200})$")
_REDIRECTED = re.compile(
    r"(?m)^external ([0-9.]{7,15}):([0-9]{1,5}) UDP is redirected to internal ([0-9.]{7,15}):([0-9]{1,5})"
    r" \(duration=([0-9]{1,10})\)$"
)


def search(own: IPv4) -> list[str]:
    """Look for routers from this address."""
    return [PROGRAM, "-m", str(own), "-s"]


def described(text: str, gateway: IPv4) -> str | None:
    """Where the gateway describes itself; whoever else in the LAN answered does not count."""
    return next((url for url, host in _DESCRIPTION.findall(text) if host == str(gateway)), None)


def add(url: str, own: IPv4, port: int, external: int) -> list[str]:
    return [
        PROGRAM, "-m", str(own), "-u", url, "-e", "WireGuard",
        "-a", str(own), str(port), str(external), "UDP", str(LIFETIME),
    ]  # fmt: skip


def added(text: str, own: IPv4, port: int) -> Granted | None:
    """What it says it has mapped, if that is our port."""
    for address, external, inner, internal, duration in _REDIRECTED.findall(text):
        with suppress(ValueError):
            if (inner, internal) == (str(own), str(port)) and 0 < int(external) < 65536:
                return Granted(IPv4(address), int(external), int(duration) or LIFETIME)
    return None


def remove(url: str, own: IPv4, external: int) -> list[str]:
    return [PROGRAM, "-m", str(own), "-u", url, "-d", str(external), "UDP"]
