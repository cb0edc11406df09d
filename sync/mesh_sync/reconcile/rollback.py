"""`mesh-sync rollback`, `pause` and `resume`: this node does not follow the list for a while. Needs no network."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from attrs import evolve

from mesh_sync.errors import CommandError, ConfigError, DeviceError, Unreachable
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import with_gateway
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.own_keys import with_own_key
from mesh_sync.node.run_lock import locked_run
from mesh_sync.node.state import Past, Paused, State
from mesh_sync.reconcile.apply import enforce
from mesh_sync.reconcile.auto_rollback import attempt
from mesh_sync.reconcile.evaluate import accept
from mesh_sync.reconcile.outcome import Outcome
from mesh_sync.reconcile.pipeline import is_new, outcome
from mesh_sync.reconcile.target import Aim
from mesh_sync.repository.head_request import remotes
from mesh_sync.system.lock import WAIT, locked
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.device import Device

SHORTEST = 7
"""Digits of a commit that say which one is meant."""
_DIGITS = re.compile(rf"[0-9a-f]{{{SHORTEST},64}}")
ASKING = 5.0
"""Seconds for the remotes to show that they answer now: only then must they do so after going back, too."""


def rollback(node: Node, commit: str | None, *, wait: float = WAIT, note: Callable[[str], None]) -> Outcome:
    """Go back to an earlier applied state and stay there: the one before, or ``commit`` (7 digits are enough).

    Raise ConfigError for one that is not in the history, Refused when it cannot be this node's state any more.
    """
    with locked_run(node, wait):
        before = states.load(node.state_file)
        device = Device(node.interface, node.sysctl_file, note)
        home = before.home
        chosen = choose(before, commit)
        desired = with_own_key(with_gateway(_derive(node, chosen), node), node)
        why = f"rolled back from {(before.commit or 'nothing')[:10]}"
        target = evolve(home, commit=chosen, settings=fingerprint(node), desired=desired, refusal=None)
        target = evolve(target, paused=Paused(time.time(), why))
        live = device.read(desired)
        if node.confirm.deadline and is_new(home, target, desired):
            tried = attempt(node, device, target, desired, live, wait=wait, remote=_answers(node), blame=False)
            return outcome(node, Aim(tried.state, tried.problem), tried.done)
        with locked(node.lock_file, wait):
            done = enforce(node, device, desired, before, target, device.read(desired), undo=before.trial)
        return outcome(node, Aim(target), done)


def choose(state: State, commit: str | None) -> str:
    """The commit that is meant. Raise ConfigError when there is none, or more than one."""
    kept = [past.commit for past in reversed(state.history) if past.ended != "rolled-back"]
    if commit is None:
        if state.trial and state.home.commit:
            return state.home.commit
        earlier = [past for past in kept if past != state.commit]
        if not earlier:
            raise ConfigError("there is no earlier applied state to go back to", hint="mesh-sync status lists them")
        return earlier[0]
    if not _DIGITS.fullmatch(commit):
        raise ConfigError(
            f"{commit!r} is not a commit: at least {SHORTEST} digits of its hash", hint=_known(state.history)
        )
    found = {past.commit for past in state.history if past.commit.startswith(commit)}
    if len(found) != 1:
        what = "is not among the applied states" if not found else "is the beginning of more than one applied state"
        raise ConfigError(f"{commit} {what} of this node", hint=_known(state.history))
    return found.pop()


def pause(node: Node, reason: str) -> Paused:
    """Stay at the applied commit until told to go on. Told twice, the first moment counts."""
    with locked_run(node):
        state = states.load(node.state_file)
        paused = Paused(state.paused.since if state.paused else time.time(), reason)
        if paused != state.paused:
            states.save(node.state_file, _with_pause(state, paused))
        return paused


def resume(node: Node) -> bool:
    """Let the next run go to the head again; whether it was paused."""
    with locked_run(node):
        state = states.load(node.state_file)
        if state.paused:
            states.save(node.state_file, _with_pause(state, None))
        return state.paused is not None


def _with_pause(state: State, paused: Paused | None) -> State:
    """A trial that is open is paused, too, at what it goes home to."""
    trial = state.trial and evolve(state.trial, previous=evolve(state.trial.previous, paused=paused))
    return evolve(state, paused=paused, trial=trial)


def _derive(node: Node, commit: str) -> Desired:
    try:
        desired, _ = accept(remotes(node).bare.tree(commit), node, commit)
    except CommandError:
        raise DeviceError(
            f"commit {commit[:10]} cannot be read from {node.bare_repository}",
            hint="if the copy is damaged, `mesh-sync now` makes it anew once it needs it; move it away to hurry",
        ) from None
    return desired


def _answers(node: Node) -> bool:
    try:
        remotes(node, ASKING).head()
    except Unreachable:
        return False
    return True


def _known(history: tuple[Past, ...]) -> str:
    return "applied were: " + (", ".join(dict.fromkeys(past.commit[:10] for past in reversed(history))) or "none")
