"""What this node remembers between runs: the applied state, what it owns on the interface, what it refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen

from mesh_sync.findings import Finding
from mesh_sync.system.files import write_atomically
from mesh_sync.typed_toml.plain_types import checked
from mesh_sync.wireguard.desired import Desired, Owned

VERSION = 1
HISTORY = 10
"""Applied states that are remembered."""
LEARNT = ("remote_commit", "refusal", "silent_since", "trusted", "trust_root", "bad", "history")
"""Of a state: what does not go back with it when it is undone."""

RETRY = "push a newer commit, or try this one again: mesh-sync now --retry"
"""What to do about a commit that was undone."""


@frozen
class Refusal:
    """A commit that was not accepted, and why; not looked at again while ``settings`` and ``trusted`` stay as they are.

    ``trusted`` is what was trusted when it was looked at.
    """

    commit: str
    message: str
    findings: tuple[Finding, ...] = ()
    settings: str = ""
    trusted: str | None = None


@frozen
class Bad:
    """A commit that was undone, and why; not tried again while ``settings`` stay as they are."""

    commit: str
    message: str
    settings: str = ""


@frozen
class Paused:
    """Told to stay at the applied commit; ``since`` in Unix seconds."""

    since: float
    reason: str = ""


@frozen
class Past:
    """An applied state of the past; ``ended``: `confirmed`, `unconfirmed` (nobody asked) or `rolled-back`."""

    commit: str
    applied_at: float
    ended: str


@frozen
class Trial:
    """A commit that is applied and not confirmed: what it takes to go back, written before the first change.

    ``previous``: the confirmed state. ``found``: the interface as it was where nothing was known of it. ``alive``: who
    answered before, names by public key; ``endpoints``: of everybody, numeric, by public key. ``remote``: whether a
    remote answered before. ``attempt`` counts from 1; ``began`` in Unix seconds.
    """

    commit: str | None
    settings: str
    began: float
    attempt: int
    previous: State
    found: Desired | None = None
    alive: Mapping[str, str] = field(factory=dict)
    endpoints: Mapping[str, str] = field(factory=dict)
    remote: bool = True


@frozen
class State:
    """``given``: the declared endpoint last fed to the kernel, ``resolved``: what it stood for, by public key.
    ``conf``: digest of wg0.conf.

    ``hooks_due``: the interface was made, and the hooks that follow have not all been run.
    ``silent_since``: when the remotes were asked in vain for the first time since one answered, Unix seconds.
    ``settings``: digest of what in node.toml shapes the interface. ``lost`` marks a state that could not be read.
    ``trusted``: the newest commit of which all history is verified, ``trust_root``: what that began from.
    """

    commit: str | None = None
    remote_commit: str | None = None
    settings: str = ""
    desired: Desired | None = None
    owned: Owned = Owned()
    given: Mapping[str, str] = field(factory=dict)
    resolved: Mapping[str, str] = field(factory=dict)
    conf: str = ""
    applied_at: float | None = None
    refusal: Refusal | None = None
    hooks_due: bool = False
    silent_since: float | None = None
    trusted: str | None = None
    trust_root: str = ""
    trial: Trial | None = None
    bad: Bad | None = None
    paused: Paused | None = None
    history: tuple[Past, ...] = ()
    lost: bool = field(default=False, eq=False)

    @property
    def home(self) -> State:
        """What was confirmed last: with a trial under way, what it would go back to."""
        if not self.trial:
            return self
        return evolve(self.trial.previous, **{name: getattr(self, name) for name in LEARNT})

    def ending(self, how: str, now: float, commit: str | None = None) -> State:
        """This state with one entry more in its history: ``commit`` (its own, if none is given) ended so.

        ``now``: Unix seconds.
        """
        commit = commit or self.commit
        return evolve(self, history=(*self.history, Past(commit, now, how))[-HISTORY:]) if commit else self


def load(path: Path) -> State:
    """Read the state. A missing file is an empty state; one that is broken is an empty state marked as lost."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return State()
    except OSError:
        return State(lost=True)
    try:
        return _from_json(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return State(lost=True)


def save(path: Path, state: State) -> None:
    """Write the state, whole or not at all, 0600."""
    write_atomically(path, json.dumps(_to_json(state), separators=(",", ":")))


def digest(text: str) -> str:
    """Fingerprint of a text; says whether it changed, and reveals nothing of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _to_json(state: State) -> dict[str, Any]:
    refusal = state.refusal and {
        "commit": state.refusal.commit,
        "message": state.refusal.message,
        "findings": [finding.as_json() for finding in state.refusal.findings],
        "settings": state.refusal.settings,
        "trusted": state.refusal.trusted,
    }
    return {
        "version": VERSION,
        "commit": state.commit,
        "remote_commit": state.remote_commit,
        "settings": state.settings,
        "wanted": state.desired.to_json() if state.desired else None,
        "owned": state.owned.to_json(),
        "given": dict(state.given),
        "resolved": dict(state.resolved),
        "conf": state.conf,
        "applied_at": state.applied_at,
        "refusal": refusal,
        "hooks_due": state.hooks_due,
        "silent_since": state.silent_since,
        "trusted": state.trusted,
        "trust_root": state.trust_root,
        "trial": state.trial and _trial_to_json(state.trial),
        "bad": state.bad and asdict(state.bad),
        "paused": state.paused and asdict(state.paused),
        "history": [asdict(past) for past in state.history],
    }


def _trial_to_json(trial: Trial) -> dict[str, Any]:
    plain = {name: getattr(trial, name) for name in ("commit", "settings", "began", "attempt", "remote")}
    return {
        **plain,
        "previous": _to_json(trial.previous),
        "found": trial.found.to_json() if trial.found else None,
        "alive": dict(trial.alive),
        "endpoints": dict(trial.endpoints),
    }


def _from_json(data: dict[str, Any]) -> State:
    if data.pop("version") != VERSION:
        raise ValueError("another version wrote this state")
    data["desired"] = data.pop("wanted")
    state = checked(State(**data))
    refusal = state.refusal and Refusal(
        data["refusal"]["commit"],
        data["refusal"]["message"],
        tuple(checked(Finding(**finding)) for finding in data["refusal"]["findings"]),
        data["refusal"]["settings"],
        data["refusal"].get("trusted"),
    )
    return evolve(
        state,
        desired=data["desired"] and Desired.from_json(data["desired"]),
        owned=Owned.from_json(data["owned"]),
        refusal=refusal and checked(refusal),
        trial=state.trial and _trial_from_json(data["trial"]),
        bad=state.bad and checked(Bad(**data["bad"])),
        paused=state.paused and checked(Paused(**data["paused"])),
        history=tuple(checked(Past(**past)) for past in data.get("history", ())),
    )


def _trial_from_json(data: dict[str, Any]) -> Trial:
    found = data["found"] and Desired.from_json(data["found"])
    return checked(Trial(**{**data, "previous": _from_json(data["previous"]), "found": found}))
