"""One writer per interface: an flock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh_sync.errors import ConfigError, DeviceError, Locked

WAIT = 30.0
"""Seconds a run waits for another one; longer than a fetch may take."""
POLL = 0.05


@contextmanager
def locked(path: Path, wait: float = WAIT) -> Iterator[None]:
    """Hold the lock file ``path``. Raise Locked when somebody else has it for longer than ``wait`` seconds."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = path.open("a")
    except PermissionError as error:
        raise ConfigError(f"{path} cannot be opened: {error.strerror}", hint="run it as root") from None
    except OSError as error:
        raise DeviceError(f"{path} cannot be opened: {error.strerror}") from None
    with file:
        end = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    text = f"another run has held {path} for {wait:g} s"
                    raise Locked(text, hint=f"see who: fuser -v {path}") from None
                time.sleep(POLL)
        yield
