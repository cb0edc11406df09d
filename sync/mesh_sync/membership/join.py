"""`mesh-sync join`: make this machine a node: keys, whom it trusts, its file in the list, node.toml.

Safe to repeat: keys are kept, what was compared once is not asked again, and a list that has this node is left alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tomlkit
from attrs import evolve, frozen

from mesh_sync.diagnose.masquerade import others
from mesh_sync.errors import ConfigError, Refused
from mesh_sync.invitation import ssh_host_key
from mesh_sync.invitation.ssh_host_key import HostKeys
from mesh_sync.membership import first_trust
from mesh_sync.membership.enlist import JoinRequest, enlist, raise_if_taken
from mesh_sync.membership.publish import NeedsAdmin
from mesh_sync.node import config as nodes
from mesh_sync.node.config import DEFAULT_SIGNING_KEY, Node
from mesh_sync.repository.fresh_copy import FreshCopy, Note, with_fresh_copy
from mesh_sync.repository.git_command import public
from mesh_sync.system.files import write_atomically
from mesh_sync.trust import ssh_keys
from mesh_sync.trust.signers import same
from mesh_sync.typed_toml.fields import LABEL
from mesh_sync.wireguard.keys import public_key, read_private_key, write_private_key

PUBLIC = 0o644
Confirm = Callable[[str], bool]
"""Asks a person; None in its place where no person is at a terminal."""


@frozen
class Pins:
    """What this node insists on from now on."""

    host: HostKeys | None = None
    signers: bytes = b""
    first_commit: str = ""


def join(request: JoinRequest, note: Note, confirm: Confirm | None = None) -> tuple[str, ...]:
    """Do it all; return the node's addresses. Raise ConfigError (2), Unreachable (3), Refused (4) or NeedsAdmin (1)."""
    present = _present(request)
    if not present and request.is_signed and not (confirm or request.fingerprint or request.signers):
        hint = "--fingerprint X: an admin's `mesh-sync signer list` prints it; or --signers FILE: "
        hint += "an allowed_signers file that came another way than by the git host"
        raise ConfigError("there is no terminal to compare what the git host shows", hint=hint)
    pins: list[Pins] = []
    with _reached(request, bool(present), confirm) as (reached, host):

        def attempt(copy: FreshCopy) -> tuple[str, ...]:
            if not pins:
                pins.append(_compared(copy, request, present, host, note, confirm))
            elif pins[0].first_commit:
                first_trust.raise_unless_verified(copy, pins[0].first_commit)
            return enlist(copy, request, *_public_keys(copy, request, note), note)

        try:
            addresses = with_fresh_copy(reached.repository, request.url, attempt, note, whole=request.is_signed)
        except NeedsAdmin:
            _settle(request, present, pins[0], note)
            raise
        _settle(request, present, pins[0], note)
    return addresses


def raise_if_contradicted(request: JoinRequest) -> None:
    """Raise ConfigError when the request is no good, or node.toml is there and says something else."""
    _present(request)


def _present(request: JoinRequest) -> Node | None:
    """The node.toml that is there already. Raise ConfigError when it contradicts the request, or that is no good."""
    if not LABEL.fullmatch(request.name):
        raise ConfigError(f"--name: {request.name!r} is not a lower-case DNS label (a-z, 0-9, -, at most 63)")
    _node(request)
    if not request.config.exists():
        if request.masquerade and (here := others(request.masquerade)):
            text = f"--masquerade: there is no interface {request.masquerade} here; here are {', '.join(here)}"
            raise ConfigError(text, hint="one that comes later goes into node.toml: [gateway] masquerade")
        return None
    present = nodes.load(request.config)
    if present.name != request.name:
        text = f"{request.config} says that this machine is {present.name}"
        raise ConfigError(text, hint="remove it if that is over, or give another --config")
    if present.trust.mode != request.trust:
        text = f'{request.config} says trust.mode = "{present.trust.mode}"'
        raise ConfigError(text, hint="to join again with --trust, move it away first; the keys stay")
    return present


def _node(request: JoinRequest, first_commit: str = "") -> Node:
    """What this machine's node.toml would say. Raise ConfigError when that is no good."""
    return nodes.parse(node_toml(request, first_commit).encode(), Path("(the node.toml to be written)"))


@contextmanager
def _reached(
    request: JoinRequest, joined: bool, confirm: Confirm | None
) -> Iterator[tuple[JoinRequest, HostKeys | None]]:
    """The request with a known_hosts file that is good for the git host, and the keys in it that ssh did not know."""
    if request.known_hosts_file or (joined and request.pinned_hosts_file.exists()):
        yield evolve(request, known_hosts_file=request.known_hosts_file or request.pinned_hosts_file), None
        return
    host = ssh_host_key.unknown_keys(request.url)
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
    """Without signatures, the host key is all there is to compare."""
    shown = f"ssh does not know {host.host} yet, which shows {', '.join(host.fingerprints)}"
    if confirm is None:
        raise ConfigError(shown, hint="give --known-hosts-file, or connect once by hand")
    if not confirm(f"{shown}.\nIs that its key?"):
        raise ConfigError("not confirmed; nothing was written")


def _compared(
    copy: FreshCopy,
    request: JoinRequest,
    present: Node | None,
    host: HostKeys | None,
    note: Note,
    confirm: Confirm | None,
) -> Pins:
    """What to pin, once a person, or what the request names, agrees with it. Raise Refused or ConfigError."""
    if not request.is_signed:
        return Pins(host)
    if present:
        first_trust.advance(present, copy)
        return Pins(host)
    claim = first_trust.read_claim(copy)
    admins = first_trust.admins_in(request.signers) if request.signers else claim.signers.admins
    note(f"{public(request.url)} says:")
    for fingerprint in host.fingerprints if host else ():
        note(f"  host key  {fingerprint} (ssh does not know {host.host if host else ''} yet)")
    for line in claim.lines():
        note(f"  {line}")
    if request.fingerprint is not None and not same(claim.fingerprint, request.fingerprint):
        raise Refused("the fingerprint is not the one that was given; nothing was written")
    first_trust.verify_claim(copy, admins)
    if request.fingerprint is None and request.signers is None:
        question = "`mesh-sync signer list` prints the fingerprint in the working copy of an admin.\n"
        if confirm is None or not confirm(f"{question}Is this what your mesh's admin told you?"):
            raise ConfigError("not confirmed; nothing was written")
    return Pins(host, claim.content, copy.head)


def _public_keys(copy: FreshCopy, request: JoinRequest, note: Note) -> tuple[str, str]:
    """The public halves of this machine's keys, made where missing: WireGuard's, and the signing key's if it signs."""
    file = request.private_key_file
    if file.exists():
        key = public_key(read_private_key(file))
        raise_if_taken(copy, request, key)
        note(f"keeping the private key in {file}")
    else:
        raise_if_taken(copy, request, "")
        key = write_private_key(file)
        note(f"made a private key in {file}; it never leaves this machine")
    if not request.is_signed:
        return key, ""
    if not request.signing_key_file.exists():
        ssh_keys.make_key(request.signing_key_file, request.name)
        note(f"made a signing key in {request.signing_key_file}")
    return key, ssh_keys.public_half(request.signing_key_file)


def _settle(request: JoinRequest, present: Node | None, pins: Pins, note: Note) -> None:
    """Keep what was compared, beside node.toml, and write that last: it makes this machine a node."""
    if pins.host:
        write_atomically(request.pinned_hosts_file, pins.host.text, PUBLIC)
        note(f"wrote {request.pinned_hosts_file}: from now on the git host has to show one of these keys")
        request = evolve(request, known_hosts_file=request.pinned_hosts_file)
    if present:
        pinned = request.pinned_hosts_file if request.pinned_hosts_file.exists() else None
        asked = evolve(request, known_hosts_file=request.known_hosts_file or pinned)
        if present != _node(asked, present.trust.first_commit or ""):
            note(f"{request.config} is there already and stays as it is; edit it to change it")
        return
    if pins.signers:
        write_atomically(request.signers_file, pins.signers, PUBLIC)
        note(f"wrote {request.signers_file}: whom this machine trusts at first")
    write_atomically(request.config, node_toml(request, pins.first_commit))
    note(f"wrote {request.config}")


def node_toml(request: JoinRequest, first_commit: str = "") -> str:
    """This machine's node.toml: what was asked for; everything else has its default."""
    repository: dict[str, object] = {"urls": [request.url], "branch": request.branch}
    for name in ("identity_file", "known_hosts_file"):
        if file := getattr(request.repository, name):
            repository[name] = str(file)
    trust = {"mode": request.trust}
    if request.is_signed:
        trust["allowed_signers"] = str(request.signers_file)
    if first_commit:
        trust["first_commit"] = first_commit
    values: dict[str, object] = {
        "name": request.name,
        "interface": request.interface,
        "private_key_file": str(request.private_key_file.absolute()),
    }
    if request.is_signed and request.signing_key_file != DEFAULT_SIGNING_KEY:
        values["signing_key_file"] = str(request.signing_key_file)
    values |= {"repository": repository, "trust": trust}
    if request.masquerade:
        values["gateway"] = {"masquerade": request.masquerade}
    head = "# This machine's place in the mesh. It belongs to root and never goes into git.\n"
    return head + tomlkit.dumps(values)
