"""The line that `mesh-sync invite` prints and `mesh-sync join` takes: where the mesh is, and how to recognize it. Pure.

Whoever has the line may hand over one pair of keys in the invited peer's name until it expires; an admin still lets the
peer in. Nothing else in it is of use to a stranger.
"""

from __future__ import annotations

import base64
import hashlib
import re

from attrs import frozen

from mesh_sync.errors import ConfigError
from mesh_sync.invitation.token import is_token
from mesh_sync.trust.signers import is_public_key
from mesh_sync.typed_toml.fields import one_line, peer_name, text
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, list_of, table

PREFIX = "mesh-sync.1."
"""What a line begins with; no address of a git host does."""
_LINE = re.compile(r"[A-Za-z0-9_-]{40,8000}")
_CHECK = 6
"""Bytes of SHA-256 before the rest, by which a line is recognized that was not copied whole."""


@frozen(kw_only=True)
class Invitation:
    """``name``: the peer that the machine is to be; ``url``, ``branch``: where the list is; ``host_keys``: the SSH keys
    of that host, `TYPE BASE64`; ``fingerprint``: the mesh's (`signers`); ``token``: see `token`, empty where the
    git host takes no requests; ``until``: when it expires there, in Unix seconds; ``masquerade``: as in node.toml.
    """

    mesh: str
    name: str
    url: str
    branch: str
    host_keys: tuple[str, ...]
    fingerprint: str
    token: str = ""
    until: int = 0
    masquerade: str = ""


def written(invitation: Invitation) -> str:
    """The line: letters, digits, dots, dashes and underscores, so that no shell changes it."""
    content = as_json(invitation).encode()
    return PREFIX + base64.urlsafe_b64encode(_check(content) + content).decode().rstrip("=")


def is_line(word: str) -> bool:
    """Whether a word is meant as such a line, whole or not."""
    return word.startswith(PREFIX)


def read(line: str) -> Invitation:
    """What a line says. Raise ConfigError when it is none, or not whole."""
    body = line.removeprefix(PREFIX)
    try:
        if not _LINE.fullmatch(body):
            raise ValueError("it has other characters")
        raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        if _check(raw[_CHECK:]) != raw[:_CHECK]:
            raise ValueError("its check is wrong")
    except ValueError:
        raise ConfigError("the invitation is not whole", hint="copy the whole line that `invite` printed") from None
    try:
        return _invitation(read_json(raw[_CHECK:]))
    except Wrong as wrong:
        raise ConfigError(
            f"the invitation cannot be used: {wrong}", hint="is this mesh-sync as new as the other?"
        ) from None


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECK]


def _host_key(value: object) -> str:
    words = text(value).split()
    if len(words) != 2 or " ".join(words) != value or not is_public_key(text(value)):
        raise ValueError("is no SSH host key")
    return text(value)


def _token(value: object) -> str:
    if value and not is_token(text(value)):
        raise ValueError("is no token")
    return text(value)


_invitation = table(
    Invitation,
    mesh=one_line(255),
    name=peer_name,
    url=one_line(2048),
    branch=one_line(255),
    host_keys=list_of(_host_key, most=16),
    fingerprint=one_line(64),
    token=_token,
    masquerade=one_line(15),
)
