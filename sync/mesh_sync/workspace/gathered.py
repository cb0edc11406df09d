"""Edits that are to become one commit: made one after the other on a commit's files, kept in memory, written nowhere.

Each is an edit as the command line makes it, and passes the same checks; only what becomes of its files is different.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from attrs import field, frozen

from mesh_sync.errors import ConfigError, MeshSyncError, Refused
from mesh_sync.mesh.model import Mesh
from mesh_sync.terminal.say import count
from mesh_sync.trust.guard import TRAILER, Trip, standing, trips
from mesh_sync.workspace.committed import Committed
from mesh_sync.workspace.edit import Edit, Edited
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.preview import Preview, plan_trees
from mesh_sync.workspace.working_copy import WorkingCopy

Files = Mapping[str, str | None]
_OTHERS = 2
"""Nodes that do not change, and of which the guard is asked: all of them see the same."""


@frozen(slots=False)
class Gathered:
    """Edits of the list at the commit ``base``: the files as they will be (None: removed), and what was done."""

    base: Committed
    files: Files = field(factory=dict[str, str | None])
    done: tuple[tuple[str, frozenset[str]], ...] = ()
    """What each edit did, as the first line of a commit's message, and the files that it changed."""

    @cached_property
    def present(self) -> Committed:
        """The list with the edits."""
        return self.base.with_files(self.files) if self.files else self.base

    @cached_property
    def mark(self) -> str:
        """What tells these edits from others: a form carries it that was made from them."""
        said = repr((self.base.commit, sorted(self.files.items())))
        return hashlib.sha256(said.encode()).hexdigest()

    def edited(self, edit: Callable[[Edit], Edited]) -> tuple[Gathered, Edited]:
        """With one more edit, and what it did. Raise MeshSyncError when it would bring an error."""
        found: list[Files] = []
        done = edit(_Gathering(self.base.directory, listed=self.present, found=found))
        files = dict(self.files)
        for each in found:
            files |= each
        changed = {path: text for path, text in files.items() if text != self.base.text(path)}
        one = (done.message.partition("\n")[0], frozenset(path for each in found for path in each))
        return self._with(self.base, changed, (*self.done, one)), done

    def _with(self, base: Committed, files: Files, done: tuple[tuple[str, frozenset[str]], ...]) -> Gathered:
        """These files, and of what was done that which concerns them."""
        return Gathered(base, files, tuple(one for one in done if not one[1].isdisjoint(files)))

    @property
    def subjects(self) -> tuple[str, ...]:
        """What the edits did, each once."""
        return tuple(dict.fromkeys(subject for subject, _ in self.done))

    def without(self, path: str) -> Gathered:
        """The edits without those of one file."""
        return self._with(self.base, {each: text for each, text in self.files.items() if each != path}, self.done)

    def at(self, base: Committed) -> Gathered:
        """The same edits on the same commit, as it was read later."""
        return Gathered(base, self.files, self.done)

    def preview(self) -> Preview:
        """What they do to every node. Raise MeshSyncError when one of the two lists has errors."""
        return plan_trees(self.base.tree, f"commit {self.base.commit[:10]}", self.present.tree, "this change")

    @cached_property
    def guarded(self) -> tuple[Trip, ...]:
        """What nodes refuse unless the commit says that it is meant."""
        return tuple(_guarded(self.base, self.present))

    def message(self, subject: str, allowed: frozenset[str]) -> str:
        """The commit's message: ``subject`` or one made of the edits, these, and the trailers that are ``allowed``."""
        own = self.subjects[0] if len(self.subjects) == 1 else count(len(self.subjects), "change") + " to the list"
        body = "\n".join(self.subjects) if len(self.subjects) > 1 else ""
        trailers = "\n".join(f"{TRAILER}: {trip.what}" for trip in self.guarded if trip.what in allowed)
        first = " ".join(subject.split()) or own
        return "\n\n".join(part for part in (first, body, trailers) if part)

    def moved_to(self, base: Committed) -> tuple[Gathered, tuple[str, ...]]:
        """The same edits of a later commit; and the files that have changed meanwhile, whose edits are gone."""
        lost = tuple(path for path in self.files if self.base.text(path) != base.text(path))
        kept = {path: text for path, text in self.files.items() if path not in lost and text != base.text(path)}
        return self._with(base, kept, self.done), lost

    def commit(self, message: str) -> Edited:
        """Write and commit them, as `--commit` does. Raise MeshSyncError, and write nothing, where that cannot be."""
        directory, copy = self.base.directory, WorkingCopy.open(self.base.directory)
        if dirty := [path for path in self.files if copy.text(path) != self.base.text(path)]:
            hint = "commit or undo that first; `git status` shows it"
            raise MeshSyncError(f"{dirty[0]} has changes in {directory} that are not committed", hint=hint)
        edit = Edit(directory, commit=True, push=True)

        def check_head() -> None:
            if OwnGit.of(directory)("rev-parse", "HEAD^{commit}") != self.base.commit:
                raise Moved

        return edit.finish(copy, self.files, message, "is changed", first=check_head)


class Moved(Refused):
    """The branch is at another commit than these edits were made from."""

    def __init__(self) -> None:
        super().__init__("the branch is at another commit by now", hint="look at the plan again")


@frozen(kw_only=True)
class _Gathering(Edit):
    """An edit whose files are kept."""

    listed: Committed
    found: list[Files]

    def open(self) -> WorkingCopy:
        return self.listed.copy()

    def finish(
        self, copy: WorkingCopy, files: Files, message: str, became: str, first: Callable[[], None] = lambda: None
    ) -> Edited:
        edited = Edited(message, next(iter(files), ""), became, copy.news(files))
        first()
        self.found.append(files)
        return edited


def _guarded(before: Committed, after: Committed) -> Iterator[Trip]:
    old, new = before.mesh, after.mesh
    changed = [name for name, peer in old.peers.items() if new.peers.get(name) != peer]
    others = [name for name in old.peers if name not in set(changed)][:_OTHERS]
    found: dict[str, Trip] = {}
    for name in (*changed, *others):
        for trip in _trips(old, new, name, before):
            found.setdefault(trip.what, trip)
    yield from found.values()


def _trips(old: Mesh, new: Mesh, name: str, before: Committed) -> Iterator[Trip]:
    applied = standing(old, name, before.moment)
    after = standing(new, name, before.moment, applied.own_keys)
    yield from trips(applied, after, old.guard.max_removed_peers)


def replace(edit: Edit, path: str, text: str) -> Edited:
    """Give a file of the list another text. Raise ConfigError when there is no such file."""
    copy = edit.open()
    if not copy.has(path):
        raise ConfigError(f"there is no {path}", hint=f"the mesh has: {copy.some_names}")
    if copy.on_disk is False and path in copy.tree.texts and copy.tree.texts[path] == text.encode():
        return Edited(f"{path} says so already")
    return edit.finish(copy, {path: text}, f"{path}: is changed", "is changed")
