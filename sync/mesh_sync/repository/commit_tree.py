"""The files of one commit, read from git objects: what a mesh repository may have, within its limits."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_sync.errors import CommandError, Reason, Unreachable
from mesh_sync.findings import Finding
from mesh_sync.mesh.tree import TOO_MUCH, Entry, Tree, choose
from mesh_sync.repository.git_objects import GitObjects, damaged
from mesh_sync.repository.git_words import OUT_OF_MEMORY

DEADLINE = 10.0
"""Seconds for git to list, and as many to read, the files of a commit."""
MAX_LISTING = 4 * 1024 * 1024
"""Bytes; 20,000 files with 200 characters of each."""


def tree_at(repository: GitObjects, commit: str) -> Tree:
    """The files of a commit that is there. Raise CommandError when one is missing or broken, Unreachable when they take
    too long or too much memory to read.
    """
    try:
        words = ("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
        listing = repository.git(*words, most=MAX_LISTING, deadline=DEADLINE)
        chosen, findings = choose(entries(listing))
        contents = repository.read([(entry.blob, entry.size) for entry in chosen], DEADLINE)
        texts = {entry.path: content for entry, (_, content) in zip(chosen, contents, strict=True)}
    except CommandError as error:
        if error.reason is Reason.TOO_MUCH_OUTPUT:
            return Tree({}, (Finding(".", "", TOO_MUCH),))
        if error.reason is Reason.DEADLINE:
            raise Unreachable(f"commit {commit[:10]} takes too long to read") from None
        if error.says(*OUT_OF_MEMORY):
            raise Unreachable(f"commit {commit[:10]} needs more memory than git is given here") from None
        raise
    return Tree(texts, tuple(findings))


def entries(listing: bytes) -> Iterator[Entry]:
    """Given `git ls-tree -r -l -z`, yield what it lists. Raise CommandError for an object that is not there."""
    for line in listing.split(b"\0"):
        if line:
            attributes, _, path = line.partition(b"\t")
            try:
                mode, _, blob, size = attributes.decode().split()
                yield Entry(path.decode(errors="backslashreplace"), int(mode, 8), 0 if size == "-" else int(size), blob)
            except ValueError:  # git prints BAD in place of the size
                raise damaged(attributes[12:76].decode(errors="replace").split(" ")[0]) from None
