"""Peers that have told of a new commit, as mirrors: they are asked before the remotes of node.toml.

What a mirror gives is worth what its signatures are. One that gives something else, or nothing, costs a little time,
and then the remotes are asked as if it were not there.
"""

from __future__ import annotations

import time

from mesh_sync.errors import CommandError, MeshSyncError, Unreachable
from mesh_sync.node import news
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.news import BRANCH, News, Teller
from mesh_sync.repository.bare_copy import BareCopy
from mesh_sync.repository.git_command import trouble
from mesh_sync.repository.incoming import Incoming
from mesh_sync.repository.remote import SHORTEST, Head, Remote, remotes
from mesh_sync.repository.remote_address import RemoteAddress

EACH, ALL = 2.5, 5.0
"""Seconds for one mirror, and for all of them, where the remotes answered when they were asked last; else …"""
PATIENT_EACH, PATIENT_ALL = 10.0, 20.0
"""… so many: a slow mirror is better than none."""
MAX_SIZE = 32
"""MiB of what one of them sends; who lacks more gets it from the remotes."""
LONGEST = 60.0
"""Seconds for which mirrors alone are believed to have the newest commit; after that the remotes come first."""
_OWN = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
"""Root's settings for git hosts say nothing about peers."""


class Mirrors(Remote):
    """The remotes of a node, and before them those who have told of ``news``.

    ``last``: those come after the remotes, if none answers; ``patient``: they have more time.
    """

    def __init__(self, node: Node, news: News, *, last: bool = False, patient: bool = False) -> None:
        super().__init__(node.repository, node.bare_repository, whole=True)
        self._news = news
        self._asked = 0
        self._last = last
        self._each, self._all = (PATIENT_EACH, PATIENT_ALL) if patient else (EACH, ALL)
        self._mirrors_end: float | None = None
        self._unreachable: Unreachable | None = None

    def head(self) -> Head:
        """Fetch from the mirrors, in turn, until one gives the commit; else as ever. Asked again, go on with the next.

        Of a mirror that has something newer, what was told is taken.
        """
        if not self._last:
            return self._of_mirrors() or self._of_remotes()
        if not self._unreachable:
            try:
                return self._of_remotes()
            except Unreachable as problem:
                self._unreachable = problem
        if head := self._of_mirrors():
            return head
        raise self._unreachable

    def _of_remotes(self) -> Head:
        self._end = time.monotonic() + self.settings.deadline
        return super().head()

    def _of_mirrors(self) -> Head | None:
        self._mirrors_end = self._mirrors_end or time.monotonic() + self._all
        for teller in self._news.tellers[self._asked :]:
            self._asked += 1
            if (seconds := min(self._each, self._mirrors_end - time.monotonic())) < SHORTEST:
                break
            try:
                self._fetch_from(teller, seconds)
                return Head(teller.url, self._news.commit)
            except CommandError as error:
                self.said.append(f"{teller.name} ({teller.url}) {trouble(error)}")
            except MeshSyncError as error:
                self.said.append(f"{teller.name}: {error.message}")
        return None

    def teller(self, head: Head) -> Teller | None:
        """The peer that has given this head; None where one of the remotes has."""
        return next((teller for teller in self._news.tellers if teller.url == head.url), None)

    def _fetch_from(self, teller: Teller, seconds: float) -> None:
        """Have the commit in the bare copy, with all that it descends from. Raise Unreachable if it does not come."""
        self.bare.make()
        self.bare.sweep()
        small = BareCopy(self.bare.place, min(MAX_SIZE, self.settings.max_size), whole=True)
        with Incoming(small, RemoteAddress.of(teller.url), BRANCH) as incoming:
            commit = incoming.fetch(_OWN, seconds, direct=True)
        told, objects = self._news.commit, self.bare.objects
        if commit != told and not (objects.has(told) and objects.descends(commit, told)):
            raise Unreachable(f"{teller.url} does not have the commit that it told of")


def mirrors(node: Node) -> Remote:
    """Whom a run asks, where peers have told of a commit: them first, if it may be new and signatures are verified."""
    found, state = news.load(node), states.load(node.state_file)
    remote, since = state.remote, state.remote.mirrored_since
    usable = (
        node.trust.mode == "signed" and remote.trusted and state.applied.commit and not state.confirmed_intent.pause
    )
    late = since is not None and not since <= time.time() < since + LONGEST
    if not found or not usable:
        return remotes(node)
    known = {state.applied.commit, state.last_confirmed.commit, *(refusal.commit for refusal in remote.refusals)}
    if found.commit in known or (remote.bad and remote.bad.commit == found.commit):
        return remotes(node)
    return Mirrors(node, found, last=late, patient=remote.silent_since is not None)
