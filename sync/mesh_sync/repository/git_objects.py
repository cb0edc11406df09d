"""What git prints of a commit's files: `ls-tree` to entries, `cat-file --batch` to their contents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mesh_sync.errors import CommandError, Reason
from mesh_sync.mesh.tree import Entry

MAX_LISTING = 4 * 1024 * 1024
"""Bytes; 20,000 files with 200 characters of each."""
_HEADER = 100
"""Bytes of what git puts around a content, at most: the object's name, its kind and its size."""


def entries(listing: bytes) -> Iterator[Entry]:
    """Given `git ls-tree -r -l -z`, yield what it lists. Raise CommandError for an object that is not there."""
    for line in listing.split(b"\0"):
        if line:
            attributes, _, path = line.partition(b"\t")
            try:
                mode, _, blob, size = attributes.decode().split()
                yield Entry(path.decode(errors="backslashreplace"), int(mode, 8), 0 if size == "-" else int(size), blob)
            except ValueError:  # it says BAD where the size should be
                raise _damaged(attributes[12:76].decode(errors="replace").split(" ")[0]) from None


def most_packed(asked: Sequence[Entry]) -> int:
    """Bytes of git's answer for the blobs asked, if they are as long as they were listed."""
    return sum(entry.size + _HEADER for entry in asked)


def contents(asked: Sequence[Entry], packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Given what `git cat-file --batch` answers for the blobs asked, yield path and content of each."""
    position = 0
    for entry in asked:
        header = f"{entry.blob} blob {entry.size}\n".encode()
        if not packed.startswith(header, position):
            raise _damaged(entry.blob)
        begin = position + len(header)
        yield entry.path, packed[begin : begin + entry.size]
        position = begin + entry.size + 1


def _damaged(blob: str) -> CommandError:
    return CommandError(f"git object {blob} is missing or broken", program="git", reason=Reason.BAD_OUTPUT)
