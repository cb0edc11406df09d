"""What a mesh repository says of itself: what its nodes may change, and how git treats its files. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from mesh_sync.findings import WARNING, Finding, shown
from mesh_sync.mesh.layout import MESH_FILE, PEERS, POLICY_FILE, SIGNERS_FILE, is_peer_file, is_secret_file, peer_path
from mesh_sync.trust import node_rights
from mesh_sync.trust.node_rights import EVERYONE

ATTRIBUTES = ".gitattributes"
MOST_UNREAD = 20
"""Files that are named because they are not read."""
_NAMES = frozenset({MESH_FILE, POLICY_FILE, SIGNERS_FILE})
_DRIVER = re.compile(rb"(?:^|\s)(filter|diff|merge)=(?!(?:union|text|binary)(?:\s|$))([^\s]*)")
"""An attribute that has git start a program of the clone's own settings; git's built-in ways to merge are none."""


def policy(texts: Mapping[str, bytes]) -> Iterator[Finding]:
    """What is wrong with `policy.toml`, and the nodes it speaks of that there are not."""
    if POLICY_FILE not in texts:
        return
    rules, findings = node_rights.parse(texts[POLICY_FILE])
    yield from findings
    for name in rules.nodes:
        if name != EVERYONE and peer_path(name) not in texts:
            yield Finding(POLICY_FILE, f"nodes.{name}", f"there is no peer {shown(name)}")


def unread(paths: Iterable[str]) -> Iterator[Finding]:
    """Warnings for the first files that look as if they said something about the mesh, and are not read."""
    wrong = ((path, _why_unread(path)) for path in paths if not _is_read(path))
    return islice((Finding(path, "", why, WARNING) for path, why in wrong if why), MOST_UNREAD)


def _is_read(path: str) -> bool:
    return path in _NAMES or is_peer_file(path) or is_secret_file(path)


def _why_unread(path: str) -> str:
    if _is_read(lower := path.casefold()):
        return f"is not read under this name; rename it to {lower}"
    if path.startswith(PEERS) and not _is_for_people(path):
        return "is not read: the file of a peer is named NAME.toml"
    return ""


def _is_for_people(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith((".", "README")) or name.endswith((".sample", ".md"))


def attributes(texts: Mapping[str, bytes]) -> Iterator[Finding]:
    """Attributes of files that would have git run a program."""
    for path, text in texts.items():
        if path.rpartition("/")[2].casefold() == ATTRIBUTES:
            yield from _drivers(path, text)


def _drivers(path: str, text: bytes) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith(b"#") and (found := _DRIVER.search(line)):
            setting = f"{found[1].decode()}={found[2].decode(errors='replace')}"
            yield Finding(path, f"line {number}", f"{shown(setting)} makes git run a program; remove it")
