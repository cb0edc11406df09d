"""Routes into the tunnel that cover what has to stay outside: an endpoint, a nameserver, the git host.

They are treated like a default route. In the main table `203.0.113.0/24` behind a peer whose endpoint is 203.0.113.5
would lead the tunnel into itself; in the table of exits it does not, for the tunnel's own packets pass that one by.
Addresses are text, so that an idle run needs no more than this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.network_text import as_number, start_of


def candidates(desired: Desired) -> frozenset[str]:
    """The routes that may cover something: those to networks behind peers. Never the mesh's own networks."""
    own = {address.partition("/")[0] for address in desired.addresses}
    own |= {address.partition("/")[0] for peer in desired.peers for address in peer.addresses}
    routes = desired.routes | desired.covering
    table = _Table(routes)
    return routes - {route for address in own for route in table.over(address)}


def may_cover(routes: Iterable[str], addresses: Iterable[str]) -> bool:
    """Whether one of the addresses lies in a route, or other addresses may, for a route is not for private use."""
    table = _Table(routes)
    return table.has_public or any(True for address in addresses for _ in table.over(address))


def is_private(network: str) -> bool:
    """Whether the whole network is for private use: nothing that is known to others lies in it."""
    return _is_private(*start_of(network))


def _is_private(bits: int, number: int, length: int) -> bool:
    return any(of == bits and length >= most and number >> bits - most == first for of, first, most in _PRIVATE)


def covered(routes: Iterable[str], addresses: Iterable[str]) -> dict[str, str]:
    """Of these addresses those that lie in a route, each with the longest such."""
    table = _Table(routes)
    longest = ((address, next(table.over(address), "")) for address in addresses)
    return {address: route for address, route in longest if route}


class _Table:
    """Routes by their lengths: thousands of addresses against thousands of routes stay fast."""

    def __init__(self, routes: Iterable[str]) -> None:
        lengths: dict[tuple[int, int], dict[int, str]] = {}
        for route in routes:
            bits, first, length = start_of(route)
            lengths.setdefault((bits, length), {})[first >> bits - length] = route
        self._lengths = sorted(lengths.items(), key=lambda entry: entry[0], reverse=True)

    @property
    def has_public(self) -> bool:
        """Whether one of them is not for private use: their first bits tell, of which there are few."""
        for (bits, length), routes in self._lengths:
            short = min(length, _LONGEST_PRIVATE)
            for start in {number >> length - short for number in routes}:
                if not _is_private(bits, start << bits - short, short):
                    return True
        return False

    def over(self, address: str) -> Iterator[str]:
        """The routes that an address lies in, the longest first."""
        bits, number = as_number(address)
        for (of, length), routes in self._lengths:
            if of == bits and (route := routes.get(number >> bits - length)):
                yield route


def set_apart(
    desired: Desired, kept: Iterable[str], over: Mapping[str, str], outside: Mapping[str, int | None]
) -> Desired:
    """Put the routes that cover something into the table of exits.

    ``over``: the addresses that are needed, each with our route to it; ``outside``: the length of the route by which
    each is reached without the tunnel, None without any. What is ``kept`` was put there before, and stays. A default
    route leads to no private network: that a nameserver is in one behind a peer is no reason.
    """
    found = set(kept)
    for address, route in over.items():
        length = outside.get(address)
        if (
            length is not None
            and length < int(route.partition("/")[2])
            and (length or not is_private(f"{address}/{128 if ':' in address else 32}"))
        ):
            found.add(route)
    whole = desired.routes | desired.covering
    apart = frozenset(found) & whole & candidates(desired) if found else frozenset()
    return evolve(desired, routes=whole - apart, exit_routes=desired.exits | apart, covering=apart)


def lies_in(address: str, network: str) -> bool:
    """Whether an address, or the first one of a network, lies in a network. ValueError if it is none."""
    start, length = network.partition("/")[::2]
    (bits, number), (of, first) = as_number(address), as_number(start)
    shift = bits - int(length)
    return bits == of and number >> shift == first >> shift


def _private() -> Iterator[tuple[int, int, int]]:
    """The networks for private use, each as its IP version's bits, its own leading bits, and how many these are."""
    for network in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"):
        bits, first, length = start_of(network)
        yield bits, first >> bits - length, length


_PRIVATE = tuple(_private())
_LONGEST_PRIVATE = max(length for _, _, length in _PRIVATE)
