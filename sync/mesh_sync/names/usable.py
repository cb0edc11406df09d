"""Which nameservers are asked, in which order, and by which way. Pure; for both programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import evolve

from mesh_sync.names.nameservers import Nameserver
from mesh_sync.wireguard.endpoint import Address
from mesh_sync.wireguard.underlay import Reach, Tunnel
from mesh_sync.wireguard.ways import Ways

_OUTSIDE, _MARKED, _CARRIED = range(3)


def usable(
    servers: Iterable[Nameserver],
    upstreams: Iterable[Nameserver],
    ways: Ways,
    mark: int,
    tunnel: Tunnel,
    carried: Callable[[Address], bool],
) -> tuple[Nameserver, ...]:
    """Those of ``servers`` that may answer, each with the mark of its questions.

    First those that are reached without the tunnel. A nameserver inside the tunnel comes last, and only while the peer
    is up that carries packets to it (``carried``); while that one is not, its questions go past an exit by ``mark``, if
    there is a way. Only then the ``upstreams`` count, which a nameserver on this machine asks itself.
    """

    def rank(server: Nameserver) -> tuple[int, Nameserver] | None:
        reach = tunnel.reach(server.ip, ways.plain.get(server.address))
        if server.is_local or reach is Reach.OUTSIDE:
            return _OUTSIDE, server
        if reach is Reach.INSIDE and carried(server.ip):
            return _CARRIED, server
        if mark and tunnel.reach(server.ip, ways.marked.get(server.address)) is Reach.OUTSIDE:
            return _MARKED, evolve(server, mark=mark)
        return None

    found = [ranked for server in servers if (ranked := rank(server))]
    found += [ranked for server in upstreams if (ranked := rank(server)) and ranked[0] == _MARKED]
    return tuple(server for _, server in sorted(found, key=lambda ranked: ranked[0]))


def addresses(*servers: Sequence[Nameserver]) -> list[str]:
    """What `ways.ask` has to be asked about."""
    return [server.address for group in servers for server in group if not server.is_local]
