"""What this node remembers between runs: the last applied state, what it owns on the interface, what it refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from mesh_sync.files import write_atomically
from mesh_sync.findings import Finding
from mesh_sync.wanted import Owned, Wanted

VERSION = 1


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
    wanted: Wanted | None = None
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
    lost: bool = field(default=False, eq=False)


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
        "wanted": state.wanted.to_json() if state.wanted else None,
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
    }


def _from_json(data: dict[str, Any]) -> State:
    if data.pop("version") != VERSION:
        raise ValueError("another version wrote this state")
    state = State(**data)
    refusal = state.refusal and Refusal(
        data["refusal"]["commit"],
        data["refusal"]["message"],
        tuple(Finding(**finding) for finding in data["refusal"]["findings"]),
        data["refusal"]["settings"],
        data["refusal"].get("trusted"),
    )
    wanted = data["wanted"] and Wanted.from_json(data["wanted"])
    return evolve(state, wanted=wanted, owned=Owned.from_json(data["owned"]), refusal=refusal)
