"""One writer per interface: an flock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mesh_sync.errors import ConfigError, DeviceError, Locked
from mesh_sync.system.files import make_folder
from mesh_sync.system.shell_words import quote

if TYPE_CHECKING:
    pass

WAIT = 30.0
"""Seconds a run waits for another one; longer than a fetch may take."""
POLL = 0.05


@contextmanager
def locked(path: Path, wait: float = WAIT, why: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Hold the lock file ``path``. Raise Locked when another process holds it for longer than ``wait`` seconds.

    ``why`` adds to the message what the other one may be doing.
    """
    try:
        make_folder(path.parent)
        file = _private(path)
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
                    text = f"another run has held {path} for {wait:g} s{why()}"
                    raise Locked(text, hint=f"see who: fuser -v {quote(str(path))}") from None
                time.sleep(POLL)
        yield


def _private(path: Path) -> BinaryIO:
    """Open it for root alone: a user who can open it, if only for reading, can hold the lock for ever."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b")
