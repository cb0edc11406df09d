"""Carries out what the policy decided. The interface is changed under mesh-sync's lock, and nothing raises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence, Set

from attrs import evolve

from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.system.run import run
from mesh_sync.wireguard import wg
from mesh_sync.wireguard.key_rollover import pairs_of
from mesh_sync.wireguard.probe import Prober
from mesh_sync.wireguard.userspace import SOCKETS
from mesh_watchdog.birthday.rounds import Rounds
from mesh_watchdog.journal import Announcer, Problems, Tally, log
from mesh_watchdog.mesh_dns.calls import Calls
from mesh_watchdog.news.messenger import Messenger
from mesh_watchdog.opener import Opener
from mesh_watchdog.path_mtus import PathMtus
from mesh_watchdog.placing import carry, lead, nudge, promote
from mesh_watchdog.policy import leading
from mesh_watchdog.policy.actions import (
    Action,
    Announce,
    AskPath,
    AskWays,
    AwaitKnocks,
    Call,
    Carry,
    EndRound,
    FollowUplink,
    Knock,
    Lead,
    LookUp,
    Open,
    Probe,
    Promote,
    Rewrite,
    SetEndpoint,
)
from mesh_watchdog.policy.news import Ask, Pull, Tell
from mesh_watchdog.policy.observations import Seen
from mesh_watchdog.policy.relaying import taken_back
from mesh_watchdog.policy.state import State, in_use, under_listed_keys
from mesh_watchdog.sense.chatter import Chatter
from mesh_watchdog.sense.dns_lookup import DnsLookup
from mesh_watchdog.sense.kernel_ways import KernelWays
from mesh_watchdog.sense.wg_counters import read
from mesh_watchdog.under_lock import Changed, under_lock


class Actor:
    """``dns``, ``kernel`` and, by ``calls``, other nodes are asked; their answers are observations, as is what comes of
    ``rounds``.
    """

    def __init__(
        self,
        node: Node,
        problems: Problems,
        tally: Tally,
        dns: DnsLookup,
        kernel: KernelWays,
        calls: Calls,
        rounds: Rounds,
        messenger: Messenger,
        chatter: Chatter,
    ) -> None:
        self._node = node
        self._problems = problems
        self._tally = tally
        self._dns = dns
        self._kernel = kernel
        self._calls = calls
        self._prober = Prober(node.interface)
        self._opener = Opener()
        self._rounds = rounds
        self._messenger = messenger
        self._paths = PathMtus(node, problems, chatter)
        self.announcer = Announcer()

    async def carry_out(self, actions: Sequence[Action], before: State, after: State) -> State:
        """Do what was decided on the way from ``before`` to ``after``. Return what to believe now: what was done.

        Endpoints are set by one command for all, and before the probes that are to go there.
        """
        for action in actions:
            match action:
                case Announce():
                    self._announce(action, after)
                case LookUp():
                    self._dns.ask(action.host, action.servers)
                case AskWays():
                    self._kernel.ask(action.addresses, after.mark, names=bool(after.names))
                case Call():
                    self._calls.place(action)
                case Open():
                    self._open(action, after)
                case Knock() | AwaitKnocks():
                    self._rounds.begin(action, after.here.port, after.mark)
                case EndRound():
                    self._rounds.end()
                case Rewrite():
                    await self._rounds.rewrite(action.rules)
                case AskPath():
                    peer = after.peers[action.key]
                    self._paths.measure(action.key, peer.declared.name, peer.endpoint, peer.declared.probe)
                case Tell():
                    self._messenger.tell(action)
                case Ask():
                    self._messenger.ask(action)
                case Pull():
                    self._messenger.pull(action)
                case FollowUplink():
                    await self._paths.follow()
                case Promote():
                    await self._promote()
        if chosen := [action for action in actions if isinstance(action, SetEndpoint)]:
            after = await self._set_endpoints(chosen, before, after)
        if moves := [action for action in actions if isinstance(action, Carry)]:
            after = await self._carry(moves, before, after)
        if leads := [action for action in actions if isinstance(action, Lead)]:
            after = await self._lead(leads, before, after)
        probes = [one.key for one in actions if isinstance(one, Probe) and one.key in after.peers]
        await self._probe(probes, before, after)
        self._tally.probes = self._prober.sent
        return after

    def close(self) -> None:
        self._prober.close()
        self._opener.close()
        self._paths.close()

    def _announce(self, action: Announce, state: State) -> None:
        peer = state.peers.get(action.key)
        self.announcer.say(action, peer.declared.name if peer else state.here.name or self._node.name)

    def _open(self, action: Open, state: State) -> None:
        problem = self._opener.send(action.endpoint, state.here.port, action.ttl, state.mark)
        self._problems.set("opener", problem, over="NATs can be opened again")
        self._tally.openers += not problem

    async def _set_endpoints(self, chosen: Sequence[SetEndpoint], before: State, after: State) -> State:
        decided = {key: peer.seen for key, peer in after.peers.items() if peer.seen}
        result = await asyncio.to_thread(set_endpoints, self._node, chosen, decided)
        self._problems.set("endpoints", result.problem, over="endpoints can be set again")
        self._tally.writes.update(result.done)
        self._tally.avoided.update(result.alive)
        for one in chosen:
            if one.key in result.done:
                log.debug("%s: trying %s (%s)", after.peers[one.key].declared.name, one.endpoint, one.source)
        undone = {one.key: before.peers[one.key] for one in chosen if one.key not in result.done}
        return evolve(after, peers={**after.peers, **undone})

    async def _probe(self, keys: Sequence[str], before: State, after: State) -> None:
        """Data for a peer that is relayed goes through the relay, and what comes directly from one that relays us is no
        data that its WireGuard accepts: an empty packet is."""
        relayed = frozenset(key for key in keys if before.relaying.relay_of(key) or after.relaying.relay_of(key))
        for key in keys:
            if key not in relayed:
                self._prober.send(after.peers[key].declared.probe)
        if relayed:
            result = await asyncio.to_thread(nudge, self._node, relayed)
            self._problems.set("nudge", result.problem, over="relayed peers can be tried directly again")

    async def _carry(self, moves: Sequence[Carry], before: State, after: State) -> State:
        by_key = {move.key: move for move in moves}
        result = await asyncio.to_thread(carry, self._node, {key: move.relay for key, move in by_key.items()})
        self._problems.set("carry", result.problem, over="peers can be relayed again")
        self._announce_moves(by_key, result.done, after)
        return taken_back(before, after, frozenset(by_key) - result.done)

    async def _lead(self, moves: Sequence[Lead], before: State, after: State) -> State:
        by_network = {move.network: move for move in moves}
        result = await asyncio.to_thread(lead, self._node, {net: move.key for net, move in by_network.items()})
        self._problems.set("lead", result.problem, over="networks can be sent to other gateways again")
        self._announce_moves(by_network, result.done, after)
        return leading.taken_back(before, after, frozenset(by_network) - result.done)

    def _announce_moves(self, moves: Mapping[str, Carry | Lead], done: Set[str], after: State) -> None:
        """Tell of those moves that were made; what has moved is called in ``done`` as in ``moves``."""
        for name, move in moves.items():
            if name in done:
                self._announce(Announce(move.key, move.text), after)

    async def _promote(self) -> None:
        result = await asyncio.to_thread(promote, self._node)
        self._problems.set("promote", result.problem, over="allowed IPs can be moved again")
        for name in sorted(result.done):
            log.info("%s has changed its key: its traffic follows", name)


@under_lock
def set_endpoints(node: Node, actions: Iterable[SetEndpoint], decided: Mapping[str, Seen]) -> Changed:
    """Set endpoints by one `wg`, except of peers that left the applied state or the interface, or were heard since.

    ``decided``: what the decision was made from. `wg set` would create a peer that is not there (fact 7), so nothing
    else may write between reading and setting. The result names public keys.
    """
    desired = states.load(node.state_file).applied.desired
    peers = desired.peers if desired else ()
    listed, pairs = {peer.public_key for peer in peers}, pairs_of(peers)
    found, moment = read(node.interface) or {}, time.time()
    spoken, live = in_use(pairs, found, moment), under_listed_keys(pairs, found, moment)
    known = listed & live.keys() & decided.keys()
    chosen = {action.key: action for action in actions if action.key in known}
    alive = {key for key in chosen if _was_heard(decided[key], live[key])}
    due = sorted(chosen.keys() - alive)
    afresh = [key for key in due if chosen[key].afresh and not live[key].rx and not live[key].handshake]
    if set_ := [key for key in due if key not in afresh]:
        words = [word for key in set_ for word in ("peer", spoken.get(key, key), "endpoint", chosen[key].endpoint)]
        run(["wg", "set", node.interface, *words])
    whole = wg.dump(node.interface)["peers"] if afresh else {}
    for key in afresh:
        if (peer := whole.get(spoken.get(key, key))) and not peer.rx_bytes:
            wg.renew_peer(node.interface, peer, chosen[key].endpoint)
    return Changed(frozenset(due), frozenset(alive))


def _was_heard(before: Seen, after: Seen) -> bool:
    return (before.rx, before.handshake) != (after.rx, after.handshake)


def forget_source(node: Node) -> str:
    """Make a userspace WireGuard choose its source addresses again. Return what went wrong, if anything did.

    The kernel's own looks whether its source address is still there. wireguard-go does not as long as the interface
    stays the same (device/sticky_linux.go), and no answer ever comes back. Told its listening port again, it forgets
    them all; no endpoint is touched, and no session is lost.
    """
    if not (SOCKETS / f"{node.interface}.sock").exists():  # the kernel's
        return ""
    problem = _tell_port_again(node).problem
    return f"{node.interface} may go on sending from an address that is gone: {problem}" if problem else ""


@under_lock
def _tell_port_again(node: Node) -> Changed:
    port = run(["wg", "show", node.interface, "listen-port"]).strip()
    run(["wg", "set", node.interface, "listen-port", port])
    return Changed()
