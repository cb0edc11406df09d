"""What a mesh repository says of itself, not of peers: who signs, who may change what, how git acts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mesh_sync.check import signers
from mesh_sync.findings import Finding, shown
from mesh_sync.mesh.layout import POLICY_FILE, peer_path
from mesh_sync.mesh.model import Mesh
from mesh_sync.trust import node_rights
from mesh_sync.trust.node_rights import EVERYONE

ATTRIBUTES = ".gitattributes"
_DRIVER = re.compile(rb"(?:^|\s)(filter|diff|merge)=(?!(?:union|text|binary)(?:\s|$))([^\s]*)")
"""An attribute that has git start a program of the clone's own settings; git's built-in ways to merge are none."""


def wrong(texts: Mapping[str, bytes], mesh: Mesh) -> Iterator[Finding]:
    """Given every file of the repository, yield what is wrong with these."""
    yield from signers.wrong(texts, mesh)
    if POLICY_FILE in texts:
        rules, findings = node_rights.parse(texts[POLICY_FILE])
        yield from findings
        for name in rules.nodes:
            if name != EVERYONE and peer_path(name) not in texts:
                yield Finding(POLICY_FILE, f"nodes.{name}", f"there is no peer {shown(name)}")
    for path, text in texts.items():
        if path.rpartition("/")[2].casefold() == ATTRIBUTES:
            yield from _attributes(path, text)


def _attributes(path: str, text: bytes) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith(b"#") and (found := _DRIVER.search(line)):
            setting = f"{found[1].decode()}={found[2].decode(errors='replace')}"
            yield Finding(path, f"line {number}", f"{shown(setting)} would have git start a program; leave it out")
