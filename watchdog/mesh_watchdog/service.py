"""The daemon with all that surrounds it: signals, systemd, periodic work, the files it writes.

`mesh-watchdog once` is one pass for a timer. The memory makes successive passes slices of one run.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

from attrs import evolve

from mesh_sync.errors import MeshSyncError
from mesh_sync.node import config as nodes
from mesh_sync.node.config import Node
from mesh_sync.system import own_code
from mesh_watchdog import memory
from mesh_watchdog.daemon import Daemon
from mesh_watchdog.jobs import SteadyScheduler
from mesh_watchdog.journal import log, notify, ping_interval
from mesh_watchdog.policy.crowd import LARGE
from mesh_watchdog.policy.polling import is_settled
from mesh_watchdog.policy.state import State
from mesh_watchdog.port_mapping.sense import PortMapping
from mesh_watchdog.report import metrics, status_file
from mesh_watchdog.report.around import INTERVAL, Around
from mesh_watchdog.settings import Settings, settings_of

STATUS_INTERVAL = 15
"""Seconds between two writes of the status file when nothing changes …"""
STATUS_INTERVAL_LARGE = 45
"""… and in a large mesh, where each takes a tenth of a second; below `status_file.STALE`."""
DEADLINE = 30.0
"""Seconds for a pass: a silent peer is suspected after 11, searched for after 15 (rule R3), and then has to answer."""


def run(config: Path) -> int:
    """Watch until SIGTERM. SIGHUP reads node.toml again. Raise MeshSyncError when it cannot begin."""
    node = nodes.load(config)
    settings = settings_of(node, config)
    asyncio.run(_run(config, node, settings))
    return 0


async def _run(config: Path, node: Node, settings: Settings) -> None:
    state: State | None = None
    while True:
        with status_file.alone(node):
            service = Service(config, node, settings, state)
            again = await service.run()
        if again is None:
            return
        kept = evolve(service.daemon.state, mapped="", mapped_how="")
        state = kept if again[0].interface == node.interface else None
        node, settings = again


class Service:
    """One run with one configuration."""

    def __init__(self, config: Path, node: Node, settings: Settings, state: State | None) -> None:
        self.config = config
        self.node = node
        self.settings = settings
        known = state or memory.load(status_file.memory_file(node), time.monotonic())
        self.daemon = Daemon(node, settings, known, config)
        rounds = self.daemon.state.birthday
        now = evolve(rounds, on=node.nat.birthday, metered=frozenset(node.nat.metered), round=None)
        self.daemon.state = evolve(self.daemon.state, birthday=now)
        self.daemon.senses.append(self.daemon.rounds)
        if node.nat.port_mapping:
            self.daemon.senses.append(PortMapping(node.interface, lambda: self.daemon.state))
        self.again: tuple[Node, Settings] | None = None
        self.jobs = SteadyScheduler(time.monotonic)
        self.around = Around(node, self.daemon.problems)
        self._written = float("-inf")
        self._said = ""
        self._server: asyncio.Server | None = None

    async def run(self) -> tuple[Node, Settings] | None:
        """Return the configuration to go on with, or None to end."""
        _stop_on_signals(self.daemon)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        self._declare()
        try:
            await self.daemon.start()
            self.around.look()
            with self.daemon.problems.survived("noting the version"):  # what `mesh-sync setup` asks after an upgrade
                status_file.write(self.node.code_file, own_code.digest())
            self._write_status()  # in the place of the last watchdog's
            await self._listen()
            notify("READY=1", f"STATUS=watching {self.node.interface}")
            log.info("watching %s", self.node.interface)
            while not self.daemon.stopping:
                await self.daemon.step(self._periodic, self.jobs.pause())
        finally:
            if self.again is None:
                notify("STOPPING=1")
            if self._server:
                self._server.close()
            self.daemon.remember()
            self._write_status()
            await self.around.close()
            await self.daemon.close()
            log.info("no longer watching %s", self.node.interface)
        return self.again

    def _declare(self) -> None:
        """The periodic work, all of it."""
        every = self.jobs.every
        every(self.settings.memory_interval).seconds.do(self.daemon.remember)
        every(self.settings.summary_interval).seconds.do(self._summarise)
        every(STATUS_INTERVAL).seconds.do(self._refresh_status)
        every(INTERVAL).seconds.do(self.around.look)
        if self.settings.metrics_file:
            every(self.settings.metrics_interval).seconds.do(self._write_metrics, self.settings.metrics_file)
        if interval := int(ping_interval()):
            every(interval).seconds.do(notify, "WATCHDOG=1")

    def _periodic(self) -> None:
        if self.daemon.changed and time.monotonic() - self._written >= 1:
            self.daemon.changed = False
            self._write_status()
            self.daemon.remember()
        self.jobs.run_pending()

    def _refresh_status(self) -> None:
        is_large = len(self.daemon.state.peers) >= LARGE
        if not is_large or time.monotonic() - self._written >= STATUS_INTERVAL_LARGE:
            self._write_status()

    def _write_status(self) -> None:
        self._written = time.monotonic()
        self.daemon.troubles = self.around.troubles
        self.daemon.write_status()
        notify(f"STATUS={self._sentence()}")

    def _write_metrics(self, path: Path) -> None:
        problem = status_file.write(path, self._metrics(), mode=0o644)
        self.daemon.problems.set("metrics", problem, over=f"{path} can be written again")

    def _metrics(self) -> str:
        self.daemon.troubles = self.around.troubles
        return metrics.metrics(self.daemon.view(), time.monotonic())

    async def _listen(self) -> None:
        if not self.settings.metrics_listen:
            return
        try:
            self._server = await metrics.serve(self.settings.metrics_listen, self._metrics)
        except OSError as error:
            self.daemon.problems.set("listen", f"metrics cannot be served: {error.strerror or error}")

    def _summarise(self) -> None:
        """Say how things are, unless that is what was said last: the journal of a quiet mesh stays as it is."""
        if self._said != (sentence := self._sentence()):
            self._said = sentence
            log.info("%s", sentence)

    def _sentence(self) -> str:
        if not self.daemon.state.interface:
            return f"waiting for {self.node.interface}"
        phases = Counter(peer.phase for peer in self.daemon.state.peers.values())
        counted = ", ".join(f"{number} {phase}" for phase, number in phases.most_common()) or "no peers"
        writes = self.daemon.tally.writes.total()
        return f"{self.node.interface}: {counted}; endpoints set so far: {writes}"

    def _reload(self) -> None:
        try:
            node = nodes.load(self.config)
            settings = settings_of(node, self.config)
        except MeshSyncError as error:
            log.error("the old configuration stays: %s", error.message)
            return
        if (node, settings) == (self.node, self.settings):
            log.info("%s has not changed", self.config)
            return
        log.info("%s has changed", self.config)
        self.again = node, settings
        self.daemon.stop()


def _stop_on_signals(daemon: Daemon) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, daemon.stop)


def once(config: Path) -> int:
    """Make one pass: probe all peers, search for those that stay silent. Return the exit code."""
    node = nodes.load(config)
    settings = settings_of(node, config)
    with status_file.alone(node):
        return asyncio.run(_pass(node, settings))


async def _pass(node: Node, settings: Settings) -> int:
    began = time.monotonic()
    boot = status_file.boot_id()
    silent = evolve(node, dns=evolve(node.dns, serve=False))  # no peer can count on who answers for some seconds
    daemon = Daemon(silent, evolve(settings, serve_git=False), memory.load(status_file.memory_file(node), began, boot))
    _stop_on_signals(daemon)
    try:
        await daemon.start(probe_all=True)
        while not daemon.stopping and not is_settled(daemon.state, began, time.monotonic()):
            await asyncio.wait_for(daemon.step(), max(0.1, began + DEADLINE - time.monotonic()))
    except TimeoutError:
        pass
    finally:
        daemon.remember(boot)
        daemon.write_status()
        await daemon.close()
    return 6 if daemon.problems.present else 0
