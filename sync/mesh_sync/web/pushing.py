"""A push that goes on while the page is looked at: git may ask for a passphrase, or wait for a touch of a key."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Thread

from mesh_sync.errors import CommandError, DeviceError, MeshSyncError
from mesh_sync.workspace import invite
from mesh_sync.workspace.gathered import Gathered, Moved
from mesh_sync.workspace.publish import Step, publish


class Pushing:
    """One push of some edits: how far it is, and what came of it."""

    def __init__(self, gathered: Gathered, message: str) -> None:
        self.gathered, self.message = gathered, message
        self.step = Step.ASK
        self.commit = ""
        self.ended = 0.0
        """When it did, on the monotonic clock."""
        self.notes: tuple[str, ...] = ()
        self.problem: MeshSyncError | None = None
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def has_moved(self) -> bool:
        """Whether it ended because there are newer commits."""
        return isinstance(self.problem, Moved)

    def _run(self) -> None:
        try:
            self.commit, self.notes = publish(self.gathered, self.message, self._at)
            with suppress(CommandError, OSError):  # of those who are in the list by now; the push is done all the same
                invite.forget_listed(self.gathered.present)
        except MeshSyncError as problem:
            self.problem = problem
        except OSError as problem:
            self.problem = DeviceError(str(problem))
        finally:
            self.ended = time.monotonic()

    def _at(self, step: Step) -> None:
        self.step = step
