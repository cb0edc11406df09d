"""What `join` prints for an admin where the git host takes no requests: a `peer add` command, as values.

Nothing of it is run, and no file that it names is read.
"""

from __future__ import annotations

import shlex

from attrs import field, frozen

from mesh_sync.errors import ConfigError
from mesh_sync.findings import shown
from mesh_sync.invitation.token import Keys
from mesh_sync.trust.signers import is_public_key
from mesh_sync.wireguard.keys import is_key
from mesh_sync.workspace import edit_peer
from mesh_sync.workspace.edit import Edit, Edited

COMMAND = ("mesh-sync", "peer", "add")
LISTS = {"--address": "addresses", "--endpoint": "endpoint", "--subnet": "subnets"}
_PUBLIC, _SIGNING = "--public-key", "--signing-key"
_MEANT_FOR_GIT = ("--commit", "--push", "--yes")
LONGEST = 8192
"""Characters of a command."""


@frozen
class Proposal:
    """A machine that asks to be a peer. ``signing_key``: type and base64, empty where commits are not signed."""

    name: str
    public_key: str
    signing_key: str = ""
    values: dict[str, list[str]] = field(factory=dict[str, list[str]])

    @property
    def fingerprint(self) -> str:
        """What `join` shows of a machine that was invited."""
        return Keys(self.public_key, self.signing_key).fingerprint


def read(text: str) -> Proposal:
    """The proposal in such a command, on one line or several. Raise ConfigError when it is none."""
    try:
        words = shlex.split(text[:LONGEST].replace("\\\n", " "))
    except ValueError:
        raise _none("a quotation mark is not closed") from None
    if tuple(words[:3]) != COMMAND or len(words) < 4:
        raise _none("it does not begin with `mesh-sync peer add NAME`")
    edit_peer.file_of(words[3])
    options: dict[str, list[str]] = {}
    rest = iter(words[4:])
    for word in rest:
        if word in _MEANT_FOR_GIT:
            continue
        option, equals, value = word.partition("=")
        if option not in (_PUBLIC, _SIGNING, *LISTS):
            raise _none(f"{shown(option)} is not among what `join` prints")
        options.setdefault(option, []).append(value if equals else next(rest, ""))
    return _checked(words[3], options)


def let_in(edit: Edit, proposal: Proposal) -> Edited:
    """Add the peer, and its signing key."""
    values = {**proposal.values, "public_key": proposal.public_key}
    signing_key = f"{proposal.signing_key} {proposal.name}" if proposal.signing_key else ""
    return edit_peer.add(edit, proposal.name, values, signing_key=signing_key)


def _checked(name: str, options: dict[str, list[str]]) -> Proposal:
    [*_, public] = options.get(_PUBLIC) or [""]
    [*_, signing] = options.get(_SIGNING) or [""]
    if not is_key(public):
        raise _none("it has no WireGuard public key (--public-key)")
    if signing and not is_public_key(signing):
        raise _none("--signing-key is no SSH public key")
    values = {key: options[option] for option, key in LISTS.items() if option in options}
    return Proposal(name, public, " ".join(signing.split()[:2]), values)


def _none(why: str) -> ConfigError:
    return ConfigError(f"that is not what `join` printed: {why}", hint="copy the whole line")
