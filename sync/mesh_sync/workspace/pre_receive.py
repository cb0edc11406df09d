"""`mesh-sync check --pre-receive`: what nodes would refuse of a push, on the git host, before it takes the push.

The objects of the push are in quarantine (git-receive-pack(1)) until this agrees. They are read through a repository
that borrows them: it has no refs, settings, grafts or replacements of the host, and a part of a history that the host
or the pusher hides is missing there.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mesh_sync.check.examine import examine
from mesh_sync.errors import CommandError, ConfigError, Reason
from mesh_sync.findings import Finding
from mesh_sync.repository.git_command import git
from mesh_sync.repository.git_objects import GitObjects, git_directory
from mesh_sync.repository.incoming import unsound
from mesh_sync.system.run import run
from mesh_sync.workspace.preflight import PLACE, refusals
from mesh_sync.workspace.preview import files_at

_UPDATE = re.compile(r"([0-9a-f]{40,64}) ([0-9a-f]{40,64}) (refs/.+)")
NONE = "0" * 40
"""What git writes for a ref that is not there."""
MAX_SIZE = 256
"""MiB that one push may have, as on a node that sets no `max_size`."""
DEADLINE = 60.0
"""Seconds for git to check the objects of a push."""
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"


def findings_of(host: Path, lines: Iterable[str]) -> tuple[Finding, ...]:
    """Given the git host's repository and what git tells the hook, a line `OLD NEW REF` for each ref, return all that
    is wrong or doubtful with what the mesh's branch would become. Other branches and tags are no mesh.

    Raise ConfigError when there is no such repository.
    """
    try:
        objects = GitObjects(git_directory(host))
    except CommandError as error:
        raise ConfigError(f"{host} is not a git repository: {error.message}") from None
    branch = _target(objects, f"refs/heads/{_said(objects, 'config', '--get', 'mesh-sync.branch') or 'main'}")
    present = _said(objects, "rev-parse", "--verify", "--quiet", f"{branch}^{{commit}}") or NONE
    updates = [found.groups() for line in lines if (found := _UPDATE.fullmatch(line))]
    ours = [(old, new) for old, new, ref in updates if _target(objects, ref) == branch]
    return tuple(finding for old, new in ours for finding in _wrong(objects, branch, present, old, new))


def _wrong(objects: GitObjects, branch: str, present: str, old: str, new: str) -> Iterator[Finding]:
    if not new.strip("0"):
        yield Finding(PLACE, "", f"{branch} is the mesh; it cannot be deleted")
    elif len(new) != len(NONE):
        yield Finding(PLACE, "", "is a SHA-256 repository, which mesh-sync does not read")
    elif old != present:
        yield Finding(PLACE, "", f"{branch} is at {present[:10]}, not at {old[:10]}; fetch, and push again")
    else:
        with _borrowing(objects, new) as borrowed:
            if bad := _unsound(borrowed, old, new):
                yield from bad
                return
            yield from refusals(borrowed, old)
            yield from examine(files_at(borrowed, new), datetime.now(UTC), advice=True)[1]


def _target(objects: GitObjects, ref: str) -> str:
    """The ref that changes when this one is pushed to: on a host it may be a symbolic one."""
    return _said(objects, "symbolic-ref", "--quiet", ref) or ref


def _said(objects: GitObjects, *words: str) -> str:
    """What git answers; empty when there is no such thing."""
    try:
        return objects.git(*words).decode(errors="replace").strip()
    except CommandError as error:
        if error.reason is not Reason.EXIT_STATUS:
            raise
        return ""


@contextmanager
def _borrowing(objects: GitObjects, head: str) -> Iterator[Path]:
    """A repository with the objects of the push and of the host, whose head is the commit ``head``."""
    own = f"{_said(objects, 'rev-parse', '--path-format=absolute', '--git-common-dir')}/objects"
    quarantine = os.environ.get("GIT_OBJECT_DIRECTORY", own)
    with tempfile.TemporaryDirectory(prefix="mesh-sync-") as folder:
        place = Path(folder)
        for name in ("objects/info", "objects/pack", "refs"):
            (place / name).mkdir(parents=True)
        (place / "HEAD").write_text(f"{head}\n")
        (place / "config").write_text(_CONFIG)
        (place / "objects/info/alternates").write_text(f"{Path(quarantine).absolute()}\n{own}\n")
        yield place


def _unsound(borrowed: Path, old: str, new: str) -> list[Finding]:
    """What git's own check finds wrong with the objects that the push adds; a node lets it check all that it gets."""
    wanted = f"{new}\n" if old == NONE else f"{new}\n^{old}\n"
    start = ("--git-dir", str(borrowed))
    pack = ("pack-objects", "--quiet", "--revs", "--non-empty", str(borrowed / "objects/pack/pack"))
    try:
        run(git(*start, *pack, max_size=MAX_SIZE), input=wanted, deadline=DEADLINE)
        for made in (borrowed / "objects/pack").glob("*.pack"):
            words = ("index-pack", "--verify", "--strict", str(made))
            run(git(*start, *words, max_size=MAX_SIZE), deadline=DEADLINE)
    except CommandError as error:
        text = f"the objects of the push cannot be checked: {error.message}"
        return list(unsound(error)) or [Finding(PLACE, "", text)]
    return []
