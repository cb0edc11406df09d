"""`mesh-sync join`: make this machine a node: keys, whom it trusts, its file in the list, node.toml.

Safe to repeat: keys are kept, what was compared once is not asked again, and a list that has this node is left alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.errors import ConfigError, Refused
from mesh_sync.membership import ssh_host_key
from mesh_sync.membership.enlist import Keys, NeedsAdmin, conflict, enlist
from mesh_sync.membership.join_request import Request, node_toml
from mesh_sync.membership.push import Copy, copied, until_pushed
from mesh_sync.membership.ssh_host_key import HostKeys
from mesh_sync.node import config as nodes
from mesh_sync.node.config import Node
from mesh_sync.repository.git_words import public
from mesh_sync.system.files import write_atomically
from mesh_sync.trust import ssh_keys
from mesh_sync.trust.signers import same
from mesh_sync.typed_toml.fields import LABEL
from mesh_sync.wireguard.keys import public_key, read_private_key, write_private_key

PUBLIC = 0o644
Note = Callable[[str], None]
Confirm = Callable[[str], bool]
"""Asks a person; None in its place: nobody is there."""


@frozen
class Joined:
    """Who this machine is now."""

    name: str
    addresses: tuple[str, ...]


@frozen
class Pins:
    """What this node holds on to from now on."""

    host: HostKeys | None = None
    signers: bytes = b""
    first_commit: str = ""


def join(request: Request, note: Note, confirm: Confirm | None = None) -> Joined:
    """Do it all. Raise ConfigError (2), Unreachable (3), Refused (4), or NeedsAdmin (1)."""
    present = _present(request)
    if not present and request.is_signed and not (confirm or request.fingerprint or request.signers):
        hint = "--fingerprint X: an admin's `mesh-sync signer list` prints it; or --signers FILE: "
        hint += "an allowed_signers file that came another way than by the git host"
        raise ConfigError("nobody is at this terminal to compare what the git host shows", hint=hint)
    with _reached(request, bool(present), confirm) as (reached, host):
        pins: list[Pins] = []

        def once() -> tuple[str, ...]:
            with copied(reached.repository, request.url, whole=request.is_signed) as copy:
                if not pins:
                    pins.append(_compared(copy, request, present, host, note, confirm))
                elif pins[0].first_commit:
                    _still(copy, pins[0].first_commit)
                keys = _keys(copy, request, note)
                return enlist(copy, request, keys, note)

        try:
            addresses = until_pushed(once, request.url, note)
        except NeedsAdmin:
            _settle(request, present, pins[0], note)
            raise
        _settle(request, present, pins[0], note)
    return Joined(request.name, addresses)


def _present(request: Request) -> Node | None:
    """The node.toml that is there already. Raise ConfigError when it is another one's, or what is asked is no good."""
    if not LABEL.fullmatch(request.name):
        raise ConfigError(f"--name: {request.name!r} is not a lower-case DNS label (a-z, 0-9, -, at most 63)")
    _node(request)
    if not request.config.exists():
        return None
    present = nodes.load(request.config)
    if present.name != request.name:
        text = f"{request.config} says that this machine is {present.name}"
        raise ConfigError(text, hint="remove it if that is over, or give another --config")
    if present.trust.mode != request.trust:
        text = f'{request.config} says trust.mode = "{present.trust.mode}"'
        raise ConfigError(text, hint="to begin anew with --trust, move it away first; the keys stay")
    return present


def _node(request: Request, first_commit: str = "") -> Node:
    """What this machine's node.toml would say. Raise ConfigError when that is no good."""
    return nodes.parse(node_toml(request, first_commit).encode(), Path("(the node.toml to be written)"))


@contextmanager
def _reached(request: Request, joined: bool, confirm: Confirm | None) -> Iterator[tuple[Request, HostKeys | None]]:
    """The request with a known_hosts file that does for the git host, and the keys in it that nobody has seen yet."""
    if request.known_hosts_file or (joined and request.pinned_hosts_file.exists()):
        yield evolve(request, known_hosts_file=request.known_hosts_file or request.pinned_hosts_file), None
        return
    host = ssh_host_key.unknown(request.url)
    if host is None:
        yield request, None
        return
    if not request.is_signed:
        _compare_host(host, confirm)
    with tempfile.NamedTemporaryFile("w", prefix="mesh-sync-") as file:
        file.write(host.text)
        file.flush()
        yield evolve(request, known_hosts_file=Path(file.name)), host


def _compare_host(host: HostKeys, confirm: Confirm | None) -> None:
    """Where nobody signs, the host key is all there is to compare."""
    shown = f"ssh does not know {host.host} yet, which shows {', '.join(host.fingerprints)}"
    if confirm is None:
        raise ConfigError(shown, hint="give --known-hosts-file, or connect once by hand")
    if not confirm(f"{shown}.\nIs that its key?"):
        raise ConfigError("not confirmed; nothing was written")


def _compared(
    copy: Copy, request: Request, present: Node | None, host: HostKeys | None, note: Note, confirm: Confirm | None
) -> Pins:
    """What to pin, once a person or what was given agrees with it. Raise Refused or ConfigError."""
    if not request.is_signed:
        return Pins(host)
    from mesh_sync.membership import first_trust

    if present:
        first_trust.go_on(present, copy)
        return Pins(host)
    found = first_trust.found(copy)
    admins = first_trust.given(request.signers) if request.signers else found.signers.admins
    note(f"{public(request.url)} says:")
    for fingerprint in host.fingerprints if host else ():
        note(f"  host key  {fingerprint} (ssh does not know {host.host if host else ''} yet)")
    for line in found.lines():
        note(f"  {line}")
    if request.fingerprint is not None and not same(found.fingerprint, request.fingerprint):
        raise Refused("the fingerprint is not the one that was given; nothing was written")
    first_trust.check(copy, admins)
    if request.fingerprint is None and request.signers is None:
        question = "`mesh-sync signer list` prints the fingerprint in the working copy of an admin.\n"
        if confirm is None or not confirm(f"{question}Is this what your mesh's admin told you?"):
            raise ConfigError("not confirmed; nothing was written")
    return Pins(host, found.content, copy.head)


def _still(copy: Copy, first_commit: str) -> None:
    """Raise Refused unless what was pushed meanwhile goes on from what was compared."""
    from mesh_sync.trust.verify_history import untrusted

    if problems := untrusted(copy.remote.bare.place, first_commit, copy.head).problems:
        raise Refused(problems[0][1])


def _keys(copy: Copy, request: Request, note: Note) -> Keys:
    file = request.private_key_file
    if file.exists():
        key = public_key(read_private_key(file))
        conflict(copy, request, Keys(key))
        note(f"keeping the private key in {file}")
    else:
        conflict(copy, request, Keys(""))
        key = write_private_key(file)
        note(f"made a private key in {file}; it never leaves this machine")
    if not request.is_signed:
        return Keys(key)
    if not request.signing_key_file.exists():
        ssh_keys.make_key(request.signing_key_file, request.name)
        note(f"made a signing key in {request.signing_key_file}")
    return Keys(key, ssh_keys.public_half(request.signing_key_file))


def _settle(request: Request, present: Node | None, pins: Pins, note: Note) -> None:
    """Keep what was compared, beside node.toml, and write that last: it makes this machine a node."""
    if pins.host:
        write_atomically(request.pinned_hosts_file, pins.host.text, PUBLIC)
        note(f"wrote {request.pinned_hosts_file}: from now on the git host has this key and no other")
        request = evolve(request, known_hosts_file=request.pinned_hosts_file)
    if present:
        pinned = request.pinned_hosts_file if request.pinned_hosts_file.exists() else None
        asked = evolve(request, known_hosts_file=request.known_hosts_file or pinned)
        if present != _node(asked, present.trust.first_commit or ""):
            note(f"{request.config} is there already and stays as it is; it is yours to edit")
        return
    if pins.signers:
        write_atomically(request.signers_file, pins.signers, PUBLIC)
        note(f"wrote {request.signers_file}: whom this machine trusts to begin with")
    write_atomically(request.config, node_toml(request, pins.first_commit))
    note(f"wrote {request.config}")
