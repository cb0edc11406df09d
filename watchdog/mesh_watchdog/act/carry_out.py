"""Carries out what the policy decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from attrs import evolve

from mesh_sync.node.config import Node
from mesh_sync.wireguard.probe import Prober
from mesh_watchdog.act import changes
from mesh_watchdog.journal import Announcer, Problems, Tally, log
from mesh_watchdog.policy.events import Action, Announce, LookUp, Probe, Promote, SetEndpoint
from mesh_watchdog.policy.state import State


class Actor:
    """``ask``: begins the look-up of a name; its answer is an observation."""

    def __init__(self, node: Node, problems: Problems, tally: Tally, ask: Callable[[str, State], None]) -> None:
        self._node = node
        self._problems = problems
        self._tally = tally
        self._ask = ask
        self._prober = Prober(node.interface)
        self.announcer = Announcer()

    async def carry_out(self, actions: Sequence[Action], before: State, after: State) -> State:
        """Do what was decided on the way from ``before`` to ``after``. Return what to believe now: what was done.

        Endpoints are set by one command for all, and before the probes that are to go there.
        """
        for action in actions:
            match action:
                case Announce():
                    peer = after.peers.get(action.key)
                    self.announcer.say(action, peer.declared.name if peer else self._node.name)
                case LookUp():
                    self._ask(action.host, after)
                case Promote():
                    await self._promote()
        if chosen := [action for action in actions if isinstance(action, SetEndpoint)]:
            after = await self._set_endpoints(chosen, before, after)
        for action in actions:
            if isinstance(action, Probe) and action.key in after.peers:
                self._prober.send(after.peers[action.key].declared.probe)
        self._tally.probes = self._prober.sent
        return after

    def close(self) -> None:
        self._prober.close()

    async def _set_endpoints(self, chosen: Sequence[SetEndpoint], before: State, after: State) -> State:
        decided = {key: peer.seen for key, peer in after.peers.items() if peer.seen}
        result = await asyncio.to_thread(changes.set_endpoints, self._node, chosen, decided)
        self._problems.set("endpoints", result.problem, over="endpoints can be set again")
        self._tally.writes.update(result.done)
        self._tally.avoided.update(result.alive)
        for one in chosen:
            if one.key in result.done:
                log.debug("%s: trying %s (%s)", after.peers[one.key].declared.name, one.endpoint, one.source)
        undone = {one.key: before.peers[one.key] for one in chosen if one.key not in result.done}
        return evolve(after, peers={**after.peers, **undone})

    async def _promote(self) -> None:
        result = await asyncio.to_thread(changes.promote, self._node)
        self._problems.set("promote", result.problem, over="allowed IPs can be moved again")
        for name in sorted(result.done):
            log.info("%s has changed its key: its traffic follows", name)
