"""Where this machine is in the network: its own addresses, and the IP versions by which it reaches others."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from mesh_sync.errors import CommandError
from mesh_sync.system.run import run
from mesh_sync.wireguard.ip import NOT_SUPPORTED
from mesh_watchdog.policy.events import Surroundings


@frozen
class OwnAddresses:
    """The surroundings, and the ways out: a new gateway is a change even when no address is."""

    surroundings: Surroundings
    ways: frozenset[tuple[int, str, str]] = frozenset()
    default: bool = False


def read(interface: str, *, had_default: bool = False) -> OwnAddresses:
    """Ask `ip`. ``interface``, the WireGuard one, does not count. Raise CommandError or ValueError."""
    links = _json(["ip", "-json", "address", "show"])
    routes = {version: _json(["ip", f"-{version}", "-json", "route", "show", "table", "all"]) for version in (4, 6)}
    return parse(links, routes, interface, had_default=had_default)


def parse(
    links: Sequence[Mapping[str, Any]],
    routes: Mapping[int, Sequence[Mapping[str, Any]]],
    interface: str,
    *,
    had_default: bool = False,
) -> OwnAddresses:
    """Given what `ip -json address` and `ip -json route show table all` print, return where this machine is.

    An IP version counts when it has a default route over a link that carries. On a machine that never had one
    (``had_default``), a lab or a closed network, any route beyond the machine counts.
    """
    others = [link for link in links if link and link.get("ifname") != interface]
    carrying = {str(link["ifname"]) for link in others if "LOWER_UP" in link.get("flags", ())}
    own = frozenset(ipaddress.ip_address(text) for link in others for text in _addresses(link))
    usable = {version: [route for route in shown if _carries(route, carrying)] for version, shown in routes.items()}
    ways = {
        (version, device, str(route.get("gateway", "")))
        for version, shown in usable.items()
        for route in shown
        for device in _devices(route)
        if route.get("dst") == "default"
    }
    versions = {version for version, _, _ in ways}
    if not versions and not had_default:
        versions = {version for version, shown in usable.items() if any(map(_leads_out, shown))}
    return OwnAddresses(Surroundings(own, frozenset(versions)), frozenset(ways), bool(ways) or had_default)


def _addresses(link: Mapping[str, Any]) -> Iterator[str]:
    for info in link.get("addr_info", ()):
        if info.get("scope") == "global" and "local" in info and not (info.get("tentative") or info.get("dadfailed")):
            yield str(info["local"])


def _devices(route: Mapping[str, Any]) -> Iterable[str]:
    hops = route.get("nexthops") or (route,)
    return [str(hop["dev"]) for hop in hops if "dev" in hop and not {"dead", "linkdown"} & set(hop.get("flags", ()))]


def _carries(route: Mapping[str, Any], carrying: set[str]) -> bool:
    return route.get("type", "unicast") == "unicast" and any(device in carrying for device in _devices(route))


def _leads_out(route: Mapping[str, Any]) -> bool:
    dst = str(route.get("dst", ""))
    return not dst.startswith(("fe80:", "ff00:", "127.", "169.254.", "multicast")) and "lo" not in _devices(route)


def _json(argv: list[str]) -> list[dict[str, Any]]:
    try:
        text = run(argv)
    except CommandError as error:
        if error.says(NOT_SUPPORTED):  # a kernel without IPv6
            return []
        raise
    shown: list[dict[str, Any]] = json.loads(text) if text.strip() else []
    return shown
