"""What the watchdog believes about one peer."""

from __future__ import annotations

from functools import cached_property

from attrs import evolve, frozen

from mesh_sync.wireguard import protocol
from mesh_sync.wireguard.protocol import INITIATION_SIZE, KEEPALIVE_SIZE, RESPONSE_SIZE
from mesh_watchdog.policy.observations import Declared, Seen

UP, NEW, SUSPECT, SEARCHING, MISSING = "up", "new", "suspect", "hunted", "missing"
"""`new`: not heard since we began to look; `missing`: the interface does not have it."""

PROMPT = protocol.KEEPALIVE_TIMEOUT - 2.0
"""Data within this time after a question is the other machine's answer, and not WireGuard's passive keepalive."""
MISS = 0.95
"""A probe without an answer for so long is a miss, for a peer that answers at once; such a one is then asked again."""
MISS_LEAST = 0.4
"""The least of it, while traffic is wanted of a peer that answers sooner: lines stall for so long, and more."""
MISS_TIMES = 3.0
"""… and else so many times as long as its answers usually take."""
DECAY = 1 / 8
"""How much an answer that came sooner than usual counts; one that came later is what is usual from then on."""
TALK = 3
"""Readings in a row with data from a peer that make it one in conversation …"""
TALK_PAUSE = 5.0
"""… with at most this between two of them."""
SUSPECT_AFTER = protocol.ANSWER_OWED
"""An answer was owed this long ago (R3)."""
SEARCH_AFTER = protocol.NEW_HANDSHAKE_TIME
"""WireGuard itself gives up on a path after this: from here on endpoints are tried (R3)."""
HANDSHAKE_OWED = protocol.REKEY_TIMEOUT + 0.5
"""A peer we never had a session with answers a handshake at once: it needs no more patience than a second try."""
PLACE = protocol.REKEY_ATTEMPT_TIME + protocol.REKEY_TIMEOUT
"""For so long after a packet that is not answered WireGuard tries to reach a peer: it has a place (`crowd`)."""
RX_HOLDS = 2.0
"""No write for so long after anything was received from a peer: a handshake may be under way."""
WRITES_AT_ONCE = 30
"""An endpoint may be written so often in a row; then `endpoint_search.WRITE_EVERY` apart."""
QUIET_BYTES = 600
"""What an idle peer may receive and send within some seconds: a handshake (148 + 92), a probe and its answer,
keepalives."""

SAMPLE = 3600.0
"""Every peer of a large mesh that is not watched is asked once in this time, on the average."""
LEAST = 0.75
"""The least pause, in samples; the longest is half of one longer."""

_WANTS_NOTHING = frozenset(
    keepalives * KEEPALIVE_SIZE + responses * RESPONSE_SIZE for keepalives in range(3) for responses in range(3)
)


@frozen(kw_only=True)
class PeerState:
    """One peer. Times are seconds on the monotonic clock.

    ``heard``: the last sign of life, or when we began to listen; ``reached``: the last byte received, of whatever kind;
    ``lived``: it was heard at all; ``wanted``: our first packet since then that wants an answer; ``asked``: our first
    probe since then; ``probed``: our last; ``quick``: it is expected to answer at once, because it does (``prompt``) or
    was talking; ``usual``: how long its answers take while traffic is wanted, None if not known; ``session``: when the
    handshake last changed; ``good``: the last endpoint that worked; ``path``: that at which its path was asked how
    large packets may be; ``last_set``: the last one we set; ``expected``: what its names stood for when it fell silent;
    ``tried``: the news from DNS that it was given since; ``tries``: endpoints still to be tried in this round;
    ``resume``: when those are due that news came before; ``allowance``: writes it has left; ``sought``: when it last
    had others look for us; ``punched``: when we last acted on where others see it, ``aims``: what they reported, and
    ``punches``: how often, since it was heard; ``used``: when there was traffic of a user, as far as can be told;
    ``turn``: when it got the place it has among those that owe an answer (`crowd`), and ``turns``: how many it had
    since it was heard; ``share``: when it has its turn in the `SAMPLE`, from 0 to 1;
    ``woke``: when this machine woke, if it was asleep for long since the peer was last heard or asked.
    """

    declared: Declared
    phase: str = NEW
    since: float
    heard: float
    lived: bool = False
    seen: Seen | None = None
    reached: float | None = None
    wanted: float | None = None
    asked: float | None = None
    probed: float | None = None
    misses: int = 0
    quick: bool = False
    prompt: bool | None = None
    usual: float | None = None
    talk: int = 0
    session: float | None = None
    good: str = ""
    path: str = ""
    source: str = "list"
    last_set: str = ""
    expected: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    tries: tuple[tuple[str, str], ...] = ()
    next_try: float = 0.0
    resume: float = 0.0
    next_round: float = 0.0
    rounds: int = 0
    switches: int = 0
    writes: int = 0
    wrote: float = 0.0
    allowance: float = WRITES_AT_ONCE
    recovery: float | None = None
    sought: float | None = None
    punched: float | None = None
    punches: int = 0
    aims: tuple[str, ...] = ()
    used: float | None = None
    turn: float | None = None
    turns: int = 0
    share: float = 0.0
    woke: float | None = None

    @cached_property
    def rests_until(self) -> float:
        """Until when there is nothing to do with it in a large mesh, if nothing is heard of it or sent to it.

        Reckoned once for each value, so that thousands of peers at rest cost a step next to nothing.
        """
        if self.phase == MISSING:
            return float("inf")
        is_heard = self.phase == UP or (self.phase == NEW and bool(self.endpoint))
        is_placed = self.seen is None or self.seen.carries
        since = (self.asked, self.wanted, self.used, self.sought)
        is_at_rest = is_heard and is_placed and not self.tries and all(moment is None for moment in since)
        return self.next_sample if is_at_rest else float("-inf")

    @property
    def next_sample(self) -> float:
        """When it is asked in a large mesh, whatever happens: some time after there last was anything with it."""
        last = max(self.heard, self.probed or self.heard)
        if self.woke is not None and self.woke > last:
            return max(self.since, self.woke) + self.share * SAMPLE
        if self.phase == NEW and self.probed is None:
            return self.since + self.share * SAMPLE
        return last + SAMPLE * (LEAST + self.share / 2)

    @property
    def endpoint(self) -> str:
        """Where the interface sends to; empty when there is none."""
        return self.seen.endpoint if self.seen else ""

    @property
    def silent(self) -> bool:
        """Whether it owes us a sign of life."""
        return self.phase in (SUSPECT, SEARCHING)

    @property
    def stranger(self) -> bool:
        """Whether this interface never got a byte from it: nothing that works can be lost."""
        return self.seen is not None and not self.seen.rx and not self.seen.handshake

    @property
    def missed_since(self) -> float | None:
        """Since when a direct answer of it is missing; None if it is not.

        One that had no endpoint is missed before it is asked: an endpoint that is found late begins no new wait.
        """
        if self.silent:
            return self.since if self.asked is None else min(self.since, self.asked)
        if self.phase != NEW:
            return None
        if not self.endpoint:
            return self.since
        return self.asked if self.stranger else None

    @property
    def suspect_after(self) -> float:
        """Seconds after a question within which even the slowest peer answers."""
        return HANDSHAKE_OWED if self.stranger else SUSPECT_AFTER

    @property
    def miss_after(self) -> float:
        """Seconds after which a probe of a quick peer is a miss.

        Its usual answer time is known from when traffic was wanted: only then the interface is read in time to tell.
        """
        if self.wanted is None:
            return MISS
        return min(MISS, max(MISS_LEAST, MISS_TIMES * (self.usual or 0.0)))

    @property
    def search_after(self) -> float:
        """Seconds after a question from which other endpoints are tried."""
        return HANDSHAKE_OWED if self.stranger else SEARCH_AFTER


def listen(peer: PeerState, seen: Seen, moment: float) -> tuple[PeerState, bool]:
    """Take in one reading of the counters; return the peer and whether it was heard (rule R1).

    Only received bytes and a new handshake count. Handshake initiations that are never completed show that it reaches
    us and we do not reach it: no sign of life. Counters that went back are those of a new interface, or
    of a stranger that was made afresh.
    """
    before = peer.seen
    went_back = before is not None and (seen.rx < before.rx or (seen.tx < before.tx and not peer.stranger))
    if before is None or went_back:
        return begin(peer, seen, moment), False
    received, sent = seen.rx - before.rx, seen.tx - before.tx
    if _is_traffic(peer, before, seen, moment):
        peer = evolve(peer, used=moment)
    shaken = seen.handshake != before.handshake
    if shaken or (received and received % INITIATION_SIZE):
        return _heard(peer, seen, received, shaken, moment), True
    wants = bool(sent) and sent not in _WANTS_NOTHING and peer.wanted is None
    return evolve(
        peer,
        seen=seen,
        wanted=moment if wants else peer.wanted,
        reached=moment if received else peer.reached,
    ), False


def begin(peer: PeerState, seen: Seen | None, moment: float) -> PeerState:
    """The peer as one that we begin to listen to; what is known of its whereabouts stays."""
    return PeerState(
        declared=peer.declared, since=moment, heard=moment, seen=seen, good=peer.good, source=peer.source,
        usual=peer.usual, writes=peer.writes, switches=peer.switches, wrote=peer.wrote, allowance=peer.allowance,
        recovery=peer.recovery, used=peer.used, share=peer.share,
    )  # fmt: skip


def _is_traffic(peer: PeerState, before: Seen, seen: Seen, moment: float) -> bool:
    """Whether this is more than what watchdogs send, or a handshake that our own probes have not begun."""
    if seen.traffic - before.traffic > QUIET_BYTES:
        return True
    sent = seen.tx - before.tx
    begun = sent and seen.rx == before.rx and sent % INITIATION_SIZE == 0
    return bool(begun) and (peer.probed is None or moment - peer.probed > PLACE)


def _heard(peer: PeerState, seen: Seen, received: int, shaken: bool, moment: float) -> PeerState:
    prompt = peer.prompt
    if peer.probed is not None and peer.asked is not None:
        if moment - peer.asked < PROMPT and received not in _WANTS_NOTHING:
            prompt = True
        elif received == KEEPALIVE_SIZE and peer.misses >= 2:
            prompt = False  # WireGuard answered for it
    source = peer.source
    if seen.endpoint not in (peer.last_set, peer.good) and peer.good:
        source = "roaming"
    return evolve(
        peer,
        seen=seen,
        heard=moment,
        lived=True,
        reached=moment,
        wanted=None,
        asked=None,
        misses=0,
        prompt=prompt,
        usual=_usual(peer, seen, moment) if prompt else peer.usual,
        talk=peer.talk + 1 if moment - peer.heard <= TALK_PAUSE and received != KEEPALIVE_SIZE else 0,
        session=moment if shaken else peer.session,
        good=seen.endpoint or peer.good,
        source=source,
        turn=None,
        turns=0,
    )


def _usual(peer: PeerState, seen: Seen, moment: float) -> float | None:
    """How long answers take, now that one is here. A peer that was elsewhere, or away, was not slow.

    Which probe the answer is to is not known. A line that is slow shows it by what comes before the peer is suspect.
    """
    if not peer.quick or peer.asked is None or peer.wanted is None:
        return peer.usual
    if peer.silent or peer.tried or seen.endpoint != peer.endpoint:
        return peer.usual
    took = min(moment - peer.asked, MISS)
    return took if peer.usual is None else max(took, peer.usual + DECAY * (took - peer.usual))


def probed(peer: PeerState, moment: float) -> PeerState:
    """The peer after it was sent a packet that wants an answer. Where nothing else did, a conversation is over."""
    if peer.turn is None or peer.probed is None or moment - peer.probed >= PLACE:
        peer = evolve(peer, turn=moment, turns=peer.turns + 1)
    if peer.asked is None:
        talking = peer.talk >= TALK and moment - peer.heard <= TALK_PAUSE
        quick = peer.prompt or (peer.prompt is None and talking)
        talk = 0 if peer.wanted is None else peer.talk
        return evolve(peer, asked=moment, probed=moment, misses=0, quick=bool(quick), talk=talk)
    missed = peer.probed is not None and moment - peer.probed >= peer.miss_after
    return evolve(peer, probed=moment, misses=peer.misses + missed)
