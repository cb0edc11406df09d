"""The end of every edit to a working copy: check, write, commit, and see whether nodes would take the commit."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, frozen

from mesh_sync.mesh.working_copy import WorkingCopy, Written
from mesh_sync.repository import commits


@frozen
class Done:
    """What was written and committed. ``written`` is None when the files said all of it already."""

    message: str
    became: str = ""
    """What happened to the first file, in words that follow its path."""
    written: Written | None = None
    commit: str | None = None
    doubt: str = ""
    """Why no node that verifies signatures would take the commit."""


def finish(
    repository: WorkingCopy, files: Mapping[str, str | None], message: str, became: str, *, commit: bool
) -> Done:
    """Write these files, None takes one away; commit them unless errors from before are left."""
    written = repository.write(files)
    done = Done(message, became, written)
    if not commit or written.errors:
        return done
    made = commits.commit(repository.directory, written.paths, message)
    return evolve(done, commit=made, doubt=commits.doubt(repository.directory) if made else "")
