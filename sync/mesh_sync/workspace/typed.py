"""The commands of a hint as they are to be typed where the person is: the working copy may be elsewhere (-C DIR)."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.system.shell_words import quote


def in_copy(directory: Path, command: str, option: str = "-C") -> str:
    """Given `git push` or `mesh-sync peer list`, return it for this working copy, so that it can be pasted.

    ``option``: how the command of mesh-sync is told of the directory; empty where it is an argument.
    """
    if directory == Path():
        return command
    place, (program, _, words) = quote(str(directory)), command.partition(" ")
    return f"git -C {place} {words}" if program == "git" else " ".join(filter(None, (command, option, place)))
