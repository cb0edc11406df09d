"""Which of a peer's declared endpoints this machine can reach, without the tunnel. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mesh_sync.names.nameservers import Answer
from mesh_sync.wireguard.elsewhere import nowhere
from mesh_sync.wireguard.endpoint import Address, Endpoint
from mesh_sync.wireguard.underlay import Reach, Tunnel
from mesh_sync.wireguard.ways import Way


def choose(
    endpoints: Sequence[Endpoint], answers: Mapping[str, Answer], ways: Mapping[str, Way], tunnel: Tunnel, own_port: int
) -> tuple[str, str]:
    """Given a peer's declared endpoints, return the numeric one to use, or ("", why there is none).

    The first address counts that another machine can have and to which there is a way outside the tunnel. At this
    machine's own addresses another peer may listen, but not on ``own_port``.
    """
    problems = []
    for endpoint in endpoints:
        host, answer = endpoint.host, _answer(endpoint, answers)
        if answer.problem:
            problems.append(f"{host}: {answer.problem}")
        for address in answer.addresses:
            way = ways.get(str(address))
            reach = tunnel.reach(address, way)
            if what := nowhere(address):
                problems.append(f"{host}: no other machine can be at {address}: it is {what}")
            elif reach is Reach.INSIDE:
                problems.append(f"{host}: from here {address} is reached only through the mesh itself")
            elif reach is Reach.NOT:
                problems.append(f"{host}: this machine has no route to {address}")
            elif way and way.local and endpoint.port == own_port:
                problems.append(f"{host}: {address} is this machine itself, on its own port {own_port}")
            else:
                return str(Endpoint(str(address), endpoint.port)), ""
    return "", "; ".join(problems)


def addresses(declared: Iterable[Sequence[Endpoint]], answers: Mapping[str, Answer]) -> Iterator[Address]:
    """All that `choose` has to know the ways to."""
    for endpoints in declared:
        for endpoint in endpoints:
            yield from (address for address in _answer(endpoint, answers).addresses if not nowhere(address))


def _answer(endpoint: Endpoint, answers: Mapping[str, Answer]) -> Answer:
    literal = endpoint.address
    return Answer(endpoint.host, (literal,)) if literal else answers.get(endpoint.host, Answer(endpoint.host))
