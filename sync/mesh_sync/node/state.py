"""What this node remembers between runs, in state.json: this module alone reads and writes that file.

State ─┬─ Applied   what is on the interface, and what of it is ours
       ├─ Remote    what the remote has taught: its head, what is trusted, what was refused
       ├─ Trial     a commit that is applied and not confirmed, and the way back from it
       ├─ Intent    what a person asked for: a pause
       └─ history   the commits that were applied
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from mesh_sync.findings import Finding
from mesh_sync.node.history import History, Past, entered
from mesh_sync.system.files import write_atomically
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import table
from mesh_sync.wireguard.desired import Desired, DesiredPeer, Owned

VERSION = 2
REFUSALS = 4
"""Refused heads that are remembered."""


@frozen
class Applied:
    """The state that was applied last.

    ``fingerprint``: of what shapes the interface besides the commit. ``given``: the declared endpoint last fed to the
    kernel, ``resolved``: what it stood for, by public key. ``conf``: digest of wg0.conf. ``at``: Unix seconds.
    ``hooks_due``: the interface was made, and the hooks that follow have not all been run. ``anchor``: the newest
    commit of an admin in the history of ``commit``, where commits are signed. ``dated``: when that one (else
    ``commit``) says that it was made, ``known_at``: the latest moment at which this was worked out and the time was
    known; Unix seconds.
    """

    commit: str | None = None
    fingerprint: str = ""
    desired: Desired | None = None
    owned: Owned = Owned()
    given: Mapping[str, str] = field(factory=dict)
    resolved: Mapping[str, str] = field(factory=dict)
    conf: str = ""
    at: float | None = None
    hooks_due: bool = False
    anchor: Anchor | None = None
    dated: float | None = None
    known_at: float | None = None


@frozen
class Anchor:
    """A commit that an admin has signed: what a node has once trusted cannot be taken back below it.

    ``signed``: the digest of who has signed what; another commit with the same one is the same to its signer. Empty
    where a version before did not keep it.
    """

    commit: str
    signed: str = ""


@frozen
class Refusal:
    """A commit that was not accepted, and why.

    It is not evaluated again while the node's ``fingerprint`` and what was ``trusted`` then stay as they are, for a day
    from ``at`` (Unix seconds): it may be this node's clock that was wrong. ``cause``: the value of a `Cause`.
    """

    commit: str
    message: str
    findings: tuple[Finding, ...] = ()
    fingerprint: str = ""
    trusted: str | None = None
    at: float | None = None
    cause: str = ""


@frozen
class BadCommit:
    """A commit that was rolled back, and why. It is not tried again while the node's ``fingerprint`` stays as it is.

    ``until``: Unix seconds; where the commit may not be at fault, it is tried again from then on.
    """

    commit: str
    message: str
    fingerprint: str = ""
    until: float | None = None


@frozen
class Held:
    """A commit that was accepted and waits for the canaries: ``since`` when, and since when any does without a pause
    (``began``); Unix seconds.
    """

    commit: str
    since: float
    began: float


@frozen
class Remote:
    """What the remote has taught; none of it goes back when a commit is rolled back.

    ``commit``: the head that counts, or was looked at last. ``silent_since``: when the remotes first did not answer
    since one did, Unix seconds. ``refusals``: heads that were not accepted, the last one last. ``trusted``: the newest
    commit of an admin of which all history is verified, ``trust_root``: what that began from. ``verified``: how far
    beyond ``trusted`` the history is verified. ``others_asked``: when the remotes after the first that answers were
    asked last, too, Unix seconds. ``held``: the head waits for the canaries. ``mirrored_since``: when the first commit
    came from a peer since a remote answered.
    """

    commit: str | None = None
    silent_since: float | None = None
    refusals: tuple[Refusal, ...] = ()
    bad: BadCommit | None = None
    trusted: Anchor | None = None
    trust_root: str = ""
    verified: str | None = None
    others_asked: float | None = None
    held: Held | None = None
    mirrored_since: float | None = None

    def refusal_of(self, commit: str | None) -> Refusal | None:
        """Why ``commit`` was not accepted, if it was not."""
        return next((refusal for refusal in self.refusals if refusal.commit == commit), None)

    @property
    def refusal(self) -> Refusal | None:
        """Why the remote's head is not accepted, if it is not."""
        return self.refusal_of(self.commit)


@frozen
class Pause:
    """Told to stay at the applied commit; ``since`` in Unix seconds."""

    since: float
    reason: str = ""


@frozen
class Intent:
    """What a person asked this node for."""

    pause: Pause | None = None


@frozen
class Trial:
    """A commit that is applied and not confirmed: what the way back needs, written before the first change.

    ``previous``, ``intent``: the last confirmed state, and what was asked for then. ``found``: what others had put on
    the interface and this commit changes; where nothing had been applied, all of it. ``alive``: who answered before,
    names by public key; ``endpoints``: of every peer, numeric, by public key. ``remote``: whether a remote answered
    before. ``attempt`` counts from 1; ``began`` in Unix seconds.
    """

    commit: str | None
    fingerprint: str
    began: float
    attempt: int
    previous: Applied
    intent: Intent = Intent()
    found: Desired | None = None
    alive: Mapping[str, str] = field(factory=dict)
    endpoints: Mapping[str, str] = field(factory=dict)
    remote: bool = True


@frozen
class State:
    """All of it. ``lost`` marks a state that could not be read."""

    applied: Applied = Applied()
    remote: Remote = Remote()
    trial: Trial | None = None
    intent: Intent = Intent()
    history: History = ()
    lost: bool = field(default=False, eq=False)

    def called(self, name: str) -> str:
        """What the applied list calls this node; ``name``, that of node.toml, where nothing is applied."""
        return self.applied.desired.name if self.applied.desired else name

    @property
    def last_confirmed(self) -> Applied:
        """What was confirmed last: with a trial under way, what it would go back to."""
        return self.trial.previous if self.trial else self.applied

    @property
    def confirmed_intent(self) -> Intent:
        """What was asked for then."""
        return self.trial.intent if self.trial else self.intent

    def ending(self, how: str, moment: float, commit: str | None = None) -> State:
        """This state with one more entry in its history: ``commit`` (else the applied one) ended so at ``moment``."""
        commit = commit or self.applied.commit
        return evolve(self, history=entered(self.history, Past(commit, moment, how))) if commit else self


def load(path: Path) -> State:
    """Read the state. A missing file is an empty state; one that is broken is an empty state marked as lost."""
    global _last_known
    try:
        content = path.read_bytes()
        known, state = _last_known
        if (mark := hashlib.sha256(content).digest()) != known:
            state = _read(content)
            _last_known = mark, state
        return state
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return State(lost=True)


def _read(content: bytes) -> State:
    data = read_json(content)
    data = _from_version_1(data) if data["version"] == 1 else data
    _put_exits_apart(data)
    return _state_of({name: data[name] for name in _PARTS}) if data["version"] == VERSION else State(lost=True)


def save(path: Path, state: State) -> None:
    """Write the state, whole or not at all, 0600."""
    global _last_known
    content = as_json({"version": VERSION, **{name: getattr(state, name) for name in _PARTS}}, DesiredPeer).encode()
    write_atomically(path, content)
    _last_known = hashlib.sha256(content).digest(), evolve(state, lost=False)


def digest(text: str) -> str:
    """Fingerprint of a text; says whether it changed, and reveals nothing of it."""
    return hashlib.sha256(text.encode()).hexdigest()


_last_known: tuple[bytes, State] = b"", State()
"""The digest of the file that was read or written last, and the state in it: a run that changes something reads it
several times, for each step asks the file itself, and a large one takes long to read."""
_state_of = table(State, keys={"lost": None})
_PARTS = ("applied", "remote", "trial", "intent", "history")


def _put_exits_apart(data: dict[str, Any]) -> None:
    """What versions before `exit_routes` wrote: default routes were among the others, and known by their length."""
    trial = data["trial"] or {}
    states = [data["applied"], *([trial["previous"]] if trial else [])]
    for part in (trial.get("found"), *(state[name] for state in states for name in ("desired", "owned"))):
        if part and "exit_routes" not in part:
            part["exit_routes"] = [route for route in part["routes"] if route.endswith("/0")]
            part["routes"] = [route for route in part["routes"] if not route.endswith("/0")]


def _from_version_1(data: dict[str, Any]) -> dict[str, Any]:
    """What version 0.1 wrote: one flat table; its trial holds another one."""

    def applied(flat: dict[str, Any]) -> dict[str, Any]:
        same = {name: flat[name] for name in ("commit", "owned", "given", "resolved", "conf", "hooks_due")}
        return {**same, "fingerprint": flat["settings"], "desired": flat["wanted"], "at": flat["applied_at"]}

    def judged(flat: dict[str, Any] | None) -> dict[str, Any] | None:
        return flat and {**{k: v for k, v in flat.items() if k != "settings"}, "fingerprint": flat["settings"]}

    def intent(flat: dict[str, Any]) -> dict[str, Any]:
        return {"pause": flat.get("paused")}

    refusal, trial = judged(data["refusal"]), judged(data.get("trial"))
    return {
        "version": VERSION,
        "applied": applied(data),
        "remote": {
            "commit": data["remote_commit"],
            "silent_since": data["silent_since"],
            "refusals": [{"trusted": None, **refusal}] if refusal else [],
            "bad": judged(data.get("bad")),
            "trusted": data["trusted"] and {"commit": data["trusted"]},
            "trust_root": data["trust_root"],
        },
        "trial": trial and {**trial, "previous": applied(trial["previous"]), "intent": intent(trial["previous"])},
        "intent": intent(data),
        "history": data.get("history", []),
    }
