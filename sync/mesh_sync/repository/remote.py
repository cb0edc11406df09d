"""The git host: asked for its head, and fetched from into the node's bare copy, by the `git` program.

GitPython is for the places where people make commits; a node on a one-minute timer starts git itself.
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

from mesh_sync.errors import CommandError, Reason, Refused, Unreachable
from mesh_sync.node.config import Node, Repository
from mesh_sync.repository.bare_copy import BareCopy, home
from mesh_sync.repository.git_command import git, public, raise_if_local, trouble, unsound
from mesh_sync.system.run import end_all, run

T = TypeVar("T")
CANDIDATE = "refs/mesh/candidate"
SHORTEST = 0.1
"""Seconds; with less time left, no remote is asked."""
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


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

    def head(self) -> Head:
        """Ask the remotes, in order, for the branch's commit. Raise Unreachable when none can tell."""
        return self._first(self._ask, self.settings.urls)

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
            raise Unreachable(f"{public(self.settings.urls[0])} has a repository larger than this node takes")
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
        problems = []
        for index, url in enumerate(urls):
            seconds = self._left / (len(urls) - index)
            if seconds < SHORTEST:
                problems.append(f"{public(url)} was not asked: the time is up")
                continue
            try:
                return action(url, seconds)
            except Unreachable as error:
                problems.append(error.message)
            except CommandError as error:
                raise_if_local(error)
                problems.append(f"{public(url)} {trouble(error)}")
        raise Unreachable("; ".join(problems))

    def _ask(self, url: str, seconds: float) -> Head:
        ref = f"refs/heads/{self.settings.branch}"
        argv = git("ls-remote", "--", url, ref, max_size=self.settings.max_size)
        text = run(argv, env=environment(self.settings, seconds), deadline=seconds)
        for line in text.splitlines():
            commit, _, name = line.partition("\t")
            if name == ref and _COMMIT.fullmatch(commit):
                return Head(url, commit)
        raise Unreachable(f"{public(url)} has no branch {self.settings.branch!r} (is the repository empty?)")

    def _fetch(self, url: str, seconds: float) -> str:
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", *([] if self.bare.whole else ["--update-shallow"])]
        refspec = f"+refs/heads/{self.settings.branch}:{CANDIDATE}"
        argv = self.bare.argv("fetch", *options, "--", url, refspec)
        self.bare.sweep()
        run(self.bare.argv("update-ref", "-d", CANDIDATE))  # so that one that is there afterwards was fetched now
        try:
            run(argv, env=environment(self.settings, seconds), deadline=seconds)
        except CommandError as error:
            self.bare.sweep()
            if findings := list(unsound(error)):
                raise Refused(f"{public(url)} sends objects that are no sound git history", findings=findings) from None
            if error.reason is Reason.DEADLINE:
                text = f"{public(url)} did not deliver branch {self.settings.branch!r} within {seconds:.0f} s"
                raise Unreachable(text) from None
            raise
        if not self.bare.objects.has(CANDIDATE):  # git only warns when it does not accept a shallow history
            text = f"{public(url)} has a shallow history, which cannot be verified"
            raise Refused(text, hint="git fetch --unshallow in that repository", lasting=False)
        return self.bare.objects.resolve(CANDIDATE)


def remotes(node: Node, seconds: float | None = None) -> Remote:
    """The remotes of a node; ``seconds``: another deadline than node.toml's."""
    return Remote(node.repository, node.bare_repository, whole=node.trust.mode == "signed", seconds=seconds)


def environment(repository: Repository, seconds: float) -> dict[str, str]:
    """git's environment: root's own git and ssh settings count, and git never prompts.

    ``seconds`` bounds ssh's attempt to connect.
    """
    ssh = ["ssh", "-oBatchMode=yes", f"-oConnectTimeout={max(1, int(seconds))}"]
    if repository.identity_file:
        ssh += ["-oIdentitiesOnly=yes", "-i", str(repository.identity_file)]
    if repository.known_hosts_file:
        ssh += [f"-oUserKnownHostsFile={repository.known_hosts_file}", "-oStrictHostKeyChecking=yes"]
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
