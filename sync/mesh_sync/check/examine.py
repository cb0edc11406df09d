"""The one entry to every rule about a mesh repository, for people (`check`) and for nodes (`now`) alike. Pure."""

from __future__ import annotations

from datetime import datetime
from itertools import chain

from mesh_sync.check import repository_rules
from mesh_sync.check.leaked_keys import leaked_keys
from mesh_sync.check.preshared import preshared_keys
from mesh_sync.check.whole_mesh import whole_mesh
from mesh_sync.findings import Finding, until_enough
from mesh_sync.mesh import manifest
from mesh_sync.mesh.layout import is_peer_file, peer_name
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.tree import Tree


def examine(tree: Tree, moment: datetime) -> tuple[Mesh | None, tuple[Finding, ...]]:
    """Given the content of a mesh repository, return the mesh and every finding, in order of file and key."""
    files = tree.manifests
    mesh, findings = manifest.read(files)
    declared = mesh or Mesh(format=1, name="", networks=(), peers=manifest.read_peers(files, []))
    broken = {peer_name(path) for path in files if is_peer_file(path)} - declared.peers.keys()
    broken |= {peer_name(finding.file) for finding in tree.findings if is_peer_file(finding.file)}
    found = chain(
        tree.findings,
        findings,
        leaked_keys(tree.texts),
        repository_rules.wrong(tree.texts, declared),
        preshared_keys(tree.texts, declared, moment, declared.peers.keys() | broken),
        whole_mesh(declared, moment, frozenset(broken)),
    )
    return mesh, tuple(sorted(set(until_enough(found))))
