"""mesh-sync with a log of the files it makes: `python log_opened_files.py LOG now …`. A line is a mode and a path.

The mode is the one that the file has before anything is written to it, whatever the umask is.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
open_descriptor, open_file = os.open, io.open


def note(descriptor: int, path: object) -> None:
    os.write(log, f"{os.fstat(descriptor).st_mode & 0o777:03o} {path}\n".encode())


def opening(path: Any, flags: int, *arguments: Any, **keywords: Any) -> int:
    descriptor = open_descriptor(path, flags, *arguments, **keywords)
    if flags & WRITING:
        note(descriptor, path)
    return descriptor


def opening_file(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
    opened = open_file(file, mode, *arguments, **keywords)
    if set(mode) & set("wax+") and isinstance(file, str | Path):
        note(opened.fileno(), file)
    return opened


if __name__ == "__main__":
    from mesh_sync.__main__ import main

    os.umask(0)
    os.open = opening
    io.open = builtins.open = opening_file
    main()
