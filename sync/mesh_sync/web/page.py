"""What the page knows between two requests: which working copy it shows, and the list as it was read last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from mesh_sync.workspace.committed import Committed, read_commit

FRESH = timedelta(minutes=1)
"""How long what was read of a commit is shown; peers expire, so that it is read again then."""


class Page:
    """One operator's page of the working copy ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = Lock()
        self._read: Committed | None = None

    def committed(self) -> Committed:
        """The list as it is committed. Raise ConfigError when there is none."""
        with self._lock:
            found = read_commit(self.directory)
            old = self._read
            if old is None or old.commit != found.commit or datetime.now(UTC) - old.moment > FRESH:
                self._read = old = found
            return old
