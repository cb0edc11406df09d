"""The loop: one task takes in what was observed, lets the policy decide, and has the actions carried out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve

from mesh_sync.node.config import DEFAULT_CONFIG, Node
from mesh_watchdog import memory
from mesh_watchdog.act import Actor, forget_source
from mesh_watchdog.birthday.rounds import Rounds
from mesh_watchdog.journal import Problems, Tally
from mesh_watchdog.mesh_dns.calls import Calls
from mesh_watchdog.mesh_dns.own_statement import OwnStatement
from mesh_watchdog.mesh_dns.responder import Responder
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.news.messenger import Messenger
from mesh_watchdog.news.serve import GitPort
from mesh_watchdog.policy import news
from mesh_watchdog.policy.crowd import LARGE
from mesh_watchdog.policy.decide import decide
from mesh_watchdog.policy.known_ways import in_use
from mesh_watchdog.policy.news import Heard
from mesh_watchdog.policy.observations import Observation, Reported, Snapshot, Sought
from mesh_watchdog.policy.peer import NEW, SEARCHING, UP
from mesh_watchdog.policy.polling import BUSY, TRYING, next_poll
from mesh_watchdog.policy.state import State
from mesh_watchdog.report import status_file
from mesh_watchdog.sense.applied_state import AppliedState
from mesh_watchdog.sense.dns_lookup import DnsLookup
from mesh_watchdog.sense.kernel_ways import KernelWays
from mesh_watchdog.sense.own_network import OwnNetwork
from mesh_watchdog.sense.sense import Inbox, Sense
from mesh_watchdog.sense.wg_counters import WgCounters
from mesh_watchdog.settings import Settings

REST = 4.0
"""So many times what a look has cost (processor time) it rests before what peers say brings the next one forward: in a
large mesh each costs a tenth of a second, and some peer may never stop talking."""


class Daemon:
    """Observes, decides, acts, until `stop` is called.

    ``state`` is what is believed at the start; ``config``: where node.toml is.
    """

    def __init__(self, node: Node, settings: Settings, state: State, config: Path = DEFAULT_CONFIG) -> None:
        self.node = node
        self.settings = settings
        self.state = state
        self.problems = Problems()
        self.tally = Tally()
        self._next = self._last = time.monotonic()
        self._cost, self._begun = 0.0, time.process_time()
        boot = status_file.boot_id()
        self.about = {"interface": node.interface, "boot": boot, "started": self._last}
        self.troubles: Sequence[Mapping[str, Any]] = ()
        self.stopping = False
        self.changed = True
        dns, kernel = DnsLookup(self.tally), KernelWays(self.problems)
        views = Views(node.interface, lambda: self.state)
        calls, own = Calls(node.interface, views), OwnStatement(node, lambda: self.state, self.problems)
        messenger = Messenger(node, views, self.problems, config, on=settings.news)
        self.senses: list[Sense] = [
            AppliedState(node, self.problems),
            OwnNetwork(node.interface, self.problems, partial(forget_source, node), self._in_use),
            WgCounters(node.interface, self.problems, self.tally, views.chatter),
            dns,
            kernel,
            calls,
            messenger,
            *([Responder(node.interface, views, self.problems, own.said)] if node.dns.serve else []),
        ]
        if settings.serve_git and node.trust.mode == "signed":
            self.senses.append(GitPort(node, views, self.problems))
        self.rounds = Rounds(node.interface, self.problems)
        self._actor = Actor(node, self.problems, self.tally, dns, kernel, calls, self.rounds, messenger, views.chatter)
        self.inbox: Inbox = asyncio.Queue()
        self._shown: tuple[object, ...] = ()

    async def start(self, *, probe_all: bool = False) -> None:
        """Take in what there is. ``probe_all``: all peers are asked at once for a sign of life."""
        for sense in self.senses:
            with self.problems.survived(f"starting {type(sense).__name__}"):
                await sense.start(self.inbox)
        while not self.inbox.empty():
            if (observation := self.inbox.get_nowait()) is not None:
                await self._feed(observation)
        if probe_all:
            await self._feed(evolve(self.state.surroundings, moved=True))

    async def step(self, periodic: Callable[[], None] = lambda: None, within: float = float("inf")) -> None:
        """Wait for the next observation, and see to it; after ``within`` seconds only to what is ``periodic``."""
        try:
            wait = min(within, self._next - time.monotonic())
            observation = await asyncio.wait_for(self.inbox.get(), max(0.0, wait))
            if observation is None:
                self._next = min(self._next, max(time.monotonic(), self._last + TRYING))
        except TimeoutError:
            observation = None
        if self.stopping:
            return
        if observation is not None:
            await self._feed(observation)
        elif time.monotonic() >= self._next:
            await self._look()
        periodic()

    def stop(self) -> None:
        self.stopping = True
        self.inbox.put_nowait(None)

    async def close(self) -> None:
        self._actor.close()
        for sense in self.senses:
            with self.problems.survived(f"stopping {type(sense).__name__}"):
                await sense.stop()

    def view(self) -> dict[str, Any]:
        about = {**self.about, "node": self.state.here.name or self.node.name, "troubles": list(self.troubles)}
        return status_file.view(self.state, self.tally, about, self.problems.present, time.monotonic())

    def write_status(self) -> None:
        with self.problems.survived("writing the status"):
            text = json.dumps(self.view(), separators=(",", ":"))
            self.problems.set("status", status_file.write(status_file.status_file(self.node), text))

    def remember(self, boot: str = "") -> None:
        """Write the memory; with ``boot`` for the next pass of `once` too."""
        if not self.state.peers:  # there is no applied state (yet); the memory may be of use when there is
            return
        with self.problems.survived("writing the memory"):
            self.problems.set("memory", memory.save(status_file.memory_file(self.node), self.state, boot))

    def _in_use(self) -> tuple[frozenset[str], int]:
        return in_use(self.state), self.state.mark

    async def _look(self) -> None:
        self._begun = time.process_time()
        for sense in self.senses:
            with self.problems.survived(type(sense).__name__):
                await sense.look()
        self._last = time.monotonic()
        self._next = self._last + self.settings.idle_interval  # a snapshot tells better
        self._notice(self.state)

    async def _feed(self, observation: Observation) -> None:
        before, moment = self.state, time.monotonic()
        with self.problems.survived(f"acting upon {type(observation).__name__}"):
            after, actions = decide(before, observation, moment)
            self.state = await self._actor.carry_out(actions, before, after)
        self._notice(before)
        moment = time.monotonic()
        if not isinstance(observation, Snapshot):
            rested = self._last + REST * self._cost if isinstance(observation, Heard | Reported | Sought) else moment
            self._next = min(self._next, max(moment, rested))
        else:
            self._next, self._cost = moment, time.process_time() - self._begun
            wait = next_poll(self.state, moment, idle=float(self.settings.idle_interval))
            wait = min(wait, max(TRYING, news.wait(self.state.news, moment)))
            self._next += min(wait, BUSY) if self.changed else wait

    def _notice(self, before: State) -> None:
        """Find out whether there is something new to show."""
        state = self.state
        shown = (state.interface, state.cut_off, len(state.peers), state.mapped_how, self.problems.changes)
        self.changed = self.changed or shown != self._shown
        self._shown = shown
        relays, former = state.relaying, before.relaying
        if relays is not former and any(relays.relay_of(key) != former.relay_of(key) for key in state.peers):
            self.changed = True
        self.changed = self.changed or state.leading != before.leading
        for key, peer in state.peers.items():
            known = before.peers.get(key)
            if known is peer or (known and known.phase == peer.phase):
                continue
            expected = known and known.phase == NEW and peer.phase == UP and len(state.peers) >= LARGE
            self.changed = self.changed or not expected  # where some are asked at a time, the next write shows it
            self.tally.searches[key] += peer.phase == SEARCHING
            if known is None or peer.phase == UP:
                self._actor.announcer.forget(key)
