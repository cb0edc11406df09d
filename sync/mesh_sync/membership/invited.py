"""`mesh-sync join LINE`: an invited machine makes its keys, hands them over, and waits until an admin lets it in."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.errors import ConfigError, MeshSyncError, Refused, Unreachable
from mesh_sync.invitation import ask, token
from mesh_sync.invitation.answer import Answer, Question, Request
from mesh_sync.invitation.line import Invitation
from mesh_sync.invitation.ssh_host_key import known_name, ssh_target
from mesh_sync.invitation.token import Keys
from mesh_sync.membership import join as joining
from mesh_sync.membership.enlist import JoinRequest
from mesh_sync.membership.publish import NeedsAdmin
from mesh_sync.repository.fresh_copy import Note
from mesh_sync.system.files import write_atomically
from mesh_sync.trust import ssh_keys
from mesh_sync.wireguard.keys import public_key, read_private_key, write_private_key

POLL = 3.0
"""Seconds between two questions whether this machine is let in."""
POLL_BY_GIT = 20.0
"""Seconds where only git itself can tell: to a host that does not know the key, each attempt looks like an attack."""
AT_ONCE = 30.0
"""Seconds for a git host to know what was just pushed to it."""
_OVER = {
    "used": "another machine has handed over its keys by this line: tell the admin who gave it to you",
    "expired": "the invitation has expired",
    "withdrawn": "the invitation was withdrawn, or another one for this name has taken its place",
    "wrong": "the git host cannot read what this machine says: is its mesh-sync as new?",
    "denied": "the git host does not take this invitation",
    "none": "the git host does not know this invitation",
}


@frozen
class Waiting:
    """How long to wait, in seconds, None for ever; and who is told that it goes on, with the seconds so far."""

    most: float | None
    progress: Callable[[float], None] = lambda seconds: None


class NotYet(MeshSyncError):
    """The time to wait is over, and an admin has not let this machine in."""


def request_of(invitation: Invitation, config: Path, interface: str) -> JoinRequest:
    """What `join` is asked for by a line. The signing key also opens the git host: one key to hand over."""
    request = JoinRequest(
        config=config,
        url=invitation.url,
        name=invitation.name,
        interface=interface,
        masquerade=invitation.masquerade,
        branch=invitation.branch,
        trust="signed",
        fingerprint=invitation.fingerprint,
    )
    return evolve(request, identity_file=request.signing_key_file, known_hosts_file=request.pinned_hosts_file)


def join(invitation: Invitation, request: JoinRequest, note: Note, waiting: Waiting) -> tuple[str, ...]:
    """Do it all; return the node's addresses. Raise what `join.join` raises, but NeedsAdmin; NotYet (1).

    Refused when the invitation is over.
    """
    keys = prepare(invitation, request, note)
    note(f"keys of this machine, for {invitation.name} of the mesh {invitation.mesh}: fingerprint {keys.fingerprint}")
    clock, told = _Clock(waiting), _once(note)
    if invitation.token:
        _hand_over(invitation, request, keys, told, clock)
    else:
        told(f"the git host has to let in this SSH key, to read and to push: {keys.signing_key}")
        told(f"and an admin adds the peer:\n  {request.by_an_admin(keys.public_key, keys.signing_key)} --push")
    return _joined(request, told, clock, POLL if invitation.token else POLL_BY_GIT)


def prepare(invitation: Invitation, request: JoinRequest, note: Note) -> Keys:
    """Make this machine's keys, and pin the git host's. Raise ConfigError when node.toml says something else."""
    joining.raise_if_contradicted(request)
    if not request.config.exists():
        write_atomically(request.pinned_hosts_file, _known_hosts(invitation), joining.PUBLIC)
    return own_keys(request, note)


def let_in(request: JoinRequest, note: Note) -> tuple[str, ...]:
    """What is left once the list has this machine; return its addresses. Raise as `join` does."""
    return _joined(request, _once(note), _Clock(Waiting(AT_ONCE)), POLL)


def own_keys(request: JoinRequest, note: Note) -> Keys:
    """The public halves of this machine's keys, which are made where they are missing."""
    if request.private_key_file.exists():
        public = public_key(read_private_key(request.private_key_file))
    else:
        public = write_private_key(request.private_key_file)
        note(f"made a private key in {request.private_key_file}; it never leaves this machine")
    if not request.signing_key_file.exists():
        ssh_keys.make_key(request.signing_key_file, request.name)
        note(f"made a signing key in {request.signing_key_file}; the git host knows this machine by it, too")
    return Keys(public, ssh_keys.public_half(request.signing_key_file))


def _hand_over(invitation: Invitation, request: JoinRequest, keys: Keys, note: Note, clock: _Clock) -> None:
    """Hand the keys over, and return once the list has them."""
    signature = token.sign(invitation.token, invitation.name, keys)
    asked = Question(request=Request(public_key=keys.public_key, signing_key=keys.signing_key, signature=signature))
    handed = False
    while True:
        try:
            answer = ask.by_token(invitation.url, invitation.token, request.pinned_hosts_file, asked)
        except Unreachable as error:
            if not handed and _is_in(request):  # let in long ago: sshd does not know the token any more
                return
            if not handed:
                raise _first(error) from None
            note(f"{error.message}; trying again")
        else:
            if _is_listed(answer):
                return
            handed = True
            note(f"waiting for an admin: mesh-sync admit {invitation.name} --fingerprint {keys.fingerprint}")
        clock.wait(POLL)


def _is_listed(answer: Answer | None) -> bool:
    """Whether the list has the keys now. Raise Refused when it never will."""
    if answer is None:
        raise Refused("the git host does not know of invitations any more", hint="ask for a new one")
    if answer.state == "failed":
        raise Unreachable("the git host could not take the keys")
    if problem := _OVER.get(answer.state):
        raise Refused(problem, hint="ask for a new one: mesh-sync invite")
    return answer.state == "in"


def _is_in(request: JoinRequest) -> bool:
    """Whether the git host lets this machine in by its own key."""
    try:
        joining.join(request, lambda text: None)
    except (Unreachable, NeedsAdmin):
        return False
    return True


def _first(error: Unreachable) -> Unreachable:
    """What to say where nothing was ever handed over."""
    hint = "is the line older than its hour, or this machine without a way to the git host? A new one: mesh-sync invite"
    return Unreachable(error.message, hint=hint)


def _joined(request: JoinRequest, note: Note, clock: _Clock, pause: float) -> tuple[str, ...]:
    """`join.join`, again and again until the list has this machine."""
    while True:
        try:
            return joining.join(request, note)
        except (Unreachable, NeedsAdmin) as error:
            note(f"not let in yet: {error.message}")
        clock.wait(pause)


class _Clock:
    """Pauses, until the time to wait is over."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._begun = time.monotonic()

    def wait(self, seconds: float) -> None:
        """Raise NotYet when the time is over."""
        passed = time.monotonic() - self._begun
        most = self._waiting.most
        if most is not None and passed + seconds > most:
            text = f"no admin has admitted this machine within {most:g} s"
            raise NotYet(text, hint="its keys stay; the same command goes on waiting")
        self._waiting.progress(passed)
        time.sleep(seconds)


def _once(note: Note) -> Note:
    """The same, but nothing is told twice."""
    told = set[str]()

    def once(text: str) -> None:
        if text not in told:
            told.add(text)
            note(text)

    return once


def _known_hosts(invitation: Invitation) -> str:
    target = ssh_target(invitation.url)
    if target is None:
        raise ConfigError(f"the invitation leads to {invitation.url}, which is not reached by ssh")
    return "".join(f"{known_name(target.host, target.port)} {key}\n" for key in invitation.host_keys)
