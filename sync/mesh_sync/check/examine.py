"""The one entry to every rule about a mesh repository, for people (`check`) and for nodes (`now`) alike. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mesh_sync.check.addresses import addresses
from mesh_sync.check.clients import clients
from mesh_sync.check.endpoints import endpoints, without_endpoints
from mesh_sync.check.exits import exits, use_of_exits
from mesh_sync.check.expectations import expectations, unmet
from mesh_sync.check.gateways import gateways
from mesh_sync.check.leaked_keys import leaked_keys
from mesh_sync.check.preshared_keys import preshared_keys
from mesh_sync.check.relays import cut_off, relays
from mesh_sync.check.repository_rules import attributes, policy, unread
from mesh_sync.check.rollout import rollout
from mesh_sync.check.signers import advice_on_signers, signers
from mesh_sync.check.translations import translations
from mesh_sync.findings import Finding, until_enough
from mesh_sync.mesh import manifest
from mesh_sync.mesh.layout import is_peer_file, peer_name
from mesh_sync.mesh.model import Mesh
from mesh_sync.mesh.topology import Topology
from mesh_sync.mesh.tree import Tree

Read = tuple[Mesh | None, tuple[Finding, ...]]
"""What `manifest.read` returns."""


def examine(tree: Tree, moment: datetime, *, advice: bool = False, read: Read | None = None) -> Read:
    """Given the content of a mesh repository, return the mesh and every finding, in order of file and key.

    ``advice``: with what only the people who keep the list can act on, such as a key that expires soon. ``read``: what
    the manifests say, if the caller has read them.
    """
    mesh, findings = read or manifest.read(tree.manifests)
    declared = mesh or Mesh(format=1, name="", networks=(), peers=manifest.read_peers(tree.manifests, []))
    found = list(until_enough(_findings(tree, findings, declared, moment)))
    if advice and mesh:
        found += advice_on_signers(tree.texts, mesh, moment)
    return mesh, tuple(sorted(set(found)))


def _findings(tree: Tree, read: tuple[Finding, ...], mesh: Mesh, moment: datetime) -> Iterator[Finding]:
    texts = tree.texts
    files = {*texts, *(finding.file for finding in tree.findings)}
    broken = {peer_name(path) for path in files if is_peer_file(path)} - mesh.peers.keys()
    yield from tree.findings
    yield from read
    yield from leaked_keys(texts)
    yield from signers(texts, mesh)
    yield from policy(texts)
    yield from attributes(texts)
    yield from unread(texts)
    yield from preshared_keys(texts, mesh, moment, broken)
    yield from addresses(mesh)
    yield from translations(mesh)
    yield from gateways(mesh)
    yield from endpoints(mesh, moment)
    yield from relays(mesh, broken)
    yield from exits(mesh, broken)
    yield from rollout(mesh, broken)
    yield from expectations(mesh, broken)
    if not broken:
        yield from clients(mesh)
        yield from _reach(mesh, moment)


def _reach(mesh: Mesh, moment: datetime) -> Iterator[Finding]:
    """Who reaches whom; with some peers unreadable that cannot be told."""
    topology = Topology(mesh, moment)
    yield from cut_off(topology, moment)
    yield from without_endpoints(topology)
    yield from use_of_exits(topology, moment)
    yield from unmet(topology)
