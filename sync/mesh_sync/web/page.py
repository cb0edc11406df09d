"""What the page knows between two requests: the list as it was read last, the edits that are not pushed, a push."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock

from attrs import frozen

from mesh_sync.errors import Refused
from mesh_sync.web.inviting import Inviting
from mesh_sync.web.peer_table import Row, rows
from mesh_sync.web.pushing import Pushing
from mesh_sync.web.watching import Seen, Watching
from mesh_sync.workspace import fleet_now
from mesh_sync.workspace.committed import Committed, Head, read_commit
from mesh_sync.workspace.edit import Edit, Edited
from mesh_sync.workspace.gathered import Gathered

FRESH = timedelta(minutes=1)
"""How long what was read of a commit is shown; peers expire, so that it is read again then."""


@frozen
class Move:
    """The branch went from one commit to another while there were edits; ``lost``: files whose edits are gone."""

    before: Committed
    after: Committed
    lost: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """The files that are not as they were."""
        old, new = self.before.tree.texts, self.after.tree.texts
        return tuple(sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path)))


class Page:
    """One operator's page of the working copy ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.private_keys: dict[str, str] = {}
        """Keys that were made here for unmanaged peers, by their public keys, until they have been shown once."""
        self.inviting = Inviting(directory)
        self.pushing: Pushing | None = None
        self.move: Move | None = None
        self._lock = RLock()
        self._watching = Watching(lambda: fleet_now.look(self.gathered().base))
        self._gathered: Gathered | None = None
        self._rows: tuple[Committed, tuple[Row, ...]] | None = None
        self._head = Head(directory)

    def gathered(self) -> Gathered:
        """The edits so far, on the list as it is committed now. Raise ConfigError when there is none."""
        with self._lock:
            commit, old = self._head.commit(), self._gathered
            if old and old.base.commit == commit and datetime.now(UTC) - old.base.moment < FRESH:
                return old
            found = read_commit(self.directory, commit)
            if old is None:
                self._gathered = Gathered(found)
            elif old.base.commit != found.commit:
                self._gathered, lost = old.moved_to(found)
                self.move = Move(old.base, found, lost) if old.files else None
            else:
                self._gathered = old.at(found)
            return self._gathered

    def committed(self) -> Committed:
        """The list with the edits so far."""
        return self.gathered().present

    def rows(self, committed: Committed) -> tuple[Row, ...]:
        """The rows of the table of peers, made once for a list as it was read last."""
        kept = self._rows
        if kept is None or kept[0] is not committed:
            self._rows = kept = (committed, rows(committed))
        return kept[1]

    def fleet(self, since: float = 0.0) -> Seen | None:
        """What the nodes say, asked after ``since`` (monotonic); None while they are being asked."""
        return self._watching.seen(since)

    @property
    def edits(self) -> int:
        """How many files the edits change, in the list as it was read last."""
        found = self._gathered or self.gathered()
        return len(found.files)

    def edit(self, edit: Callable[[Edit], Edited]) -> Edited:
        """Make one more edit. Raise MeshSyncError when it would bring an error, or while what there is is pushed."""
        with self._lock:
            self._raise_if_pushing()
            self._gathered, done = self.gathered().edited(edit)
            return done

    def drop(self, path: str = "") -> None:
        """Forget the edits of a file, or all."""
        with self._lock:
            self._raise_if_pushing()
            found = self.gathered()
            self._gathered = found.without(path) if path else Gathered(found.base)
            self.move = None

    def push(self, mark: str, subject: str, allowed: frozenset[str]) -> bool:
        """Begin to sign and push the edits; False, and nothing is done, when they are not those with this mark."""
        with self._lock:
            self._raise_if_pushing()
            found = self.gathered()
            if found.mark != mark:
                return False
            self.move = None
            self.pushing = Pushing(found, found.message(subject, allowed))
            self.pushing.start()
            return True

    def _raise_if_pushing(self) -> None:
        if self.pushing and self.pushing.is_running:
            raise Refused("the edits are being signed and pushed", hint="wait until that is done")
