"""IPv6 that is switched off: what of an interface is possible without it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from attrs import evolve

from mesh_sync.wireguard.desired import Desired

PROC = Path("/proc")


class NoIPv6(Enum):
    """Why an interface cannot have IPv6 addresses."""

    KERNEL = "this kernel has no IPv6"
    SYSCTL = "IPv6 is switched off"
    MTU = "its MTU is below 1280"


def uses_ipv6(desired: Desired) -> bool:
    """Whether it has an address or a route of IPv6."""
    return any(":" in text for text in (*desired.addresses, *desired.routes, *desired.exit_routes))


def no_ipv6(interface: str) -> NoIPv6 | None:
    """Why ``interface``, or one that will be made, has no IPv6; None if it has."""
    settings = PROC / "sys/net/ipv6/conf"
    if not (PROC / "net/if_inet6").exists():
        return NoIPv6.KERNEL
    is_there = (PROC / "sys/net/ipv4/conf" / interface).exists()
    try:
        switch = settings / (interface if is_there else "default") / "disable_ipv6"
        return NoIPv6.SYSCTL if switch.read_text().strip() == "1" else None
    except OSError:
        return NoIPv6.MTU if is_there and settings.exists() else None


def possible(desired: Desired, interface: str) -> Desired:
    """What of ``desired`` this machine can have now; the allowed IPs stay as they are, which do no harm."""
    return without_ipv6(desired) if uses_ipv6(desired) and no_ipv6(interface) else desired


def without_ipv6(desired: Desired) -> Desired:
    """The same with IPv4 addresses and routes only."""
    return evolve(
        desired,
        addresses=_ipv4(desired.addresses),
        routes=_ipv4(desired.routes),
        exit_routes=_ipv4(desired.exit_routes),
        sysctls=frozenset(path for path in desired.sysctls if not path.startswith("net/ipv6/")),
    )


def _ipv4(texts: frozenset[str]) -> frozenset[str]:
    return frozenset(text for text in texts if ":" not in text)
