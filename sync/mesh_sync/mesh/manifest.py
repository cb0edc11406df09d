"""The text of a mesh repository to a `Mesh`: every problem found, each with its file and key.

The caller reads the files (`tree`) and says for each path what is there; this module is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import TypeVar

import attrs

from mesh_sync.findings import MAX_ERRORS, Finding
from mesh_sync.mesh.layout import MESH_FILE, is_peer_file, peer_name
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.schema import mesh_of, peer_of
from mesh_sync.typed_toml.fields import LABEL
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong

MAX_PEER_FILE = 16 * 1024
"""Bytes; one is some hundred, and 500 subnets are 14,000. A node's own key may write its file."""
T = TypeVar("T", Mesh, Peer)
_last_read: dict[bytes, Peer] = {}
"""The peers of the list that was read last, by the digest of path and file. A run reads several lists that hardly
differ, as those before and after a change; what a file says depends on nothing else."""


def read(files: Mapping[str, bytes]) -> tuple[Mesh | None, tuple[Finding, ...]]:
    """Given the repository's mesh.toml and peers/*.toml, return the mesh and everything wrong with them.

    The mesh is None when mesh.toml itself cannot be used; a peer whose file is broken is left out of it,
    and its finding is there.
    """
    findings: list[Finding] = []
    peers = read_peers(files, findings)
    if MESH_FILE not in files:
        findings.append(Finding(MESH_FILE, "", "is missing; `mesh-sync init` creates one"))
        return None, tuple(findings)
    mesh = _read(MESH_FILE, files[MESH_FILE], mesh_of, findings)
    return (attrs.evolve(mesh, peers=peers) if mesh else None), tuple(findings)


def read_peers(files: Mapping[str, bytes], findings: list[Finding]) -> dict[str, Peer]:
    """The peers by name, without those whose file is broken; what is wrong with the files goes to ``findings``."""
    global _last_read
    known, _last_read = _last_read, {}
    peers: dict[str, Peer] = {}
    seen: dict[str, str] = {}
    for path in sorted(path for path in files if is_peer_file(path)):
        if len(findings) > MAX_ERRORS:
            break
        name = peer_name(path)
        findings += _name_findings(path, name, seen)
        if (size := len(files[path])) > MAX_PEER_FILE:
            findings.append(Finding(path, "", f"is {size:,} bytes long; the limit for a peer is {MAX_PEER_FILE:,}"))
            continue
        key = sha256(path.encode(errors="surrogatepass") + b"\0" + files[path]).digest()
        if peer := known.get(key) or _read(path, files[path], peer_of, findings, name=name):
            peers[name] = _last_read[key] = peer
    return peers


def _name_findings(path: str, name: str, seen: dict[str, str]) -> Iterator[Finding]:
    shown = name if len(name) <= 80 else name[:77] + "..."
    if not LABEL.fullmatch(name):
        yield Finding(path, "", f"the peer name {shown!r} is not a lower-case DNS label (a-z, 0-9, -, at most 63)")
    other = seen.setdefault(name.casefold(), path)
    if other != path:
        yield Finding(path, "", f"differs from {other} only in case")


def _read(path: str, content: bytes, hook: Callable[..., T], findings: list[Finding], **given: str) -> T | None:
    try:
        return hook(read_toml(content), **given)
    except Wrong as wrong:
        findings += wrong.findings(path)
        return None
