"""IP versions that the mesh has and this machine does not."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_sync.diagnose.trouble import WARNING, Trouble
from mesh_sync.findings import some
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.families import NoIPv6, no_ipv6, uses_ipv6


def family_troubles(desired: Desired | None, interface: str) -> Iterator[Trouble]:
    """Given what the list asks of this node, yield what of it is left out because ``interface`` has no IPv6."""
    if not desired or not uses_ipv6(desired) or not (why := no_ipv6(interface)):
        return
    left_out = sorted(text for text in desired.addresses | desired.routes | desired.exit_routes if ":" in text)
    fix = {
        NoIPv6.KERNEL: "boot without ipv6.disable=1 on the kernel's command line",
        NoIPv6.SYSCTL: f"sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.{interface}.disable_ipv6=0; "
        "for a container --sysctl net.ipv6.conf.all.disable_ipv6=0",
        NoIPv6.MTU: "set an mtu of 1280 or more in the list, or use no IPv6 in the mesh",
    }[why]
    text = f"{interface} has only IPv4: {why.value}; left out: {some(left_out)}"
    if any(":" in route for route in desired.exit_routes):
        text += "; IPv6 packets of this machine do not take the exit"
    yield Trouble("no-ipv6", text, fix, WARNING)
