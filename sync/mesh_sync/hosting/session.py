"""What sshd starts for a key of the repository, whatever is asked for: git on this repository, or a question.

Who it is comes from authorized_keys, never from the other side: an owner, a signer of the list, or one who is invited.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from attrs import evolve

from mesh_sync.errors import MeshSyncError
from mesh_sync.hosting import ledger, settings
from mesh_sync.hosting.ledger import Invited
from mesh_sync.hosting.settings import Hosting
from mesh_sync.invitation.answer import COMMAND, LONGEST, MOST, Answer, Question, State, read_question, text_of
from mesh_sync.invitation.token import is_signed
from mesh_sync.repository.bare_copy import home
from mesh_sync.system.run import environment
from mesh_sync.terminal.exit import complain
from mesh_sync.trust.signers import Signer, key_fingerprint

SHORTEST = 60
"""Seconds that an invitation is good for, at least."""
DEADLINE = 3600
"""Seconds for git; a mesh is small."""
QUESTION_DEADLINE = 120
"""Seconds for a question, so that one who asks nothing holds nothing."""
_GIT = re.compile(r"git[ -](upload-pack|receive-pack) '([^'\\!]+)'")
"""As git quotes it; a path with other characters than these is none of ours."""
_VERB = re.compile(rf"{COMMAND} ([a-z]+)")
_PROTOCOL = re.compile(r"version=[0-9]")


class Rejected(MeshSyncError):
    """What this key may not do here."""


def serve(place: Path, role: str, who: str, asked: str) -> int:
    """Do what is asked, if ``role`` may; ``who``: the fingerprint of its key, or the name of the invited peer.

    Raise Rejected.
    """
    signal.alarm(QUESTION_DEADLINE)
    hosting = settings.load(place)
    signer = _signer(place, hosting, who) if role == "signer" else None
    if role == "signer" and signer is None:
        raise Rejected("this key is no longer in the list")
    if found := _VERB.fullmatch(asked):
        is_admin = role == "owner" or (signer is not None and not signer.is_node)
        try:
            answer = _answer(place, found[1], who if role == "invited" else "", admin=is_admin)
        except MeshSyncError as error:  # so that it is not taken for a host that does not know the question
            answer = Answer(state="failed")
            complain(error)
        sys.stdout.write(text_of(answer))
        return 0
    found = _GIT.fullmatch(asked)
    if not found or role == "invited":
        raise Rejected("there is no shell here" if not found else "no admin has admitted this machine yet")
    if found[2].rstrip("/") != str(place):
        raise Rejected("there is no such repository here for this key")
    return _git(place, hosting, found[1], node=signer.principal.partition("@")[0] if signer and signer.is_node else "")


def _signer(place: Path, hosting: Hosting, fingerprint: str) -> Signer | None:
    """The line of the list, as it is now, that lets a key in."""
    entries = settings.listed(place, hosting.branch).entries
    moment = datetime.now(UTC)
    fitting = [one for one in entries if key_fingerprint(one.key) == fingerprint and not one.problem_at(moment)]
    return min(fitting, key=lambda one: one.is_node, default=None)


def _git(place: Path, hosting: Hosting, service: str, *, node: str) -> NoReturn:
    """Become git, with nothing of the other side's environment but the version of its protocol. ``node``: whose key it
    is; empty: an admin's.
    """
    signal.alarm(DEADLINE)
    words = ["-c", "transfer.fsckObjects=true"]
    if node:  # the hook looks at the mesh's branch only
        shown = (f"refs/heads/{hosting.branch}", f"refs/heads/join/{node}")
        hidden = ("refs", *(f"!{ref}" for ref in shown))
        words += [word for ref in hidden for word in ("-c", f"receive.hideRefs={ref}")]
        words += ["-c", "receive.denyDeletes=true", "-c", "receive.denyNonFastForwards=true"]
    protocol = os.environ.get("GIT_PROTOCOL", "")
    extra = {"GIT_PROTOCOL": protocol} if _PROTOCOL.fullmatch(protocol) else {}
    env = {**environment({**home(), **extra}), "PATH": f"{hosting.program.parent}:{environment()['PATH']}"}
    sys.stdout.flush()
    os.execvpe("git", ["git", *words, service, str(place)], env)  # noqa: S606, S607  # sshd waits for this process


def _answer(place: Path, verb: str, invited: str, *, admin: bool) -> Answer:
    """The answer to a question on standard input. ``invited``: the peer that this key is invited as."""
    if not (verb == "ask" and invited) and not (verb in _BY_ADMIN and admin):
        return Answer(state="denied")
    question = read_question(sys.stdin.buffer.read(MOST))
    if question is None or not (invited or question.name):
        return Answer(state="wrong")
    with ledger.held(place):
        answer = _ask(place, invited, question) if invited else _BY_ADMIN[verb](place, question)
    if verb != "request":
        settings.refresh(place)
    return answer


def _ask(place: Path, name: str, question: Question) -> Answer:
    """Take the keys of the invited machine, once, and tell what became of them."""
    invited = ledger.load(place, name)
    if invited is None or invited.withdrawn:
        return Answer(state="withdrawn")
    asked = question.request
    if asked is None:
        return Answer(state="wrong")
    if not is_signed(invited.token_key, name, asked.keys, asked.signature):
        over = any(is_signed(key, name, asked.keys, asked.signature) for key in invited.replaced)
        return Answer(state="withdrawn" if over else "wrong")
    if invited.request is None:
        if time.time() > invited.until:
            return Answer(state="expired")
        invited = evolve(invited, request=asked)
        ledger.save(place, invited)
    if invited.request and invited.request.keys != asked.keys:
        return Answer(state="used")
    return Answer(state=_state(place, invited), until=int(invited.until))


def _state(place: Path, invited: Invited) -> State:
    """Of an invitation that is not withdrawn."""
    if invited.request is None:
        return "open" if time.time() <= invited.until else "expired"
    entries = settings.listed(place, settings.load(place).branch).entries
    key = invited.request.signing_key
    listed = any(one.is_node and one.principal.startswith(f"{invited.name}@") and one.key == key for one in entries)
    return "in" if listed else "waiting"


def _invite(place: Path, question: Question) -> Answer:
    if not question.token_key:
        return Answer(state="wrong")
    until = time.time() + min(max(question.lifetime, SHORTEST), LONGEST)
    before = ledger.load(place, question.name)
    replaced = (before.token_key, *before.replaced)[: ledger.MOST_REPLACED] if before else ()
    ledger.save(place, Invited(name=question.name, token_key=question.token_key, until=until, replaced=replaced))
    return Answer(state="open", until=int(until))


def _request(place: Path, question: Question) -> Answer:
    invited = ledger.load(place, question.name)
    if invited is None:
        return Answer(state="none")
    if invited.withdrawn:
        return Answer(state="withdrawn")
    return Answer(state=_state(place, invited), until=int(invited.until), request=invited.request)


def _withdraw(place: Path, question: Question) -> Answer:
    invited = ledger.load(place, question.name)
    if invited is None:
        return Answer(state="none")
    ledger.withdrawn(place, invited)
    return Answer(state="withdrawn")


_BY_ADMIN = {"invite": _invite, "request": _request, "withdraw": _withdraw}
