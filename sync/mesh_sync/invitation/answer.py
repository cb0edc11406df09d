"""What is said over ssh between a git host of `mesh-sync host` and those who invite, or are invited. Pure.

A question is a command, `mesh-sync-host VERB`, with a JSON object on standard input; so is the answer, on standard
output.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from mesh_sync.invitation.token import Keys
from mesh_sync.trust.signers import is_public_key
from mesh_sync.typed_toml.fields import between, one_line, peer_name, text
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, table
from mesh_sync.wireguard.keys import is_key

COMMAND = "mesh-sync-host"
MOST = 8192
"""Bytes of a question or an answer."""
State = Literal["open", "waiting", "in", "used", "expired", "withdrawn", "none", "denied", "wrong", "failed"]
LONGEST = 7 * 86400
"""Seconds that an invitation may be good for."""


@frozen(kw_only=True)
class Request:
    """Keys that were handed over, with the token's signature (`token.sign`)."""

    public_key: str
    signing_key: str
    signature: str

    @property
    def keys(self) -> Keys:
        return Keys(self.public_key, self.signing_key)


@frozen(kw_only=True)
class Question:
    """``name``: of the invited peer; ``token_key``: the token's public half; ``lifetime``: seconds from now."""

    name: str = ""
    token_key: str = ""
    lifetime: int = 0
    request: Request | None = None


@frozen(kw_only=True)
class Answer:
    """What the host has of an invitation.

    ``state``: `open`: no keys yet; `waiting`: keys are there, an admin has not let them in; `in`: the list has them;
    `used`: other keys are there; `expired`, `withdrawn`: it is over; `none`: there is no such invitation; `denied`: not
    by this key; `wrong`: the question cannot be read; `failed`: see its log. ``until``: when it expires, Unix seconds.
    """

    format: int = 1
    host: Literal["mesh-sync"] = "mesh-sync"
    state: State
    until: int = 0
    request: Request | None = None


def text_of(value: Question | Answer) -> str:
    """As it is sent."""
    return as_json(value) + "\n"


def read_question(content: bytes) -> Question | None:
    """The question; None where it is none."""
    try:
        return _question(read_json(content)) if content.strip() else Question()
    except Wrong:
        return None


def read_answer(content: bytes) -> Answer | None:
    """The answer; None where it is none, so that the host is another kind of git host."""
    try:
        return _answer(read_json(content))
    except Wrong:
        return None


def _wireguard_key(value: object) -> str:
    if not is_key(text(value)):
        raise ValueError("is no WireGuard key")
    return text(value)


def _ssh_key(value: object) -> str:
    words = text(value).split()  # at any white space: a line break would be another line of authorized_keys
    if len(words) != 2 or " ".join(words) != value or words[0] != "ssh-ed25519" or not is_public_key(text(value)):
        raise ValueError("is no Ed25519 key of ssh")
    return text(value)


def _name(value: object) -> str:
    return peer_name(value) if value else text(value)


def _token_key(value: object) -> str:
    return _ssh_key(value) if value else text(value)


request_of = table(Request, public_key=_wireguard_key, signing_key=_ssh_key, signature=one_line(100))
_question = table(Question, {Request: request_of}, name=_name, token_key=_token_key)
_answer = table(Answer, {Request: request_of}, format=between(1, 1, "a format that this version knows"))
