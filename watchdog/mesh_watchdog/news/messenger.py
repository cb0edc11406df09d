"""Tells peers of a commit, asks what they have, and has mesh-sync look for one that they tell of."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import dns.name

from mesh_sync.errors import DeviceError, MeshSyncError
from mesh_sync.node import news as files
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.news import News, Teller
from mesh_sync.system.run import environment
from mesh_watchdog.journal import Problems, log
from mesh_watchdog.mesh_dns import commits, exchange
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.policy.news import Ask, Heard, Pull, Tell
from mesh_watchdog.sense.sense import Sense

DEADLINE = 360.0
"""Seconds for a run of mesh-sync: those that its unit has (systemd/mesh-sync.service)."""
LOOK = 0.05
"""Seconds between two looks whether it has ended."""


class Messenger(Sense):
    """Observes which commit a peer has that was told or asked. ``config``: node.toml, for the run that is started where
    systemd does not start it; ``on``: whether anything is told, asked and looked for at all.
    """

    def __init__(self, node: Node, views: Views, problems: Problems, config: Path, *, on: bool = True) -> None:
        super().__init__()
        self._node = node
        self._views = views
        self._problems = problems
        self._config = config
        self._on = on
        self._due = False
        self._running = False
        self._sought = ""

    def tell(self, action: Tell) -> None:
        """Tell these peers, each in the background."""
        for key in action.peers:
            self._notify(key, action.commit)

    def ask(self, action: Ask) -> None:
        """Ask the peer in the background."""
        self._notify(action.peer, None)

    def _notify(self, key: str, commit: str | None) -> None:
        directory = self._views.directory
        if self._on and key in directory.peers and (address := directory.peers[key].probe):
            self.spawn(self._exchange(key, address, directory.zone, commit))

    async def _exchange(self, key: str, address: str, zone: dns.name.Name, commit: str | None) -> None:
        notice = commits.notice(zone, commit)
        answer = await exchange.ask(notice, address, self._node.interface, self._views.chatter)
        if answer and (has := commits.read(answer, zone)):
            self.inbox.put_nowait(Heard(key, has))

    def pull(self, action: Pull) -> None:
        """Write the news down, and have a run begin: by the path unit under systemd, else as a child, one at a time."""
        if not self._on:
            return
        peers = self._views.directory.peers
        tellers = [Teller(peers[key].name, peers[key].probe) for key in action.tellers if key in peers]
        found = News(action.commit, tuple(each for each in tellers if each.address))
        try:
            files.save(self._node, found)
        except DeviceError as error:
            self._problems.set("news", error.message)
            return
        self._problems.set("news", "", over="what peers tell can be written again")
        names = ", ".join(each.name for each in found.tellers) or "a peer"
        log.info("told of commit %s by %s: mesh-sync looks for it", action.commit[:10], names)
        if not os.environ.get("NOTIFY_SOCKET"):
            self._due, self._sought = True, action.commit
            if not self._running:
                self.spawn(self._run())

    async def _run(self) -> None:
        """Runs as long as there is news of a commit that the last one has not brought."""
        self._running = True
        try:
            while self._due:
                self._due = False
                await self._run_once()
                self._due = self._due and self._sought != await asyncio.to_thread(self._applied)
        finally:
            self._running = False

    def _applied(self) -> str | None:
        with suppress(MeshSyncError):
            return states.load(self._node.state_file).applied.commit
        return None

    async def _run_once(self) -> None:
        """One run. If the watchdog ends meanwhile, it goes on by itself: it may have a commit on trial."""
        argv = [sys.executable, "-m", "mesh_sync", "now", "--config", str(self._config)]
        nothing = subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                argv, stdin=nothing, stdout=nothing, stderr=nothing, env=environment(), start_new_session=True
            )
        except OSError as error:
            self._problems.set("run", f"mesh-sync cannot be started: {error.strerror}")
            return
        self._problems.set("run", "", over="mesh-sync can be started again")
        end = time.monotonic() + DEADLINE
        while process.poll() is None:
            if time.monotonic() > end:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await asyncio.to_thread(process.wait)
            await asyncio.sleep(LOOK)
        log.info("mesh-sync now: exit %d", process.returncode)
