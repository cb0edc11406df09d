"""The loop: one task takes in what was observed, lets the policy decide, and carries the actions out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from attrs import evolve

from mesh_sync.node.config import Node
from mesh_sync.system.files import Stamp, make_folder, stamp
from mesh_sync.wireguard.probe import Prober
from mesh_watchdog import clock, memory
from mesh_watchdog.act.set_endpoint import point, promote
from mesh_watchdog.act.source_address import forget_source
from mesh_watchdog.policy.decide import State, decide
from mesh_watchdog.policy.events import Action, Look, Note, Observation, Point, Probe, Seen, Snapshot
from mesh_watchdog.policy.key_alias import misplaced, under_listed_keys
from mesh_watchdog.policy.peer import HUNTED, UP
from mesh_watchdog.policy.polling import BUSY, TRYING, WINDOW, is_flowing, next_reading
from mesh_watchdog.report import status_file
from mesh_watchdog.report.counters import Counters
from mesh_watchdog.report.journal import Problems, log
from mesh_watchdog.report.view import About, view
from mesh_watchdog.sense import applied_state
from mesh_watchdog.sense.dns_lookup import Lookups
from mesh_watchdog.sense.own_addresses import Place
from mesh_watchdog.sense.own_network import Network
from mesh_watchdog.sense.wg_counters import read
from mesh_watchdog.settings import Settings

FLOWING = 15.0
"""Seconds for which traffic counts as flowing after it was seen."""
SOURCE_ATTEMPTS = 10
"""How often mesh-sync is waited for before it is left at that."""
REPEAT = 60.0
"""Seconds within which the same thing is not said twice of a peer."""


class Daemon:
    """Observes, decides, acts, until `stop` is called. ``state`` is what is believed at the start."""

    def __init__(self, node: Node, settings: Settings, state: State) -> None:
        self.node = node
        self.settings = settings
        self.state = state
        self.problems = Problems()
        self.counters = Counters()
        self.about = About(node=node.name, interface=node.interface, boot=clock.boot_id(), started=clock.now())
        self.stopping = False
        self.changed = True
        self._inbox: asyncio.Queue[Observation | None] = asyncio.Queue()
        self._prober = Prober(node.interface)
        self._lookups = Lookups()
        self._asking: set[asyncio.Task[None]] = set()
        self._network = Network(node.interface, self._moved, self.poke, self.problems)
        self._taken = applied_state.Taken()
        self._stamp: Stamp = (0, 0, 0)
        self._watch: applied_state.Watch | None = None
        self._sleep = clock.Sleep()
        self._next = self._last = clock.now()
        self._baseline: tuple[float, Mapping[str, Seen]] = (clock.now(), {})
        self._flowed = float("-inf")
        self._paired: float | None = None
        self._told: tuple[bool, bool, int, int] = (False, False, 0, 0)
        self._said: dict[str, tuple[float, str]] = {}

    # -- for those who run it

    async def start(self, *, kick: bool = False) -> None:
        """Take in the applied state and the surroundings. ``kick``: everybody is asked at once for a sign of life."""
        make_folder(self.node.state_file.parent)
        loop = asyncio.get_running_loop()
        try:
            self._watch = applied_state.Watch(self.node.state_file, lambda: loop.call_soon_threadsafe(self.poke))
            self._watch.start()
        except OSError as error:
            self.problems.set("inotify", f"new applied states are seen late: {error.strerror or error}")
        await self._network.start()
        await self._take()
        if kick:
            await self._feed(self._network.place.surroundings)
        else:
            self.state = evolve(self.state, surroundings=self._network.place.surroundings)

    async def step(self, periodic: Callable[[], None] = lambda: None, within: float = float("inf")) -> None:
        """Wait for the next thing to observe, and see to it; after ``within`` seconds only to what is ``periodic``."""
        try:
            wait = min(within, self._next - clock.now())
            observation = await asyncio.wait_for(self._inbox.get(), max(0.0, wait))
        except TimeoutError:
            observation = None
        if self.stopping:
            return
        if self._sleep.is_over():
            log.info("this machine was asleep")
            self._spawn(self._tell(self._network.place))
            self.look_around()
        await self._take()
        if observation is not None:
            await self._feed(observation)
        elif clock.now() >= self._next:
            await self._read()
        periodic()

    def stop(self) -> None:
        self.stopping = True
        self._inbox.put_nowait(None)

    def poke(self) -> None:
        """Something happened: read the interface, and the applied state if it is another, now."""
        self._next = min(self._next, max(clock.now(), self._last + TRYING))
        self._inbox.put_nowait(None)

    async def close(self) -> None:
        for task in self._asking:
            task.cancel()
        self._network.close()
        self._prober.close()
        if self._watch:
            await asyncio.to_thread(self._watch.stop)

    def look_around(self) -> None:
        """Look at the network again, in case a message about it was lost."""
        self._spawn(self._network.look())

    def view(self) -> dict[str, Any]:
        self.counters.probes = self._prober.sent
        self.counters.dns_queries, self.counters.dns_failures = self._lookups.queries, self._lookups.failures
        return view(self.state, self.counters, self.about, self.problems.present, clock.now())

    def remember(self) -> None:
        if not self.state.peers:  # there is no applied state (yet); the memory may be of use when there is
            return
        self.problems.set("memory", memory.save(status_file.memory_file(self.node), self.state))

    # -- observing

    async def _read(self) -> None:
        reading = await asyncio.to_thread(read, self.node.interface)
        self._last = now = clock.now()
        self.counters.readings += 1
        self.problems.set("wg", reading.problem, over=f"{self.node.interface} can be read again")
        if reading.problem:  # says nothing about the peers
            self._next = now + self.settings.idle_interval
            self._notice(self.state)
            return
        peers = reading.peers
        if peers and (pairs := self._taken.pairs):
            if misplaced(pairs, peers, time.time()):
                await self._promote()
            peers = under_listed_keys(pairs, peers, time.time())
        if peers is not None:
            self._measure(peers, now)
        there = peers is not None
        if there != self.state.interface and (self.counters.readings > 1 or not there):
            log.info("%s is %s", self.node.interface, "there" if there else "not there; waiting for it")
        await self._feed(Snapshot(peers))

    async def _promote(self) -> None:
        result = await asyncio.to_thread(promote, self.node)
        self.problems.set("promote", result.problem, over="allowed IPs can be moved again")
        for name in sorted(result.done):
            log.info("%s has changed its key: its traffic follows", name)

    def _measure(self, peers: Mapping[str, Seen], now: float) -> None:
        since, before = self._baseline
        if not before or now - since >= WINDOW:
            if is_flowing(before, peers):
                self._flowed = now
            self._baseline = (now, peers)

    async def _take(self) -> None:
        """Take up the applied state if it is another one than before."""
        path = self.node.state_file
        found = stamp(path)
        if found == self._stamp:
            return
        self._stamp = found
        taken = await asyncio.to_thread(applied_state.take, path)
        broken = f"{path} is broken; the next `mesh-sync now` writes it anew"
        self.problems.set("state", broken if taken.lost else "", over="the applied state can be read again")
        if taken.lost:  # who was in it is still watched; nothing is written to anybody, for `point` reads it again
            self.changed = True
            return
        if taken.pairs != self._taken.pairs:
            self._paired = clock.now() if taken.pairs else None
        self._taken = taken
        await self._feed(taken.applied)

    def _moved(self, place: Place) -> None:
        log.info("this machine's addresses or routes have changed: telling all peers")
        self._spawn(self._tell(place))

    async def _tell(self, place: Place) -> None:
        """Let the policy know, once what it sends will leave from where we are now."""
        for attempt in range(SOURCE_ATTEMPTS):
            problem = await asyncio.to_thread(forget_source, self.node)
            self.problems.set("source", problem)
            if not (problem and attempt):
                self._inbox.put_nowait(place.surroundings)
            if not problem:
                return

    # -- deciding and acting

    async def _feed(self, observation: Observation) -> None:
        before, now = self.state, clock.now()
        self.state, actions = decide(before, observation, now)
        await self._carry_out(before, actions)
        self._notice(before)
        self._pace(observation)

    async def _carry_out(self, before: State, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Note):
                self._say(action)
            elif isinstance(action, Look):
                self._spawn(self._ask(action.host))
        if points := [action for action in actions if isinstance(action, Point)]:
            await self._point(before, points)
        for action in actions:
            if isinstance(action, Probe) and action.key in self.state.peers:
                self._prober.send(self.state.peers[action.key].declared.probe)

    async def _point(self, before: State, points: list[Point]) -> None:
        """A decision that could not be carried out is taken back: what is believed is what was done."""
        decided = {key: peer.seen for key, peer in self.state.peers.items() if peer.seen}
        result = await asyncio.to_thread(point, self.node, points, decided)
        self.problems.set("point", result.problem, over="endpoints can be set again")
        self.counters.writes.update(result.done)
        self.counters.avoided.update(result.alive)
        undone = {one.key: before.peers[one.key] for one in points if one.key not in result.done}
        self.state = evolve(self.state, peers={**self.state.peers, **undone})
        for one in points:
            if one.key in result.done:
                name = self.state.peers[one.key].declared.name
                log.debug("%s: trying %s (%s)", name, one.endpoint, one.source)

    async def _ask(self, host: str) -> None:
        answer = await self._lookups.ask(host, self.state.tunnelled, self._taken.mark)
        self._inbox.put_nowait(answer)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def _say(self, note: Note) -> None:
        now = clock.now()
        moment, text = self._said.get(note.key, (float("-inf"), ""))
        if text == note.text and now - moment < REPEAT:
            return
        self._said[note.key] = now, note.text
        name = self.state.peers[note.key].declared.name if note.key in self.state.peers else self.node.name
        (log.warning if note.urgent else log.info)("%s %s", name, note.text)

    def _notice(self, before: State) -> None:
        """Find out whether there is something new to show."""
        told = (self.state.interface, self.state.ours, len(self.state.peers), self.problems.changes)
        self.changed = self.changed or told != self._told
        self._told = told
        for key, peer in self.state.peers.items():
            known = before.peers.get(key)
            if known is peer or (known and known.phase == peer.phase):
                continue
            self.changed = True
            self.counters.hunts[key] += peer.phase == HUNTED
            if known is None or peer.phase == UP:
                self._said.pop(key, None)

    def _pace(self, observation: Observation) -> None:
        now = clock.now()
        if not isinstance(observation, Snapshot):
            self._next = now
            return
        flowing = now - self._flowed < FLOWING
        idle = float(self.settings.idle_interval)
        rotating = None if self._paired is None else now - self._paired
        wait = next_reading(self.state, now, flowing=flowing, idle=idle, rotating=rotating)
        self._next = now + (min(wait, BUSY) if self.changed else wait)
