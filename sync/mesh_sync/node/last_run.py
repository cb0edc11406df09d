"""How the last run of `mesh-sync now` ended, and when: for those who see many nodes at once.

It is kept below /run, in the memory of the machine. A run that ends as the one before it only sets the file's time.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from attrs import frozen

from mesh_sync.errors import DeviceError
from mesh_sync.node.config import Node
from mesh_sync.system.files import write_atomically
from mesh_sync.typed_toml.reader import read_json

FAILED = "failed"
"""The result of a run that could not do its job."""


@frozen
class LastRun:
    """``result``: as in `now --json`, empty when none has ended since the boot; ``cause``: the value of the `Cause` of
    a refusal; ``at``: when it ended, Unix seconds.
    """

    result: str = ""
    cause: str = ""
    at: float | None = None


def record(node: Node, result: str, cause: str = "") -> None:
    """A run has ended so, now. It is only told: that it cannot be written changes no run."""
    path = node.last_run_file
    text = json.dumps({"result": result, "cause": cause}, separators=(",", ":"))
    with suppress(OSError, DeviceError):
        if path.exists() and path.read_text() == text:
            os.utime(path)
        else:
            write_atomically(path, text, durable=False)


def read(node: Node) -> LastRun:
    """How the last run ended, as far as it is known."""
    try:
        found, at = read_json(node.last_run_file.read_bytes()), node.last_run_file.stat().st_mtime
        return LastRun(str(found["result"]), str(found["cause"]), at)
    except (OSError, ValueError, TypeError, KeyError):
        return LastRun()
