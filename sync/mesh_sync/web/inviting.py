"""Invitations as the page has them: questions to the git host in the background, one at a time, and what came of them.

ssh may ask for a passphrase on the terminal, or wait for a touch of a key. So nothing is asked unless a person has said
so; then it goes on while the page is looked at and a machine is waited for, as `mesh-sync invite` does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from mesh_sync.errors import DeviceError, MeshSyncError, Refused
from mesh_sync.workspace import invite as invitations
from mesh_sync.workspace.invite import Invited, Standing

AGAIN = 5.0
"""Seconds between two rounds of questions."""
LOOKED_AT = 20.0
"""Seconds after which a page that has not asked for its part is taken to be closed."""
MOST_JOBS = 10


class Inviting:
    """The invitations that were made in the clone ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.standings: dict[str, Standing] = {}
        """By name, what the git host said last."""
        self.wrong: dict[str, Refused] = {}
        """By name, why the keys that it shows are not to be let in."""
        self.moment = 0.0
        """When it was asked last, in Unix seconds; 0 while it was not."""
        self.problem: MeshSyncError | None = None
        """Why what was done last did not work."""
        self.doing = ""
        """The name of the peer that something is being done about."""
        self._lines: dict[str, str] = {}
        self._jobs: deque[tuple[str, Callable[[], None]]] = deque()
        self._follows = False
        self._looked = 0.0
        self._changed = Condition()
        self._thread: Thread | None = None

    @property
    def is_working(self) -> bool:
        """Whether a question is on its way, or will be."""
        return self._thread is not None

    def look(self) -> tuple[Invited, ...]:
        """The invitations, for a page that is looked at now."""
        self._looked = time.monotonic()
        return invitations.every_remembered(self.directory)

    def has_line(self, name: str) -> bool:
        """Whether the line of an invitation has not been shown yet."""
        return name in self._lines

    def line(self, name: str) -> str:
        """The line, once. Raise Refused afterwards."""
        found = self._lines.pop(name, "")
        if not found:
            raise Refused("the line has been shown, and is not kept", hint="invite again: the earlier line ends then")
        return found

    def follow(self) -> None:
        """Ask the git host who has handed over keys, until none is waited for, or it cannot be asked."""
        self._follows = True
        self._start()

    def invite(self, name: str, values: Mapping[str, Any], lifetime: int, masquerade: str) -> None:
        """Make an invitation, as `mesh-sync invite` does, and then `follow`."""

        def job() -> None:
            line, invited = invitations.invite(self.directory, name, values, lifetime, masquerade)
            self._lines[name] = line
            self.standings.pop(name, None)
            self._follows = self._follows or bool(invited.token_key)

        self._do(name, job)

    def withdraw(self, invited: Invited) -> None:
        """Let nothing come of an invitation."""

        def job() -> None:
            invitations.withdraw(self.directory, invited)
            self._lines.pop(invited.name, None)
            self.standings.pop(invited.name, None)

        self._do(invited.name, job)

    def _do(self, name: str, job: Callable[[], None]) -> None:
        with self._changed:
            if len(self._jobs) >= MOST_JOBS:
                raise Refused("the git host is still being asked", hint="wait until that is done")
            self._jobs.append((name, job))
        self._start()

    def _start(self) -> None:
        with self._changed:
            self.problem, self._looked = None, time.monotonic()
            if self._thread is None:
                self._thread = Thread(target=self._run, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _run(self) -> None:
        due = 0.0
        while True:
            with self._changed:
                if not self._jobs and (not self._follows or time.monotonic() - self._looked > LOOKED_AT):
                    self._follows, self._thread, self.doing = False, None, ""
                    return
                self.doing, job = self._jobs.popleft() if self._jobs else ("", self._ask)
                if not self.doing and time.monotonic() < due:
                    self._changed.wait(due - time.monotonic())
                    continue
            try:
                job()
            except MeshSyncError as problem:
                self.problem, self._follows = problem, False
            except OSError as problem:
                self.problem, self._follows = DeviceError(str(problem)), False
            due = time.monotonic() + AGAIN

    def _ask(self) -> None:
        """One round: all that may still have news."""
        found: dict[str, Standing] = {}
        wrong: dict[str, Refused] = {}
        for invited in invitations.every_remembered(self.directory):
            if invited.token_key:
                try:
                    found[invited.name] = invitations.standing(invited)
                except Refused as problem:
                    wrong[invited.name] = problem
        self.standings, self.wrong = found, wrong
        self.moment = time.time()
        self._follows = any(found.state == "open" for found in self.standings.values())
