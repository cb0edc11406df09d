"""hosts(5): names that this machine itself gives to addresses. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from mesh_sync.wireguard.endpoint import Address


def parse_hosts(text: str) -> Mapping[str, tuple[Address, ...]]:
    """The addresses of each name, in lower case, IPv4 before IPv6; a line without an address is skipped.

    All lines with a name count, as with `multi on` in host.conf(5), which is how distributions ship it.
    """
    found: dict[str, list[Address]] = {}
    for line in text.split("\n"):
        address, *names = line.partition("#")[0].split() or ("",)
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            continue
        if "%" not in address:
            for name in names:
                found.setdefault(name.lower(), []).append(parsed)
    return {name: tuple(sorted(dict.fromkeys(several), key=lambda one: one.version)) for name, several in found.items()}
