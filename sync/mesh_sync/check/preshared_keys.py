"""What can be wrong with a mesh's preshared keys: what mesh.toml says of them, and the secrets sealed to each node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import datetime

from mesh_sync.findings import WARNING, Finding
from mesh_sync.mesh.layout import MESH_FILE, is_secret_file, peer_name, sealed_path
from mesh_sync.mesh.model import NO_SECRET, Mesh, Peer
from mesh_sync.preshared.sealed import Sealed, read
from mesh_sync.typed_toml.table import Wrong


def preshared_keys(texts: Mapping[str, bytes], mesh: Mesh, moment: datetime, broken: Set[str]) -> Iterator[Finding]:
    """Given every file of the repository, yield what is wrong with the preshared keys.

    ``broken``: peers whose file cannot be read. Where nothing at all is sealed, the secrets are handed out
    in files.
    """
    yield from _in_use(mesh)
    found: dict[str, Sealed] = {}
    paths = [path for path in sorted(texts) if is_secret_file(path)]
    for path in paths:
        if (name := peer_name(path)) not in mesh.peers and name not in broken:
            yield Finding(path, "", f"there is no peer {name}; remove this file", WARNING)
        try:
            found[name] = read(texts[path])
        except Wrong as wrong:
            yield from wrong.findings(path)
    if mesh.preshared and mesh.preshared.secret != NO_SECRET and paths:
        for name, peer in sorted(mesh.peers.items()):
            if peer.managed and peer.active(moment) and (sealed_path(name) not in texts or name in found):
                yield from _missing(peer, found.get(name), mesh.preshared.secret)


def _missing(peer: Peer, sealed: Sealed | None, number: int) -> Iterator[Finding]:
    path = sealed_path(peer.name)
    way = f"run `mesh-sync secret seal`, or give {peer.name} a mesh_secret_file"
    if sealed is None or number not in sealed.boxes:
        yield Finding(path, "", f"the mesh secret {number} is not sealed to {peer.name}: {way}", WARNING)
    elif sealed.public_key not in (peer.public_key, peer.next_public_key):
        yield Finding(path, "public_key", f"is no longer the key of {peer.name}: {way}", WARNING)


def _in_use(mesh: Mesh) -> Iterator[Finding]:
    """What `[preshared]` says, which mostly `mesh-sync secret` writes."""
    use = mesh.preshared
    if mesh.preshared_keys != "derived":
        if use is not None:
            yield Finding(MESH_FILE, "preshared", f'is set, but preshared_keys is "{mesh.preshared_keys}"')
    elif use is None:
        text = '"derived" needs a [preshared] table, which `mesh-sync secret new` writes'
        yield Finding(MESH_FILE, "preshared_keys", text)
    elif use.former is None:
        if use.secret == NO_SECRET:
            yield Finding(MESH_FILE, "preshared.secret", '0 means no secret; set preshared_keys = "none" instead')
    elif use.former == use.secret:
        yield Finding(MESH_FILE, "preshared.former", "is the secret in use")
    elif use.since is None:
        yield Finding(MESH_FILE, "preshared.since", "is missing; it says when pairs leave the former secret")
