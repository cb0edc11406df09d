"""The nameservers behind a local one: whom a stub on this machine (127.0.0.53, dnsmasq) asks itself.

When the way to them leads through an exit that is dead, the stub answers nothing, and no mark can be set on questions
that it sends. Those who run such a stub leave the real nameservers in a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mesh_sync.names.nameservers import Nameserver
from mesh_sync.names.resolv_conf import parse_resolv_conf

FILES = (
    "run/systemd/resolve/resolv.conf",  # systemd-resolved(8): all that it knows, of whatever link
    "run/NetworkManager/no-stub-resolv.conf",  # NetworkManager.conf(5), with dns=dnsmasq or systemd-resolved
    "run/dnsmasq/resolv.conf",  # Debian's dnsmasq with resolvconf(8); openresolv
    "run/resolvconf/resolv.conf",  # resolvconf(8), when /etc/resolv.conf was written by hand
    "run/connman/resolv.conf",
    "etc/ppp/resolv.conf",  # pppd(8) with usepeerdns
)
"""resolv.conf(5) files with the nameservers that the network gave, below the root directory."""
DNSMASQ = ("etc/dnsmasq.conf", "etc/dnsmasq.d/*")


def upstreams(nameservers: Sequence[Nameserver], root: Path = Path("/")) -> tuple[Nameserver, ...]:
    """Given the nameservers of this machine, those behind them if all are local ones; none if they are not known.

    What dnsmasq was told by hand counts before what the network gave.
    """
    if not all(server.is_local for server in nameservers):
        return ()
    told = "\n".join(_read(path) for pattern in DNSMASQ for path in sorted(root.glob(pattern)))
    given = (parse_resolv_conf(_read(root / file)).nameservers for file in FILES)
    return next(filter(None, map(_outside, (dnsmasq_servers(told), *given))), ())


def dnsmasq_servers(text: str) -> tuple[Nameserver, ...]:
    """The `server=` lines of a dnsmasq.conf that are for every name; the port follows a `#`."""
    found = re.findall(r"^\s*server\s*=\s*([0-9A-Fa-f.:]+)(?:#(\d+))?\s*(?:#.*)?$", text, re.MULTILINE)
    lines = (parse_resolv_conf(f"nameserver {address}").nameservers for address, _ in found)
    return tuple(
        Nameserver(server.address, int(port or 53))
        for servers, (_, port) in zip(lines, found, strict=True)
        for server in servers
    )


def _outside(servers: Iterable[Nameserver]) -> tuple[Nameserver, ...]:
    return tuple(dict.fromkeys(server for server in servers if not server.is_local))


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
