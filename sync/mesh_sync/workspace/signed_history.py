"""`mesh-sync log` and `blame`: the commits of a working copy as what they changed in the mesh, and who has signed them.

A key counts that the list before the commit had (of the first commit, its own list), as on nodes; `node_refusal` says
why nodes would not take the commit. All is read in pieces, newest first, so that the first lines of a history of any
length are there at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from mesh_sync.check.signers import changed_admins
from mesh_sync.errors import CommandError, ConfigError
from mesh_sync.findings import printable
from mesh_sync.mesh.layout import MESH_FILE, SIGNERS_FILE, is_peer_file, peer_path
from mesh_sync.mesh.list_changes import MESH, ListChange, Version, list_changes, peer_at, shown, touched, values
from mesh_sync.mesh.tree import MAX_FILE
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import git_history, signature, signers
from mesh_sync.trust.authorization import Commit, Rules, Untrusted
from mesh_sync.trust.commit_signature import is_signed
from mesh_sync.trust.git_history import rules
from mesh_sync.trust.signature import SSH
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.workspace.edit_peer import file_of
from mesh_sync.workspace.node_refusal import Found, NodeRefusals
from mesh_sync.workspace.preview import commit_in
from mesh_sync.workspace.typed import in_copy

_AUTHOR = re.compile(rb"^author (.*) <", re.MULTILINE)
FIRST, AT_ONCE = 50, 500
"""Commits that are read together: few at first."""
Note = Callable[[int], None]
NONE = "0" * 40
"""The blob of a file that is not there."""


@frozen
class Revision:
    """One commit. ``date``, ``author``: when and by whom it says that it was made; ``signer``: whose key has signed it,
    empty if none that counts; ``problem``: why not. ``refused``: why nodes would refuse the commit, empty if they take
    it.
    """

    commit: str
    date: datetime
    author: str
    signer: str
    problem: str
    subject: str
    changes: tuple[ListChange, ...] = ()
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        plain = {"commit": self.commit, "date": self.date.isoformat(), "signer": self.signer or None}
        why = {"problem": self.problem or None, "refused": self.refused or None}
        more = {**why, "author": self.author, "subject": self.subject}
        return {**plain, **more, "changes": [change.as_json() for change in self.changes]}


@frozen
class Blame:
    """A key of a peer's file, its value as text, and the commit that set it last; None where it is not committed."""

    key: str
    value: str
    revision: Revision | None


def log(directory: Path, peer: str = "", note: Note = lambda number: None) -> Iterator[Revision]:
    """The commits up to HEAD that changed the mesh, the newest first; of one ``peer``, also under its former names.

    ``note`` is told how many commits were looked at. Raise ConfigError when it is no git repository or has no commit.
    """
    objects, head = commit_in(directory, "HEAD")
    try:
        named, size, seen, refusals = peer, FIRST, 0, NodeRefusals(objects)
        commits = _commits(objects, head)
        while commits[seen:]:
            some = commits[seen : seen + size]
            changed = _changed(objects, some)
            told = _told(objects, changed)
            found: list[tuple[str, tuple[ListChange, ...]]] = []
            for name, _ in some:
                changes = touched(told[name], named) if peer else told[name]
                named = next((one.old or "" for one in changes if (one.kind, one.new) == ("renamed", named)), named)
                found += [(name, changes)] if changes or not peer else []
            yield from _revisions(objects, found, dict(some), refusals)
            seen, size = seen + len(some), AT_ONCE
            note(seen)
    except CommandError as error:
        raise ConfigError(f"the history of {directory} cannot be read: {error.message}") from None


def blame(directory: Path, peer: str, note: Note = lambda number: None) -> tuple[Blame, ...]:
    """For each key of a peer's file the commit that gave it the value that it has. ConfigError if there is no file."""
    try:
        text = (directory / file_of(peer)).read_bytes()
    except OSError:
        hint = in_copy(directory, f"mesh-sync log {peer}") + " says whether there was one"
        raise ConfigError(f"there is no {peer_path(peer)}", hint=hint) from None
    present = peer_at(peer, text)
    if present is None:
        raise ConfigError(f"{peer_path(peer)} cannot be read", hint="mesh-sync check says why")
    said = read_toml(text).keys()
    wanted = {key: shown(value) or "" for key, value in values(present).items() if key in said}
    objects, head = commit_in(directory, "HEAD")
    [blob] = objects.blobs_at([f"{head}:{peer_path(peer)}"])
    committed = peer_at(peer, dict(objects.contents([blob], MAX_FILE))[blob]) if blob else None
    same = {key for key, value in values(present).items() if committed and getattr(committed, key) == value}
    found = {key: Blame(key, text, None) for key, text in wanted.items()}
    open_keys = wanted.keys() & same
    for revision in log(directory, peer, note) if open_keys else ():
        keys = {change.key for change in revision.changes}
        began = any(change.kind in ("joined", "broken") for change in revision.changes)
        for key in tuple(open_keys):
            if began or key in keys:
                found[key] = evolve(found[key], revision=revision)
                open_keys = open_keys - {key}
        if not open_keys:
            break
    return tuple(found.values())


def _commits(objects: GitObjects, head: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each commit of the history and its parents, the newest first."""
    lines = objects.git("rev-list", "--topo-order", "--parents", head).decode().split("\n")[:-1]
    return [(name, tuple(parents)) for name, *parents in map(str.split, lines)]


def _changed(objects: GitObjects, some: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, dict[str, tuple[str, str]]]:
    """The blobs, before and after, of each file that each commit changes; of a merge, of its every parent."""
    pairs = [(name, parent) for name, parents in some for parent in (parents or ("",))]
    lines = "".join(f"{name} {parent}".strip() + "\n" for name, parent in pairs)
    words = ("diff-tree", "--stdin", "--root", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--always")
    printed = objects.git(*words, "--no-ext-diff", "--ignore-submodules=all", input=lines)
    each: list[dict[str, tuple[str, str]]] = []
    parts = iter(printed.decode(errors="replace").split("\0")[:-1])
    for part in parts:
        if not part.startswith(":"):
            each.append({})
            continue
        _, _, old, new, _ = part.split(" ")
        each[-1][next(parts)] = (old, new)
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for (name, _), files in zip(pairs, each, strict=True):
        before = found.get(name, files)
        found[name] = {path: before[path] for path in before.keys() & files.keys()}
    return found


def _told(
    objects: GitObjects, changed: Mapping[str, Mapping[str, tuple[str, str]]]
) -> dict[str, tuple[ListChange, ...]]:
    """What each commit changed, in the mesh's terms."""
    read = {
        blob
        for files in changed.values()
        for path, blobs in files.items()
        if is_peer_file(path) or path in (MESH_FILE, SIGNERS_FILE)
        for blob in blobs
        if blob != NONE
    }
    texts = dict(objects.contents(sorted(read), MAX_FILE))

    def version(blob: str) -> bytes | None:
        return None if blob == NONE else texts.get(blob) or b""

    found = {}
    for name, files in changed.items():
        versions: dict[str, Version] = {path: (version(old), version(new)) for path, (old, new) in files.items()}
        listed = _signers(*versions[SIGNERS_FILE]) if SIGNERS_FILE in versions else ()
        found[name] = (*list_changes(versions), *listed)
    return found


def _signers(before: bytes | None, after: bytes | None) -> Iterator[ListChange]:
    """Who may sign now, and who may no longer."""
    for finding in changed_admins(before or b"", after or b""):
        yield ListChange(MESH, "admin", f"{finding.key} {finding.message}", new=finding.key)
    old, new = ({(one.principal, one.key): one for one in signers.parse(text or b"")[0].entries if one.is_node}
                for text in (before, after))  # fmt: skip
    for pair in sorted(old.keys() ^ new.keys()):
        one, verb = (new[pair], "may sign") if pair in new else (old[pair], "may no longer sign")
        text = f"{one.principal} {verb} with the key {one.fingerprint}"
        yield ListChange(one.principal.partition("@")[0], "signer", text)


def _revisions(
    objects: GitObjects,
    found: Sequence[tuple[str, tuple[ListChange, ...]]],
    parents: Mapping[str, tuple[str, ...]],
    refusals: NodeRefusals,
) -> Iterator[Revision]:
    """The commits with their changes, who has signed them, and whether nodes take them."""
    texts = dict(objects.contents([name for name, _ in found], MAX_FILE))
    lists = rules(objects, [each for name, _ in found for each in parents[name] or (name,)])
    looked: list[Found] = []
    who: dict[str, tuple[str, str]] = {}
    for name, changes in found:
        text = texts[name] or b""
        commit = Commit(name, parents[name], signature.read(text), (), len(text), git_history.date_in(text))
        above = [lists[each] for each in parents[name] or (name,)]
        who[name] = _signer(objects, commit, above)
        looked.append((commit, above, changes, text.partition(b"\n\n")[2].decode(errors="replace")))
    refused = refusals.of(looked, {name: problem for name, (_, problem) in who.items()})
    for commit, _, changes, _ in looked:
        name, (signer, problem) = commit.name, who[commit.name]
        text = texts[name] or b""
        head, _, message = text.partition(b"\n\n")
        found_author = _AUTHOR.search(head)
        author, subject = (
            printable(each.decode(errors="replace"))
            for each in (found_author[1] if found_author else b"", message.partition(b"\n")[0])
        )
        date = datetime.fromtimestamp(commit.date, UTC)
        yield Revision(name, date, author, signer, problem, subject, changes, printable(refused.get(name, "")))


def _signer(objects: GitObjects, commit: Commit, lists: Sequence[Rules]) -> tuple[str, str]:
    """Whose key has signed a commit; else empty, and why none counts."""
    found = commit.signature
    if not any(each.signers for each in lists):
        return "", "the list had no signers"
    if not found.kind:
        return "", "not signed"
    lines = [
        tuple(line for line in each.signers.entries if line.key == commit.key) if each.signers else () for each in lists
    ]
    if found.kind != SSH or not found.key or not all(lines):
        return "", "signed by no key that the list had"
    try:
        if is_signed(objects, commit, lines[0]):
            return lines[0][0].principal, ""
    except Untrusted as problem:
        return "", str(problem)
    return "", "its signature does not match it"
