"""What can be wrong with `allowed_signers` and `policy.toml`, and what should give a mesh's admins to think. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from mesh_sync.findings import WARNING, Finding
from mesh_sync.mesh.layout import POLICY_FILE, SIGNERS_FILE, peer_path
from mesh_sync.mesh.model import Mesh
from mesh_sync.trust import node_rights
from mesh_sync.trust.signers import parse

SOON = timedelta(days=30)
"""How long before a key expires `check` begins to warn."""


def wrong(texts: Mapping[str, bytes], mesh: Mesh) -> Iterator[Finding]:
    """Given every file of the repository, yield what makes no sense, and a list without admins."""
    if POLICY_FILE in texts:
        yield from node_rights.parse(texts[POLICY_FILE])[1]
    if SIGNERS_FILE not in texts:
        return
    signers, findings = parse(texts[SIGNERS_FILE])
    yield from findings
    if not signers.admins:
        yield Finding(SIGNERS_FILE, "", "has no admin: nobody could ever change the mesh again")
    for signer in signers.entries:
        name = signer.principal.partition("@")[0]
        if mesh.name and signer.is_node and not signer.is_of(name, mesh.name):
            yield Finding(
                SIGNERS_FILE, signer.principal, f"is no node of this mesh; it would be {name}@node.{mesh.name}"
            )


def doubtful(texts: Mapping[str, bytes], mesh: Mesh, moment: datetime) -> Iterator[Finding]:
    """Given the same, yield what its admins should know: who is the only one, whose key ends soon, who has left."""
    if SIGNERS_FILE not in texts:
        return
    signers, _ = parse(texts[SIGNERS_FILE])
    active = [one for one in signers.admins if one.valid_before is None or one.valid_before > moment]
    if len(active) == 1:
        text = "is the only admin: when this key is lost, every node has to be told by hand whom to trust"
        yield Finding(SIGNERS_FILE, active[0].principal, text, WARNING)
    for signer in signers.entries:
        end = signer.valid_before
        if end and end < moment + SOON:
            verb = "ends" if end > moment else "ended"
            text = f"the key {signer.fingerprint} {verb} on {end:%Y-%m-%d %H:%M} UTC (valid-before)"
            yield Finding(SIGNERS_FILE, signer.principal, text, WARNING)
        name = signer.principal.partition("@")[0]
        if signer.is_of(name, mesh.name) and name not in mesh.peers and peer_path(name) not in texts:
            text = f"there is no peer {name}: this key may add it; if it has left, take the key out too"
            yield Finding(SIGNERS_FILE, signer.principal, text, WARNING)
