"""The question for the branch's head, asked in the background while the interface is read or changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from mesh_sync.errors import Unreachable
from mesh_sync.node.config import Node
from mesh_sync.repository.remote import Head, Remote
from mesh_sync.system import run as processes


def remotes(node: Node, seconds: float | None = None) -> Remote:
    """The remotes of a node; ``seconds``: another deadline than node.toml's."""
    return Remote(node.repository, node.bare_repository, whole=node.trust.mode == "signed", seconds=seconds)


class HeadRequest(Thread):
    """`Remote.head` in the background: the answer takes longer than all else that an idle run does.

    With ``again``, ask until a remote answers or the time is up, pausing for so many seconds.
    """

    def __init__(self, remote: Remote, again: float = 0.0) -> None:
        super().__init__(name="remote")
        self.remote = remote
        self._again = again
        self._stopped = Event()
        self._answer: Head | BaseException | None = None

    def run(self) -> None:
        while True:
            try:
                self._answer = self.remote.head()
            except BaseException as problem:
                self._answer = problem
            if not self._again or not isinstance(self._answer, Unreachable) or self._stopped.wait(self._again):
                return
            if self.remote.time_is_up:
                return

    def stop(self) -> None:
        """End what is under way; the answer is not needed any more."""
        self.remote.give_up()
        self._stopped.set()
        while self.is_alive():  # it may be starting a program just now
            processes.end_all()
            self.join(0.1)

    @property
    def so_far(self) -> Head | Unreachable | None:
        """The last answer; None before the first."""
        return self._answer if isinstance(self._answer, Head | Unreachable) else None

    def result(self) -> Head | Unreachable:
        """Wait for the answer; Unreachable when no remote can tell. Raise what is wrong with this machine."""
        self.join()
        if isinstance(self._answer, Head | Unreachable):
            return self._answer
        raise self._answer or RuntimeError("no remote was asked")


@contextmanager
def asked(remote: Remote, again: float = 0.0) -> Iterator[HeadRequest]:
    """Ask in the background while the body runs; when that fails, stop asking."""
    request = HeadRequest(remote, again)
    request.start()
    try:
        yield request
    except BaseException:
        request.stop()
        raise
    finally:
        request.join()
