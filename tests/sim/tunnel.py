"""One end of a WireGuard tunnel: sessions, timers, roaming and counters, as far as a watchdog can tell them apart."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

from attrs import define, field, frozen

from mesh_sync.wireguard.protocol import (
    INITIATION_SIZE,
    KEEPALIVE_SIZE,
    KEEPALIVE_TIMEOUT,
    NEW_HANDSHAKE_TIME,
    REJECT_AFTER_TIME,
    REKEY_AFTER_TIME,
    REKEY_ATTEMPT_TIME,
    REKEY_TIMEOUT,
    RESPONSE_SIZE,
)
from sim.history import Clock
from sim.underlay import Packet

ATTEMPTS = REKEY_ATTEMPT_TIME // REKEY_TIMEOUT
_numbers = itertools.count(1)


@frozen
class Session:
    number: int
    began: float
    initiator: bool


@define(eq=False, repr=False)
class Tunnel:
    """What node ``own`` has for ``peer``. ``send`` hands a packet to the underlay, ``inner`` one to the machine."""

    clock: Clock
    chance: random.Random
    own: str
    peer: str
    wall: Callable[[], float]
    send: Callable[[Packet, str], None]
    inner: Callable[[str], None]
    endpoint: str = ""
    keepalive: float = 0.0
    rx: int = 0
    tx: int = 0
    handshake: int = 0
    current: Session | None = None
    upcoming: Session | None = None
    previous: Session | None = None
    began: float = float("-inf")
    attempts: int = 0
    trying: bool = False
    awaited: bool = False
    newest: float = float("-inf")
    staged: list[str] = field(factory=list)
    heard: float = float("-inf")
    alive: float = float("-inf")
    removed: bool = False
    _timers: dict[str, int] = field(factory=dict)

    # -- what people do

    def data(self, payload: str) -> None:
        """The machine sends something into the tunnel."""
        if not self.endpoint or self.removed:
            return
        if not self._valid(self.current):
            self.staged = [*self.staged, payload][-8:]
            self._begin()
            return
        self._transmit("data", payload)
        self._disarm("passive")
        self._arm("unanswered", NEW_HANDSHAKE_TIME, self._begin)

    def start(self) -> None:
        if self.keepalive:
            self._keep()

    def remove(self) -> None:
        self.removed = True

    # -- what arrives

    def receive(self, packet: Packet, source: str) -> None:
        if self.removed:
            return
        if packet.kind == "initiation":
            if packet.stamp <= self.newest:
                return
            self.newest = packet.stamp
            self.awaited = False  # there is one handshake at a time: of two that cross, neither is answered
            self._accept(packet, source)
            self.upcoming = Session(packet.session, self.clock.now, False)
            self._emit("response", RESPONSE_SIZE, packet.session)
        elif packet.kind == "response":
            if not self.trying or not self.awaited:
                return
            self.trying = self.awaited = False
            self._accept(packet, source, alive=True)
            self._use(Session(packet.session, self.clock.now, True))
            staged, self.staged = self.staged, []
            for payload in staged:
                self.data(payload)
            if not staged:
                self._transmit("keepalive", "")
        else:
            self._receive_data(packet, source)

    def _receive_data(self, packet: Packet, source: str) -> None:
        if self.upcoming and packet.session == self.upcoming.number:
            self._use(self.upcoming)
        known = [s for s in (self.current, self.previous) if s and s.number == packet.session and self._valid(s)]
        if not known:
            return
        self._accept(packet, source, alive=True)
        if packet.kind == "data":
            self._arm("passive", KEEPALIVE_TIMEOUT, lambda: self._transmit("keepalive", ""))
            self.inner(packet.payload)

    def _accept(self, packet: Packet, source: str, alive: bool = False) -> None:
        """It is authentic: the peer roams to where it came from."""
        self.rx += packet.size
        self.endpoint = source
        self.heard = self.clock.now
        self.alive = self.clock.now if alive else self.alive
        self._disarm("unanswered")
        self._rearm()

    def _use(self, session: Session) -> None:
        beside = self.upcoming if self.upcoming is not session else None  # both began a handshake at once
        self.previous, self.current, self.upcoming = beside or self.current, session, None
        self.handshake = int(self.wall())
        self.trying = False

    # -- what is sent

    def _begin(self) -> None:
        """A new handshake, if none is under way."""
        if self.trying and self.attempts <= ATTEMPTS:
            return
        self.trying, self.attempts = True, 0
        self._initiate()

    def _initiate(self) -> None:
        if not self.trying or self.removed:
            return
        wait = self.began + REKEY_TIMEOUT - self.clock.now
        if wait > 0:
            self._disarm("retry")
            self._arm("retry", wait, self._initiate)
            return
        self.attempts += 1
        if self.attempts > ATTEMPTS:
            self.trying = False
            self.staged.clear()
            return
        self.began, self.awaited = self.clock.now, True
        self._emit("initiation", INITIATION_SIZE, next(_numbers))
        self._disarm("retry")
        self._arm("retry", REKEY_TIMEOUT + self.chance.random() / 3, self._initiate)

    def _transmit(self, kind: str, payload: str) -> None:
        if not self._valid(self.current):
            self._begin()
            return
        assert self.current
        self._emit(kind, KEEPALIVE_SIZE + (96 if kind == "data" else 0), self.current.number, payload)
        if self.current.initiator and self.clock.now - self.current.began > REKEY_AFTER_TIME:
            self._begin()

    def _emit(self, kind: str, size: int, session: int, payload: str = "") -> None:
        if not self.endpoint or self.removed:
            return
        self.tx += size
        self._rearm()
        packet = Packet(
            kind=kind, sender=self.own, receiver=self.peer, size=size, session=session, payload=payload,
            stamp=self.wall(),
        )  # fmt: skip
        self.send(packet, self.endpoint)

    def _valid(self, session: Session | None) -> bool:
        return session is not None and self.clock.now - session.began < REJECT_AFTER_TIME

    # -- timers

    def _keep(self) -> None:
        self._disarm("persistent")
        self._arm("persistent", self.keepalive, self._keep)
        self._transmit("keepalive", "")

    def _rearm(self) -> None:
        if self.keepalive:
            self._disarm("persistent")
            self._arm("persistent", self.keepalive, self._keep)

    def _arm(self, name: str, delay: float, do: Callable[[], None]) -> None:
        if self._timers.get(name):
            return
        number = self._timers[name] = next(_numbers)

        def fire() -> None:
            if self._timers.get(name) == number:
                self._timers[name] = 0
                if not self.removed:
                    do()

        self.clock.after(delay, fire)

    def _disarm(self, name: str) -> None:
        self._timers[name] = 0
