"""What happens to a large mesh in a week, at the rates of everyday life."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from sim.large.audit import Audit
from sim.large.figures import BACK
from sim.large.kinds import EASY, HARD, NAMED, PUBLIC, RELAY, some_kind
from sim.large.mesh import Mesh
from sim.large.modelled import Modelled
from sim.large.sampled import Sampled

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
AUDITS, LEAST = 300.0, 20.0
"""Seconds between two conversations of each sampled node; fewer, where things happen more often."""
CHURN = 3
"""Peers that leave the list with a commit, and as many that come."""
SETTLING = 900.0
"""Seconds in which the mesh comes about, before anything happens."""
BATCH, BATCHES = 50, 20.0
"""In the end all is mended and left alone for `BACK`; then so many peers are greeted at a time, so many seconds
apart."""


class Life:
    """A mesh, and what happens to it. Everything follows from the seed.

    ``awake``: the share of time for which the sampled nodes do not sleep, in turns of an hour; ``pace``: how many times
    more often things happen than in everyday life.
    """

    def __init__(self, mesh: Mesh, days: float, *, awake: float = 1.0, pace: float = 1.0) -> None:
        self.mesh, self.days, self.chance = mesh, days, random.Random(mesh.seed + 1)
        self.awake, self.pace, self.events = awake, pace, 0
        ordinary = [node for node in mesh.nodes.values() if isinstance(node, Modelled) and node.kind != RELAY]
        many = len(ordinary)
        named = sum(node.kind == NAMED for node in ordinary)
        hidden = sum(node.kind in (EASY, HARD) for node in ordinary)
        self.rates: dict[Callable[[], None], float] = {
            lambda: self._move(NAMED): named,
            lambda: self._move(EASY, HARD): hidden / 3,
            lambda: self._off(MINUTE, 10 * MINUTE): many / 7,
            lambda: self._off(7 * HOUR, 9 * HOUR): many * 0.15,
            lambda: self._off(DAY, 3 * DAY): many / 200,
            self._relay_off: len(mesh.relays) / 2,
            self._part: 1.0,
            self._lose: 2.0,
            self._host_away: 1.0,
            self._commit: 5.0,
            self._restart: len(mesh.sampled),
            self._reboot: len(mesh.sampled),
            self._cut_off: 2 * len(mesh.sampled),
            self._move_sampled: 2 * len(mesh.sampled),
        }

    def run(self) -> None:
        """Live all the days, mend everything, and have all pairs talk."""
        mesh, end = self.mesh, self.days * DAY
        mesh.world.run(SETTLING)
        self._next()
        self._audit()
        if self.awake < 1.0:
            for number, one in enumerate(mesh.sampled.values()):
                mesh.after(number * HOUR, partial(self._sleep, one))
        self._take_sizes()
        mesh.world.run(end - mesh.now)
        mesh.figures.take_traffic()
        self.rates = {}
        self._mend()
        mesh.world.run(BACK)
        for one in mesh.sampled.values():
            for number, key in enumerate(key for key in one.tunnels if mesh.nodes[key].is_on):
                mesh.after(number // BATCH * BATCHES, partial(Audit, mesh, one, key))
        mesh.world.run(len(mesh.nodes) / BATCH * BATCHES + BACK + MINUTE)

    def _next(self) -> None:
        total = sum(self.rates.values()) / DAY * self.pace
        if total:
            self.mesh.after(self.chance.expovariate(total), self._happen)

    def _happen(self) -> None:
        if self.rates:
            self.events += 1
            self.chance.choices(list(self.rates), list(self.rates.values()))[0]()
            self._next()

    def _sleep(self, one: Sampled) -> None:
        if self.rates and one.interface:
            one.sleep()
        self.mesh.after(HOUR * (1 / self.awake - 1), lambda: self._wake(one))

    def _wake(self, one: Sampled) -> None:
        if one.asleep:
            one.wake()
            self.mesh.gossip.wake(one.name)
        self.mesh.after(HOUR, lambda: self._sleep(one))

    def _audit(self) -> None:
        if self.rates:
            for one in self.mesh.sampled.values():
                if one.is_on:
                    among = one.placed if one.placed and self.chance.random() < 0.3 else one.tunnels
                    Audit(self.mesh, one, self.chance.choice(list(among)))
            self.mesh.after(max(LEAST, AUDITS / self.pace), self._audit)

    def _take_sizes(self) -> None:
        for one in self.mesh.sampled.values():
            if one.state:
                self.mesh.figures.take_size(one.state)
        self.mesh.after(HOUR, self._take_sizes)

    # -- events

    def _some(self, *kinds: str) -> Modelled | None:
        """A modelled node that is on."""
        for _ in range(100):
            node = self.mesh.nodes[self.chance.choice(self.mesh.keys)]
            if isinstance(node, Modelled) and node.kind in (kinds or (PUBLIC, NAMED, EASY, HARD)) and node.is_on:
                return node
        return None

    def _one(self) -> Sampled:
        return self.chance.choice(list(self.mesh.sampled.values()))

    def _move(self, *kinds: str) -> None:
        if node := self._some(*kinds):
            self.mesh.move(node)

    def _off(self, least: float, most: float) -> None:
        if node := self._some():
            self._leave_off(node, least, most)

    def _while(self, least: float, most: float) -> float:
        """Seconds that something lasts: shorter where things happen more often, and ``least`` at least."""
        return max(least, self.chance.uniform(least, most) / self.pace)

    def _leave_off(self, node: Modelled | Sampled, least: float, most: float) -> None:
        self.mesh.switch_off(node)
        self.mesh.after(self._while(least, most), lambda: self._on_again(node))

    def _on_again(self, node: Modelled | Sampled) -> None:
        if not node.interface and not (isinstance(node, Sampled) and node.asleep):
            self.mesh.switch_on(node)

    def _relay_off(self) -> None:
        if node := self._some(RELAY):
            self._leave_off(node, 20 * MINUTE, 6 * HOUR)

    def _part(self) -> None:
        nodes = list(self.mesh.nodes.values())
        self.mesh.internet.island = {id(each.site) for each in self.chance.sample(nodes, len(nodes) * 3 // 10)}
        self.mesh.parted_or_healed = self.mesh.now
        self.mesh.after(self._while(2 * MINUTE, HOUR), self._heal)

    def _heal(self) -> None:
        self.mesh.internet.island = set()
        self.mesh.parted_or_healed = self.mesh.now
        self.mesh.gossip.wake_all()

    def _lose(self) -> None:
        self.mesh.internet.loss = 0.2
        self.mesh.after(5 * MINUTE, lambda: setattr(self.mesh.internet, "loss", 0.0))

    def _host_away(self) -> None:
        self._host(False)
        self.mesh.after(self._while(2 * MINUTE, 3 * HOUR), lambda: self._host(True))

    def _host(self, is_there: bool) -> None:
        self.mesh.gossip.host, self.mesh.gossip.host_changed = is_there, self.mesh.now
        self.mesh.gossip.wake_all()

    def _commit(self) -> None:
        """An admin pushes a list with some peers more and some less; now and then the git host dies just then."""
        mesh = self.mesh
        if not mesh.gossip.host:
            return
        for _ in range(CHURN):
            if old := self._some():
                mesh.remove(old)
        for _ in range(CHURN):
            node = mesh.add(some_kind(self.chance))
            assert isinstance(node, Modelled)
            mesh.gossip.join(node.name, mesh.gossip.newest + 1)
            node.begin()
            mesh.with_anchors(node)
        mesh.gossip.push(mesh.list())
        if self.chance.random() < 0.2:
            mesh.after(1.0, self._host_away)

    def _restart(self) -> None:
        one = self._one()
        if one.interface:
            one.restart()

    def _reboot(self) -> None:
        one = self._one()
        if one.interface:
            self._leave_off(one, MINUTE, 10 * MINUTE)

    def _cut_off(self) -> None:
        """Its uplink is away for a while."""
        site, one = (one := self._one()).site, one
        site.upstream = False
        self.mesh.after(self._while(10.0, 30 * MINUTE), lambda: self._back(one))

    def _back(self, one: Sampled) -> None:
        one.site.upstream, one.changed = True, self.mesh.now
        self.mesh.gossip.wake(one.name)

    def _move_sampled(self) -> None:
        one = self._one()
        if one.kind != PUBLIC and one.is_on:
            self.mesh.move(one)

    def _mend(self) -> None:
        mesh = self.mesh
        mesh.internet.loss, mesh.internet.island = 0.0, set()
        mesh.parted_or_healed = mesh.now
        self._host(True)
        for node in list(mesh.nodes.values()):
            node.site.upstream = True
            if isinstance(node, Sampled) and node.asleep:
                node.wake()
            elif not node.interface:
                mesh.switch_on(node)
        mesh.gossip.wake_all()
