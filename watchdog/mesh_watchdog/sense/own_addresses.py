"""Where this machine is in the network: its own addresses, and the IP versions by which it reaches others."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from attrs import evolve, field, frozen

from mesh_sync.errors import CommandError
from mesh_sync.system.run import run
from mesh_sync.wireguard.ip import NOT_SUPPORTED
from mesh_sync.wireguard.ways import ask
from mesh_watchdog.policy.observations import Surroundings

Paths = Mapping[str, tuple[str, str, str] | None]


@frozen
class OwnAddresses:
    """The surroundings, and the ways out: a new gateway is a change even when no address is.

    ``paths``: by which device, gateway and source address each place in use is reached, None where there is no route.
    """

    surroundings: Surroundings
    ways: frozenset[tuple[int, str, str]] = frozenset()
    default: bool = False
    paths: Paths = field(factory=dict)


def differ(before: OwnAddresses, after: OwnAddresses) -> bool:
    """Whether this machine is elsewhere, or takes another way to a place that it used before as well.

    Two uplinks may change their rank: by a metric, with every address and every gateway still there.
    """
    if (before.surroundings, before.ways) != (after.surroundings, after.ways):
        return True
    return any(after.paths[place] != path for place, path in before.paths.items() if place in after.paths)


def read(interface: str, places: Set[str] = frozenset(), mark: int = 0, *, had_default: bool = False) -> OwnAddresses:
    """Ask `ip`. ``interface``, the WireGuard one, does not count; nor does the way to a place through it.

    Raise CommandError, DeviceError or ValueError.
    """
    known = paths(places, mark)
    links = _json(["ip", "-json", "address", "show"])
    routes = {version: _json(["ip", f"-{version}", "-json", "route", "show", "table", "all"]) for version in (4, 6)}
    return evolve(parse(links, routes, interface, had_default=had_default), paths=known)


def paths(places: Set[str], mark: int) -> Paths:
    """By which way each place is reached. Raise DeviceError."""
    found = ask(places, mark).marked if places else {}
    return {place: found[place].path if place in found else None for place in places}


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
        if _is_for_all(str(route.get("dst", "")))
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


def _is_for_all(dst: str) -> bool:
    """Whether it is a default route, or one of few that make one: `2000::/3` is all of IPv6 that is given out."""
    length = dst.partition("/")[2]
    return dst == "default" or (bool(length) and int(length) <= 3)


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
