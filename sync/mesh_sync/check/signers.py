"""What can be wrong with `allowed_signers`, and what the admins of a mesh should know about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from mesh_sync.findings import WARNING, Finding
from mesh_sync.mesh.layout import SIGNERS_FILE, peer_path
from mesh_sync.mesh.model import Mesh
from mesh_sync.trust.principals import mistaken
from mesh_sync.trust.signers import Signer, Signers, parse

SOON = timedelta(days=30)
"""How long before a key expires `check` begins to warn."""


def signers(texts: Mapping[str, bytes], mesh: Mesh) -> Iterator[Finding]:
    """Given every file of the repository, yield what is wrong with the list of signers."""
    if SIGNERS_FILE not in texts:
        return
    listed, findings = parse(texts[SIGNERS_FILE])
    yield from findings
    if not listed.in_mesh(mesh.name).admins:
        yield Finding(SIGNERS_FILE, "", "has no admin: without one, the mesh can never be changed again")
    for admin in listed.admins:
        if text := mistaken(admin.principal, mesh.name, mesh.peers):
            yield Finding(SIGNERS_FILE, admin.principal, text)
    for signer in listed.entries:
        name = signer.principal.partition("@")[0]
        if mesh.name and signer.is_node and not signer.is_of(name, mesh.name):
            yield Finding(
                SIGNERS_FILE, signer.principal, f"is not a node of this mesh; its name would be {name}@node.{mesh.name}"
            )


def changed_admins(before: bytes, after: bytes) -> Iterator[Finding]:
    """Given two versions of the file (empty: none), yield a warning for each key that gains or loses an admin's rights.

    Whoever agrees to a change has to see it: such a key may change everything, other admins' keys included.
    """
    old, new = _by_key(parse(before)[0]), _by_key(parse(after)[0])
    for key, one in new.items():
        was = old.get(key)
        if was is None:
            text = f"becomes an admin, who may change everything, with the key {_shown(one)}"
        elif (was.principal.casefold(), was.options) == (one.principal.casefold(), one.options):
            continue
        else:
            text = f"is an admin with the key {_shown(one)}; before: {_shown(was, who=True)}"
        yield Finding(SIGNERS_FILE, one.principal, text, WARNING)
    for key, one in old.items():
        if key not in new:
            yield Finding(SIGNERS_FILE, one.principal, f"is no longer an admin with the key {_shown(one)}", WARNING)


def _by_key(listed: Signers) -> dict[str, Signer]:
    return {one.key: one for one in listed.admins}


def _shown(one: Signer, *, who: bool = False) -> str:
    words = (one.principal if who else "", one.kind, one.fingerprint, one.options)
    return " ".join(word for word in words if word)


def advice_on_signers(texts: Mapping[str, bytes], mesh: Mesh, moment: datetime) -> Iterator[Finding]:
    """Given the same, yield what the admins should know: a lone admin, keys that expire soon, nodes that have left."""
    if SIGNERS_FILE not in texts:
        return
    listed, _ = parse(texts[SIGNERS_FILE])
    active = [one for one in listed.admins if one.valid_before is None or one.valid_before > moment]
    if len(active) == 1:
        text = "is the only admin: if this key is lost, every node has to be told by hand whom to trust"
        yield Finding(SIGNERS_FILE, active[0].principal, text, WARNING)
    for signer in listed.entries:
        end = signer.valid_before
        if end and end < moment + SOON:
            verb = "expires" if end > moment else "expired"
            text = f"the key {signer.fingerprint} {verb} on {end:%Y-%m-%d %H:%M} UTC (valid-before)"
            yield Finding(SIGNERS_FILE, signer.principal, text, WARNING)
        name = signer.principal.partition("@")[0]
        if signer.is_of(name, mesh.name) and name not in mesh.peers and peer_path(name) not in texts:
            text = f"there is no peer {name}: this key could add it; if the node has left, remove its key too"
            yield Finding(SIGNERS_FILE, signer.principal, text, WARNING)
