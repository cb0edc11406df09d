"""How commits reach two thousand nodes: each of them by the real policy of news, over a transport that is modelled.

A modelled node whose timer would find nothing new is not stepped: that would change nothing, and is only counted.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mesh_watchdog.policy.news import Acts, Ask, Heard, Learnt, News, Pull, Tell, hear, learn, step, wait
from mesh_watchdog.policy.observations import Declared
from sim.large.modelled import Modelled
from sim.large.sampled import Sampled

if TYPE_CHECKING:
    from sim.large.mesh import Mesh

MINUTE = 60.0
PACKET = 0.05
RUN = (0.25, 0.6)
"""Seconds from the start of a run to the applied commit."""
KNOWN_PEERS = 100
"""A modelled node chooses whom it tells among so many of its peers, which are drawn each time: of two thousand the
choice would be the same, and take as long as everything else."""


class Gossip:
    """``lists``: the peers by commit, the newest last; ``has``: the place in it of what a node applied."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh, self.chance = mesh, random.Random(mesh.seed)
        self.lists: list[Mapping[str, Declared]] = [dict(mesh.declared)]
        self.pushed: list[float] = [0.0]
        self.has: dict[str, int] = {}
        self.news: dict[str, News] = {}
        self.host, self.host_changed = True, 0.0
        self._polls: set[str] = set()
        self._runs: set[str] = set()

    @staticmethod
    def commit(index: int) -> str:
        return f"{index:040x}"

    def applied(self, name: str) -> str:
        return self.commit(self.has[name])

    def list_of(self, name: str) -> dict[str, Declared]:
        """The peers of a node by the commit that it has."""
        return {key: one for key, one in self.lists[self.has[name]].items() if key != name}

    @property
    def newest(self) -> int:
        return len(self.lists) - 1

    def join(self, name: str, index: int) -> None:
        self.has[name] = index
        self.news[name], _ = learn(News(), Learnt(self.commit(index)), (), name, self.mesh.now)

    def push(self, peers: Mapping[str, Declared]) -> None:
        self.lists.append(peers)
        self.pushed.append(self.mesh.now)
        self.wake_all()

    def wake_all(self) -> None:
        for name in list(self.has):
            self.wake(name)

    def wake(self, name: str) -> None:
        """Its timer runs while it lacks something."""
        if name in self.has and self.has[name] < self.newest and name not in self._polls:
            self._polls.add(name)
            phase = zlib.crc32(name.encode()) % 60_000 / 1000
            self.mesh.after((phase - self.mesh.now) % MINUTE, lambda: self._poll(name))

    def leave(self, name: str) -> None:
        self.has.pop(name, None)
        self.news.pop(name, None)

    # -- a run of mesh-sync

    def _poll(self, name: str) -> None:
        self._polls.discard(name)
        if name not in self.has or not self.mesh.nodes[name].is_on:
            return
        if self._reaches_host(name):
            self._run(name, self.newest)
        else:
            self._learn(name, Learnt(self.applied(name), alone=True))
        if self.has[name] < self.newest:
            self._polls.add(name)
            self.mesh.after(MINUTE, lambda: self._poll(name))

    def _reaches_host(self, name: str) -> bool:
        """It is on the side of those that are not on the island."""
        if not self.host or id(self.mesh.nodes[name].site) in self.mesh.internet.island:
            return False
        self.mesh.figures.fetched(name, self.mesh.now)
        return True

    def pull(self, name: str, tellers: tuple[str, ...]) -> None:
        """Its watchdog has it look: at those who told of the commit, then at the host."""
        self.mesh.figures.pulled(name, self.mesh.now)
        there = [self.has[each] for each in tellers if each in self.has and self._reaches(name, each)]
        if there and max(there) > self.has[name]:
            self._run(name, max(there))
        elif self._reaches_host(name):
            self._run(name, self.newest)

    def _run(self, name: str, index: int) -> None:
        if name in self._runs:
            return
        self._runs.add(name)
        self.mesh.after(self.chance.uniform(*RUN), lambda: self._apply(name, index))

    def _apply(self, name: str, index: int) -> None:
        self._runs.discard(name)
        if name not in self.has or not (node := self.mesh.nodes[name]).is_on or index <= self.has[name]:
            return
        self.has[name] = index
        self.mesh.figures.applied(name, index)
        if isinstance(node, Sampled):
            node.apply(self.list_of(name))
        self._learn(name, Learnt(self.commit(index), alone=not self.host))
        self.wake(name)

    # -- its watchdog

    def _learn(self, name: str, learnt: Learnt) -> None:
        node = self.mesh.nodes[name]
        if isinstance(node, Sampled):
            node._observe(learnt)
            return
        self.news[name], acts = learn(self.news[name], learnt, self._some_peers(name), name, self.mesh.now)
        self._carry_out(name, acts)

    def hear(self, name: str, teller: str, commit: str) -> None:
        """A modelled node is told, or answered."""
        if name in self.has and self.mesh.nodes[name].is_on:
            self.news[name], acts = hear(self.news[name], Heard(teller, commit), self.mesh.now)
            self._carry_out(name, acts)

    def _step(self, name: str) -> None:
        if name in self.has and self.mesh.nodes[name].is_on:
            self.news[name], acts = step(self.news[name], self._some_peers(name), name, self.mesh.now)
            self._carry_out(name, acts)

    def _carry_out(self, name: str, acts: Acts) -> None:
        for act in acts:
            if isinstance(act, Pull):
                self.pull(name, act.tellers)
            elif isinstance(act, Ask):
                self._send(name, act.peer, "which")
            elif isinstance(act, Tell):
                self.mesh.figures.told(name, len(act.peers), self.mesh.now)
                for peer in act.peers:
                    self._send(name, peer, f"news {act.commit}")
        known = self.news[name]
        if known.asking is not None and self.has[name] == self.newest:  # what it asked for from now on would be no news
            known = self.news[name] = learn(known, Learnt(self.applied(name)), (), name, self.mesh.now)[0]
        if (pause := wait(known, self.mesh.now)) < MINUTE:
            self.mesh.after(pause + 0.2, lambda: self._step(name))

    def _some_peers(self, name: str) -> list[str]:
        keys = self.mesh.keys
        drawn = (keys[self.chance.randrange(len(keys))] for _ in range(min(KNOWN_PEERS, len(keys))))
        return [key for key in drawn if key != name]

    # -- the way from one to the other

    def _reaches(self, name: str, other: str) -> bool:
        """Whether packets arrive, directly or by a relay; between modelled nodes they do if nothing lies between."""
        one, two = self.mesh.nodes[name], self.mesh.nodes[other]
        return one.is_on and two.is_on and not self.mesh.internet.are_parted(one.site, two.site)

    def _send(self, name: str, peer: str, payload: str) -> None:
        node = self.mesh.nodes[name]
        if isinstance(self.mesh.nodes.get(peer), Sampled) and isinstance(node, Modelled):
            if peer in node.via:
                self.relayed(name, peer, payload)
            else:
                node.tunnels[peer].data(payload)
        else:
            self.relayed(name, peer, payload)

    def relayed(self, name: str, peer: str, payload: str) -> None:
        """A packet that arrives if nothing lies between the two."""
        if peer not in self.has or not self._reaches(name, peer):
            return
        if self.chance.random() >= self.mesh.internet.loss:
            self.mesh.after(PACKET, lambda: self._arrive(peer, name, payload))

    def _arrive(self, name: str, sender: str, payload: str) -> None:
        if name not in self.has or sender not in self.has:
            return
        node = self.mesh.nodes[name]
        if payload == "which":
            self._send(name, sender, f"news {self.applied(name)}")
        elif isinstance(node, Sampled):
            node._inner(sender, payload)
        else:
            self.hear(name, sender, payload.partition(" ")[2])
