"""What a node says of itself to those who ask over the mesh: one line of JSON, and the node's signature over it. Pure.

A signature has a namespace of its own (PROTOCOL.sshsig of OpenSSH), so that no statement passes for a commit, nor a
commit for a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from attrs import fields, frozen

from mesh_sync.node.last_run import LastRun
from mesh_sync.node.state import State
from mesh_sync.typed_toml.fields import Hook, between, one_line, peer_name, text
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, list_of, table

NAMESPACE = "mesh-sync-fleet"
LARGEST = 4096
"""Bytes of a statement and its signature; what is larger is none."""
MOST_PEERS = 1_000_000
MOST_NAMED, ROOM = 8, 400
"""How many peers a statement names, and in how many bytes of JSON: it is to fit a packet."""
MOST_READ = 64
"""How many are read: those of a later version, too."""


@frozen(kw_only=True)
class NotDirect:
    """A peer that is not up directly. ``since``: when it was heard last, or since when the relay carries it, Unix
    seconds; ``relay``: the peer that does, empty where none does, and the peer is stale.
    """

    peer: str
    since: int
    relay: str = ""


@frozen(kw_only=True)
class Peers:
    """How many peers the node's watchdog has in each state; ``stale``: neither heard nor relayed; ``new``: the same, of
    one that has not had the time to be heard since that watchdog began.

    ``not_direct``: the stale and the relayed ones, or some of them.
    """

    up: int = 0
    stale: int = 0
    relayed: int = 0
    new: int = 0
    not_direct: tuple[NotDirect, ...] = ()


def named(found: Iterable[NotDirect]) -> tuple[NotDirect, ...]:
    """Of these those that a statement names: stale ones first, by name, as many as there is room for."""
    chosen: list[NotDirect] = []
    room = ROOM
    for one in sorted(found, key=lambda one: (bool(one.relay), one.peer)):
        room -= len(as_json(one)) + 1
        if room < 0 or len(chosen) == MOST_NAMED:
            break
        chosen.append(one)
    return tuple(chosen)


@frozen(kw_only=True)
class Statement:
    """``commit``: the one confirmed last, ``since``: when it was applied; ``trial``: one that is applied and not
    confirmed yet. ``result``, ``cause``, ``ran``: of the last run (`LastRun`); ``cause`` is also ``paused``, or
    ``canaries`` that are waited for. ``nat``: the class of the NAT before the node, empty while it is not known.
    ``not_direct``: see `Peers`; all of them where they are as many as ``stale`` and ``relayed`` together. ``moment``:
    when this was said. Moments are Unix seconds, by the node's clock.
    """

    mesh: str
    node: str
    commit: str | None
    since: float | None = None
    trial: str | None = None
    version: str
    result: str = ""
    cause: str = ""
    ran: float | None = None
    up: int = 0
    stale: int = 0
    relayed: int = 0
    new: int = 0
    nat: str = ""
    moment: float
    not_direct: tuple[NotDirect, ...] = ()

    @property
    def names_all(self) -> bool:
        """Whether every peer that is not up directly is named. Of the new ones none is."""
        return not self.new and len(self.not_direct) == self.stale + self.relayed

    def of(self, peer: str) -> NotDirect | None:
        """What it says of a peer that it names: one that is not up directly."""
        return next((one for one in self.not_direct if one.peer == peer), None)


def statement(state: State, run: LastRun, peers: Peers, nat: str, version: str, moment: float) -> Statement | None:
    """Given what a node remembers, and what its watchdog believes, return what it says at ``moment``; None where it has
    nothing applied and so is no node of a mesh.
    """
    confirmed = state.last_confirmed
    desired = confirmed.desired or state.applied.desired
    if desired is None:
        return None
    entered = [past.applied_at for past in state.history if past.stayed and past.commit == confirmed.commit]
    return Statement(
        mesh=desired.mesh, node=desired.name, commit=confirmed.commit, since=entered[-1] if entered else confirmed.at,
        trial=state.trial.commit if state.trial else None, version=version, result=run.result,
        cause=run.cause or _holding(state, run), ran=run.at, up=peers.up, stale=peers.stale, relayed=peers.relayed,
        new=peers.new, nat=nat, moment=moment, not_direct=named(peers.not_direct),
    )  # fmt: skip


def _holding(state: State, run: LastRun) -> str:
    """Why a run that refused nothing left a newer commit alone."""
    if run.result not in ("in-sync", "applied"):
        return ""
    return "paused" if state.intent.pause else "canaries" if state.remote.held else ""


def written(said: Statement) -> str:
    """A statement as it is sent and signed: one line, without spaces."""
    return as_json(said)


def read(line: bytes) -> Statement:
    """Given the line, return the statement; keys of later versions are left out. Raise ValueError if it is none.

    All of it is bounded and printable, whoever wrote it.
    """
    found = read_json(line)
    if not isinstance(found, dict):
        raise Wrong("is not a statement")
    return _statement({key: value for key, value in found.items() if key in _KEYS})


def joined(line: str, signature: str) -> bytes:
    """What is sent: the line, and below it the signature in base64, empty where there is none."""
    return f"{line}\n{signature}".encode()


def parted(sent: bytes) -> tuple[bytes, bytes]:
    """The line and the signature of what was sent."""
    line, _, signature = sent.partition(b"\n")
    return line, signature


def _matching(pattern: str) -> Hook:
    compiled = re.compile(pattern)

    def hook(value: object) -> str:
        if not compiled.fullmatch(text(value)):
            raise ValueError("is not such a word")
        return text(value)

    return hook


def _or_none(hook: Hook) -> Hook:
    return lambda value: None if value is None else hook(value)


_commit, _word = _matching("[0-9a-f]{40}"), _matching("[a-z-]{0,20}")
_count = between(0, MOST_PEERS, "a number of peers")
_KEYS = frozenset(each.name for each in fields(Statement))
_NAMED_KEYS = frozenset(each.name for each in fields(NotDirect))
_named = table(
    NotDirect, peer=peer_name, since=between(0, 1 << 40, "a moment"), relay=lambda value: value and peer_name(value)
)


def _not_direct(value: object) -> Any:
    if not isinstance(value, dict):
        raise Wrong("is no peer")
    return _named({key: found for key, found in value.items() if key in _NAMED_KEYS})


_statement = table(
    Statement, mesh=one_line(255), node=peer_name, commit=_or_none(_commit), trial=_or_none(_commit),
    version=_matching(r"[0-9A-Za-z.+-]{1,40}"), result=_word, cause=_word, nat=_word,
    up=_count, stale=_count, relayed=_count, new=_count, not_direct=list_of(_not_direct, most=MOST_READ),
)  # fmt: skip
