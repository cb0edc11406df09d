"""The git host: asked for its head, and fetched from into the node's bare copy, by the `git` program.

GitPython is for the places where a mesh begins and is looked at; a node on a one-minute timer starts git itself.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from attrs import frozen

from mesh_sync.errors import CommandError, DeviceError, MeshSyncError, Refused, Unreachable
from mesh_sync.node.config import Node, Repository
from mesh_sync.repository.bare_copy import BareCopy, home
from mesh_sync.repository.git_command import LARGER, ROOM, git, public, raise_if_local, trouble
from mesh_sync.repository.incoming import Incoming
from mesh_sync.repository.remote_address import RemoteAddress
from mesh_sync.system.run import end_all, is_installed, run

T = TypeVar("T")
SHORTEST = 0.1
"""Seconds; with less time left, no remote is asked."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SSH = re.compile(r"(git\+)?ssh(\+git)?://|[^/]*:(?!//)")
"""An address for which git starts ssh (git-fetch(1), "Git URLs")."""


@frozen
class Head:
    """The branch's newest commit, as one of the remotes tells it."""

    url: str
    commit: str


class Remote:
    """The remotes of one node. All requests to them together take no longer than the deadline.

    ``whole``: the history is to be verified, so nothing of it may be missing. ``seconds``: another deadline than
    node.toml's.
    """

    def __init__(
        self, repository: Repository, bare: Path, *, whole: bool = False, seconds: float | None = None
    ) -> None:
        self.settings = repository
        self.bare = BareCopy(bare, repository.max_size, whole=whole)
        self._end = time.monotonic() + (repository.deadline if seconds is None else seconds)
        self.said: list[str] = []
        """Why those who were asked before these remotes gave nothing (`Mirrors`)."""

    def head(self) -> Head:
        """Ask the remotes, in order, for the branch's commit. Raise Unreachable when none can tell."""
        return self._first(self._ask, self.settings.urls)

    def urls_after(self, head: Head) -> Sequence[str]:
        """The remotes that are asked only when the one that has told ``head`` does not answer."""
        return self.settings.urls[self.settings.urls.index(head.url) + 1 :]

    def heads_of(self, urls: Sequence[str], first: Head) -> Iterator[Head]:
        """Ask these remotes, in turn, for heads other than ``first`` and each other's; some may tell none."""
        told = {first.commit}
        for answer in self._tried(self._ask, urls):
            if isinstance(answer, Head) and answer.commit not in told:
                told.add(answer.commit)
                yield answer

    def fetch(self, first: str) -> str:
        """Bring the branch into the bare copy, from ``first`` or else another remote; return the commit that came.

        A damaged copy is made again. Raise Refused when what a remote sends is no sound git history.
        """
        urls = [first, *(url for url in self.settings.urls if url != first)]
        self.bare.make()
        try:
            commit = self._first(self._fetch, urls)
        except Unreachable:
            if self._left < SHORTEST or self.bare.is_sound(self._left):
                raise
            self.bare.discard()
            self.bare.make()
            commit = self._first(self._fetch, urls)
        if not self.bare.tidy(self._left):
            raise Unreachable(f"{public(first)} {LARGER}", hint=ROOM)
        return commit

    def give_up(self) -> None:
        """The time is up from now on: no other remote is asked."""
        self._end = time.monotonic()

    @property
    def time_is_up(self) -> bool:
        """Whether no further remote is asked."""
        return self._left < SHORTEST

    @property
    def _left(self) -> float:
        """Seconds that all requests together may still take."""
        return self._end - time.monotonic()

    def _first(self, action: Callable[[str, float], T], urls: Sequence[str]) -> T:
        """What the first remote gives that can. Else raise DeviceError where this machine is a cause, Refused where one
        sends what is no history, Unreachable.
        """
        problems: list[MeshSyncError] = []
        for answer in self._tried(action, urls):
            if not isinstance(answer, MeshSyncError):
                return answer
            problems.append(answer)
        for kind in (DeviceError, Refused):
            for problem in problems:
                if isinstance(problem, kind):
                    raise problem
        hint = next((problem.hint for problem in problems if problem.hint), "")
        raise Unreachable("; ".join(problem.message for problem in problems), hint=hint)

    def _tried(self, action: Callable[[str, float], T], urls: Sequence[str]) -> Iterator[T | MeshSyncError]:
        """What each of these remotes gives, or why it does not, in turn; the time that is left is shared among them."""
        for index, url in enumerate(urls):
            seconds = self._left / (len(urls) - index)
            if seconds < SHORTEST:
                yield Unreachable(f"{public(url)} was not asked: the time is up")
                continue
            try:
                yield action(url, seconds)
            except CommandError as error:
                raise_if_local(error)
                if _SSH.match(url) and not is_installed("ssh"):
                    yield DeviceError("ssh is not installed")
                what = trouble(error)
                yield Unreachable(f"{public(url)} {what}", hint=ROOM if what is LARGER else "")
            except (Unreachable, Refused, DeviceError) as error:  # perhaps only of what this remote has sent
                yield error

    def _ask(self, url: str, seconds: float) -> Head:
        commit = self.newest(url, self.settings.branch, seconds)
        if commit is None:
            raise Unreachable(f"{public(url)} has no branch {self.settings.branch!r} (is the repository empty?)")
        return Head(url, commit)

    def newest(self, url: str, branch: str, seconds: float) -> str | None:
        """Ask one remote for a branch's commit; None when it has no such branch. Raise CommandError, Unreachable."""
        ref, address = f"refs/heads/{branch}", RemoteAddress.of(url)
        argv = git(*address.options, "ls-remote", "--", address.bare, ref, max_size=self.settings.max_size)
        text = run(argv, env={**environment(self.settings, seconds), **address.environment}, deadline=seconds)
        for line in text.split("\n"):
            commit, _, name = line.partition("\t")
            if name == ref and _COMMIT.fullmatch(commit):
                return commit
            if name == ref and _SHA256.fullmatch(commit):
                raise Unreachable(f"{public(url)} is a SHA-256 repository, which mesh-sync does not read")
        return None

    def _fetch(self, url: str, seconds: float) -> str:
        self.bare.sweep()
        with Incoming(self.bare, RemoteAddress.of(url), self.settings.branch) as incoming:
            return incoming.fetch(environment(self.settings, seconds), seconds)


def remotes(node: Node, seconds: float | None = None) -> Remote:
    """The remotes of a node; ``seconds``: another deadline than node.toml's."""
    return Remote(node.repository, node.bare_repository, whole=node.trust.mode == "signed", seconds=seconds)


_UNATTENDED = (
    "-oBatchMode=yes", "-oLogLevel=ERROR",
    "-oControlMaster=no", "-oControlPath=none",  # one that stays would keep git's output open, and a run waiting
    "-oClearAllForwardings=yes", "-oForwardAgent=no", "-oRequestTTY=no", "-oRemoteCommand=none",
)  # fmt: skip
"""What root's ~/.ssh/config may say for people; which way leads to the host stays root's choice."""
_PINNED = ("-oStrictHostKeyChecking=yes", "-oVerifyHostKeyDNS=no", "-oUpdateHostKeys=no")


def environment(repository: Repository, seconds: float) -> dict[str, str]:
    """git's environment: root's own git and ssh settings count, and git never prompts.

    ``seconds`` bounds ssh's attempt to connect.
    """
    ssh = ["ssh", *_UNATTENDED, f"-oConnectTimeout={max(1, int(seconds))}"]
    if repository.identity_file:
        ssh += ["-oIdentitiesOnly=yes", "-i", str(repository.identity_file)]
    if repository.known_hosts_file:
        ssh += [f"-oUserKnownHostsFile={repository.known_hosts_file}", *_PINNED]
    return {
        **home(),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": shlex.join(ssh),
        "SSH_ASKPASS_REQUIRE": "never",
        "RES_OPTIONS": "timeout:1 attempts:2",  # a dead first resolver costs one second, not five
    }


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
        self.took = 0.0
        """Seconds until the last answer, from when it was asked for."""

    def run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                self._answer = self.remote.head()
            except BaseException as problem:
                self._answer = problem
            self.took = time.monotonic() - began
            if not self._again or not isinstance(self._answer, Unreachable) or self._stopped.wait(self._again):
                return
            if self.remote.time_is_up:
                return

    def again(self) -> Head | MeshSyncError:
        """Ask once more, here and now: the answer is of no use, and the next may come from elsewhere (`Mirrors`)."""
        self.join()
        self.run()
        return self.result()

    def stop(self) -> None:
        """End what is under way; the answer is not needed any more."""
        self.remote.give_up()
        self._stopped.set()
        while self.is_alive():  # it may be starting a program just now
            end_all()
            self.join(0.1)

    @property
    def so_far(self) -> Head | Unreachable | None:
        """The last answer; None before the first."""
        return self._answer if isinstance(self._answer, Head | Unreachable) else None

    def result(self) -> Head | MeshSyncError:
        """Wait for the answer: a head, or why no remote can tell, be it this machine's fault."""
        self.join()
        if isinstance(self._answer, Head | MeshSyncError):
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
