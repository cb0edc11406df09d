"""Commits, edits and rules as git tells them: what `authorization` decides on. Changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from mesh_sync.errors import CommandError, Reason
from mesh_sync.mesh.layout import MESH_FILE, POLICY_FILE, SIGNERS_FILE
from mesh_sync.mesh.tree import MAX_FILE
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import signature, signers
from mesh_sync.trust.authorization import Commit, Rules, Untrusted
from mesh_sync.trust.node_rights import NodeRights
from mesh_sync.trust.node_rights import parse as parse_rights
from mesh_sync.trust.signers import Signers
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong

MAX_COMMITS = 100_000
"""Commits that one run reads; a mesh that changes ten times a day makes them in 27 years."""
_COMMITTER = re.compile(rb"^committer .*> ([0-9]{1,10}) [+-][0-9]{4}$", re.MULTILINE)
FileVersion = tuple[str, str]
"""The name of a file, and its blob."""


def commits(repository: GitObjects, head: str, known: Iterable[str]) -> tuple[Commit, ...]:
    """The commits of ``head``'s history that are not in that of ``known``, on every parent path, parents first.

    Without edits yet. Raise Untrusted for a history beyond all measure.
    """
    known = tuple(known)
    words = ("rev-list", "--topo-order", "--reverse", "--parents", f"--max-count={MAX_COMMITS + 1}")
    try:
        lines = repository.git(*words, head, "--not", *known).decode().split("\n")[:-1]
    except CommandError as error:
        if error.reason is not Reason.TOO_MUCH_OUTPUT:
            raise
        lines = [""] * (MAX_COMMITS + 1)
    if len(lines) > MAX_COMMITS:
        raise Untrusted(f"commit {head[:10]} brings more than {MAX_COMMITS:,} commits")
    found = {name: Commit(name, tuple(parents)) for name, *parents in map(str.split, lines)}
    if known and (len(known) > 1 or any(len(commit.parents) > 1 for commit in found.values())):
        for name in repository.git("rev-list", *known).decode().split():  # git goes by dates, which signers choose
            found.pop(name, None)
    for name, text in repository.contents(list(found), MAX_FILE):
        if text is None:
            raise Untrusted(f"commit {name[:10]} is longer than {MAX_FILE:,} bytes")
        found[name] = evolve(found[name], signature=signature.read(text), size=len(text), date=date_in(text))
    return tuple(found.values())


def commit_at(repository: GitObjects, name: str) -> Commit:
    """One commit, without edits. Raise CommandError when it is not there."""
    text = _text(repository, name)
    line = repository.git("rev-list", "--no-walk", "--parents", name).decode()
    return Commit(name, tuple(line.split()[1:]), signature.read(text), size=len(text), date=date_in(text))


def signed_at(repository: GitObjects, name: str) -> str:
    """`Commit.signed` of one commit. Raise CommandError when it is not there."""
    return Commit(name, (), signature.read(_text(repository, name))).signed


def _text(repository: GitObjects, name: str) -> bytes:
    [(_, text)] = repository.contents([name], MAX_FILE)
    if text is None:
        raise Untrusted(f"commit {name[:10]} is longer than {MAX_FILE:,} bytes")
    return text


def dates_before(repository: GitObjects, some: Sequence[Commit]) -> dict[str, int]:
    """When the parents of some commits that are not among these say that they were made (Unix seconds)."""
    outside = {name for commit in some for name in commit.parents} - {commit.name for commit in some}
    return {name: date_in(text or b"") for name, text in repository.contents(sorted(outside), MAX_FILE)}


def date_of(repository: GitObjects, name: str) -> int:
    """When a commit says that it was made (Unix seconds). Raise CommandError when it is not there."""
    [(_, text)] = repository.contents([name], MAX_FILE)
    return date_in(text or b"")


def date_in(commit: bytes) -> int:
    """When a commit says that it was made (Unix seconds); 0 where it does not say so as git does."""
    found = _COMMITTER.search(commit.partition(b"\n\n")[0])
    return int(found[1]) if found else 0


def rules(repository: GitObjects, names: Iterable[str], read: dict[FileVersion, Any] | None = None) -> dict[str, Rules]:
    """The rules at each of these commits, by their files. ``read``: the parsed files, kept from call to call."""
    read = {} if read is None else read
    names = list(dict.fromkeys(names))
    places = [(name, file) for name in names for file in _READERS]
    blobs = dict(zip(places, repository.blobs_at([f"{name}:{file}" for name, file in places]), strict=True))
    new = {(file, blob) for (_, file), blob in blobs.items() if blob and (file, blob) not in read}
    texts = dict(repository.contents(sorted({blob for _, blob in new}), MAX_FILE))
    read.update({(file, blob): _READERS[file](texts[blob] or b"") for file, blob in new})
    found = {place: read[place[1], blob] if blob else None for place, blob in blobs.items()}
    return {
        name: _rules(found[name, SIGNERS_FILE], found[name, MESH_FILE] or "", found[name, POLICY_FILE] or NodeRights())
        for name in names
    }


def _rules(listed: Signers | None, mesh: str, rights: NodeRights) -> Rules:
    return Rules(listed.in_mesh(mesh) if listed else None, mesh, rights)


def _mesh_name(content: bytes) -> str:
    """The name of the mesh, if mesh.toml gives one."""
    try:
        name = read_toml(content).get("name")
    except Wrong:
        return ""
    return name if isinstance(name, str) else ""


_READERS: Mapping[str, Callable[[bytes], Any]] = {
    SIGNERS_FILE: lambda content: signers.parse(content)[0],
    MESH_FILE: _mesh_name,
    POLICY_FILE: lambda content: parse_rights(content)[0],
}
