"""What this node says of itself to those who ask: made, and signed, only when someone asks, and then for a while."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from attrs import evolve

from mesh_sync import __version__
from mesh_sync.errors import MeshSyncError
from mesh_sync.node import last_run, own_signature
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.statement import NotDirect, Peers, Statement, joined, statement, written
from mesh_sync.system.files import stamp
from mesh_watchdog.journal import Problems
from mesh_watchdog.policy.crowd import LARGE
from mesh_watchdog.policy.peer import SAMPLE, UP, PeerState
from mesh_watchdog.policy.state import State

KEPT = 1.0
"""Seconds for which it is told again unseen."""
LASTING = 5.0
"""Seconds for which it is told again while nothing of it has changed but the time."""
JUMP = 2.0
"""Seconds by which the clock has to differ from what it was, to be read again: the moments told are to rest."""

HEARD_WITHIN = 30.0
"""Seconds after a watchdog began, or first asked a peer, within which it has heard one that lives: who cannot be asked
asks by itself (`peer_step.PROBE_IDLE`)."""


class OwnStatement:
    """``believed`` returns the watchdog's state."""

    def __init__(self, node: Node, believed: Callable[[], State], problems: Problems) -> None:
        self._node = node
        self._believed = believed
        self._problems = problems
        self._stamp: object = object()
        self._remembered = states.State()
        self._last: Statement | None = None
        self._sent = b""
        self._looked = self._made = float("-inf")
        self._epoch = 0.0
        self._making = asyncio.Lock()

    async def said(self) -> bytes:
        """The statement and its signature; empty where nothing is applied."""
        async with self._making:
            if time.monotonic() - self._looked >= KEPT:
                problem = await asyncio.to_thread(self._look, self._believed())
                if problem is not None:
                    self._problems.set("statement", problem, over="what this node says of itself is signed again")
                self._looked = time.monotonic()
        return self._sent

    def _look(self, believed: State) -> str | None:
        """Make it again, if it has changed or is old; return what went wrong then, if anything.

        In a thread of its own: files are read, and ssh-keygen signs.
        """
        if (found := stamp(self._node.state_file)) != self._stamp:
            self._remembered, self._stamp = states.load(self._node.state_file), found
        nat, moment = believed.rendezvous.nat, time.time()
        run = last_run.read(self._node)
        if abs(moment - time.monotonic() - self._epoch) > JUMP:
            self._epoch = moment - time.monotonic()
        new = statement(self._remembered, run, peers(believed, self._epoch, time.monotonic()), nat, __version__, moment)
        same = new and self._last and evolve(new, moment=self._last.moment) == self._last
        if same and time.monotonic() - self._made < LASTING:
            return None
        self._last, self._made = new, time.monotonic()
        signature, problem = "", ""
        line = written(new) if new else ""
        try:
            signature = own_signature.signature(self._node, line) if line else ""
        except MeshSyncError as error:
            problem = f"what this node says of itself is not signed: {error.message}"
        self._sent = joined(line, signature) if line else b""
        return problem


def peers(believed: State, epoch: float, moment: float) -> Peers:
    """How many peers are in each state, and which are not up directly. ``epoch``: when the monotonic clock was 0;
    ``moment``: now, on that clock.
    """
    relaying = believed.relaying
    counts = Counter[str]()
    relays = {key: name for name, key in relaying.relays.items()}
    apart = []
    for key, peer in believed.peers.items():
        relay, name = relaying.relay_of(key), peer.declared.name
        if relay:
            state = "relayed"
        elif peer.phase == UP:
            state = "up"
        else:
            state = "new" if _is_new(peer, believed, moment) else "stale"
        counts[state] += 1
        if relay and name and relay in relays:
            apart.append(NotDirect(peer=name, since=_unix(epoch + relaying.peers[key].since), relay=relays[relay]))
        elif state == "stale" and name:
            apart.append(NotDirect(peer=name, since=_unix(epoch + peer.heard)))
    return Peers(**counts, not_direct=tuple(apart))


def _is_new(peer: PeerState, believed: State, moment: float) -> bool:
    """Whether its silence says nothing yet. In a large mesh it may be asked as late as the sample is."""
    if peer.lived:
        return False
    if peer.asked is not None:
        return moment - peer.asked < HEARD_WITHIN
    return moment - peer.heard < (SAMPLE if len(believed.peers) >= LARGE else HEARD_WITHIN)


def _unix(moment: float) -> int:
    """In whole seconds, and not before 1970, whatever the clock says."""
    return max(0, int(moment))
