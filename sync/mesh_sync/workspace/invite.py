"""`mesh-sync invite` and `admit`: an admin invites a machine, and lets it in by a signed commit.

What was invited is remembered in the clone, outside of its files: the token's public half, by which the machine's keys
are recognized whatever the git host says, and what the admin wants of the peer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from mesh_sync.errors import ConfigError, MeshSyncError, Refused
from mesh_sync.invitation import ask, token
from mesh_sync.invitation.answer import Question, State
from mesh_sync.invitation.line import Invitation, written
from mesh_sync.invitation.ssh_host_key import known_keys
from mesh_sync.invitation.token import Keys
from mesh_sync.system.shell_words import quote
from mesh_sync.typed_toml.fields import anything
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, table
from mesh_sync.workspace import edit_peer
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.edit import Edit, Edited
from mesh_sync.workspace.output import make_output_folder, write_output
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.push import Upstream
from mesh_sync.workspace.typed import in_copy

MOST = 100
"""Invitations that are looked at; a git host takes no more."""


@frozen(kw_only=True)
class Invited:
    """``values``: keys of the peer's file; ``token_key``: empty where the git host takes no requests; ``until``: Unix
    seconds.
    """

    name: str
    url: str
    token_key: str = ""
    until: int = 0
    values: Mapping[str, Any] = field(factory=dict[str, Any])


def invite(
    directory: Path, name: str, values: Mapping[str, Any], lifetime: int, masquerade: str = ""
) -> tuple[str, Invited]:
    """Return the line, and what is remembered of it; an earlier line for this name is worth nothing any more.

    Raise ConfigError where the mesh cannot invite, Unreachable.
    """
    from mesh_sync.workspace import commits  # GitPython, as in `edit`

    edit = Edit(directory, commit=True)
    copy = edit.open()
    path = edit_peer.file_of(name)
    if os.path.lexists(directory / path):
        remove = in_copy(directory, f"mesh-sync peer remove {name} --push")
        raise ConfigError(f"{path} exists already", hint=f"to invite a machine in its place, first: {remove}")
    fingerprint = commits.fingerprint(directory)
    if fingerprint is None:
        hint = f"to begin it: {in_copy(directory, 'mesh-sync signer add YOU@DOMAIN KEY')}"
        raise ConfigError(
            "an invitation leads to a mesh whose commits are signed, and this one has no signers", hint=hint
        )
    upstream = Upstream.of(directory)
    url = upstream.git("remote", "get-url", upstream.remote)
    keys, secret = known_keys(url), token.new_token()
    asked = Question(name=name, token_key=token.public_half(secret), lifetime=lifetime)
    answer = ask.by_person(url, "invite", asked)
    if answer and answer.state != "open":
        raise Refused(f"the git host does not take an invitation by this key ({answer.state})", hint=_DENIED)
    line = Invitation(
        mesh=copy.mesh.name,
        name=name,
        url=url,
        branch=upstream.branch.removeprefix("refs/heads/"),
        host_keys=keys,
        fingerprint=fingerprint,
        token=secret if answer else "",
        until=answer.until if answer else 0,
        masquerade=masquerade,
    )
    invited = Invited(
        name=name, url=url, token_key=asked.token_key if answer else "", until=line.until, values=dict(values)
    )
    make_output_folder(_folder(directory))
    write_output(_file(directory, name), as_json(invited))
    return written(line), invited


def remembered(directory: Path, name: str) -> Invited:
    """What was invited under this name. Raise ConfigError."""
    try:
        return _invited(read_json(_file(directory, name).read_bytes()))
    except (OSError, Wrong):
        text = f"no invitation of {name} was made in this clone"
        raise ConfigError(text, hint=in_copy(directory, f"mesh-sync invite {quote(name)}")) from None


def every_remembered(directory: Path) -> tuple[Invited, ...]:
    """All that were made in this clone and are not over as far as it knows, by name; at most `MOST`."""
    found = []
    for file in sorted(_folder(directory).glob("*.json"))[:MOST]:
        try:
            found.append(_invited(read_json(file.read_bytes())))
        except (OSError, Wrong):
            continue
    return tuple(found)


@frozen
class Standing:
    """What the git host has of an invitation: its word for that, and the keys that the machine has handed over."""

    state: State
    keys: Keys | None = None


def standing(invited: Invited) -> Standing:
    """Ask the git host. Raise ConfigError where it takes no requests, Unreachable.

    Raise Refused when it shows keys that the machine has not signed.
    """
    if not invited.token_key:
        hint = "`join` prints the command on the invited machine"
        raise ConfigError("the git host takes no requests: add the peer by hand", hint=hint)
    answer = ask.by_person(invited.url, "request", Question(name=invited.name))
    if answer is None or not answer.request:
        return Standing(answer.state if answer else "none")
    asked = answer.request
    if not token.is_signed(invited.token_key, invited.name, asked.keys, asked.signature):
        raise Refused("the git host shows keys that were not handed over by this invitation; do not let them in")
    return Standing(answer.state, asked.keys)


def handed_over(invited: Invited) -> Keys | None:
    """The keys that the invited machine has handed over; None as long as there are none.

    Raise what `standing` does, and Refused when the invitation is over.
    """
    found = standing(invited)
    if found.keys or found.state == "open":
        return found.keys
    again = f"mesh-sync invite {quote(invited.name)}"
    raise Refused(f"the invitation of {invited.name} is over ({found.state})", hint=again)


def admit(edit: Edit, invited: Invited, keys: Keys) -> Edited:
    """Add the peer with these keys, and what was asked for when it was invited."""
    values = {**invited.values, "public_key": keys.public_key}
    return edit_peer.add(edit, invited.name, values, signing_key=f"{keys.signing_key} {invited.name}")


def forget(directory: Path, name: str) -> None:
    """Remember it no longer: it is let in, or nothing can come of it."""
    _file(directory, name).unlink(missing_ok=True)


def forget_listed(committed: Committed) -> None:
    """Forget those whose peers the list has."""
    for invited in every_remembered(committed.directory):
        if committed.peer(invited.name):
            forget(committed.directory, invited.name)


def withdraw(directory: Path, invited: Invited) -> None:
    """Let nothing come of it. Raise MeshSyncError."""
    if invited.token_key:
        answer = ask.by_person(invited.url, "withdraw", Question(name=invited.name))
        if answer is None or answer.state not in ("withdrawn", "none"):
            raise MeshSyncError("the git host did not withdraw the invitation")
    forget(directory, invited.name)


def _file(directory: Path, name: str) -> Path:
    return _folder(directory) / f"{name}.json"


def _folder(directory: Path) -> Path:
    """In git's own folder: never part of a commit."""
    return directory / OwnGit(directory)("rev-parse", "--git-path", "mesh-sync/invitations")


_DENIED = "use a key that `mesh-sync host --key` was given, or that is an admin's in allowed_signers"
_invited = table(Invited, values=anything)
