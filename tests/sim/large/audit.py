"""A user who talks to one peer after the other: how long does it take until a packet is answered?"""

from __future__ import annotations

from sim.large.figures import BACK
from sim.large.mesh import Mesh
from sim.large.sampled import Sampled

EVERY = 2.0
"""Seconds between two packets of a user who waits for an answer."""
GIVEN_UP = 3600.0


class Audit:
    """One conversation. The wait starts again when something disturbs the pair, or while it has no path."""

    def __init__(self, mesh: Mesh, one: Sampled, peer: str) -> None:
        self.mesh, self.one, self.peer = mesh, one, peer
        self.began = self.since = mesh.now
        self._go_on()

    def _go_on(self) -> None:
        mesh, one, peer = self.mesh, self.one, self.peer
        other = mesh.nodes.get(peer)
        if other is None or peer not in one.tunnels or one.name not in other.tunnels:
            return
        if one.answered.get(peer, -1.0) >= self.began:
            mesh.figures.audits += 1
            mesh.figures.waits.append((max(0.0, one.answered[peer] - self.since), f"{one.name} to {peer}"))
            return
        if not mesh.has_path(one, other) or mesh.internet.loss:
            self.since = mesh.now
        self.since = max(self.since, mesh.disturbed(one, other))
        if mesh.now - self.since > BACK:
            mesh.figures.audits += 1
            mesh.figures.lost.append(f"{one.name} to {peer} ({other.kind}) at {mesh.now:.0f}")
            return
        if mesh.now - self.began > GIVEN_UP:
            return
        one.greet(peer)
        mesh.after(EVERY, self._go_on)
