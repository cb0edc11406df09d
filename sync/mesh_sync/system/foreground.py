"""Programs that work for the person at this terminal: with their environment, and their tty for a passphrase.

All others are started by `run`, which lets them inherit nothing.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mesh_sync.errors import CommandError, Reason
from mesh_sync.system.run import failure


def in_foreground(
    argv: Sequence[str],
    *,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    without: Iterable[str] = (),
    cwd: Path | None = None,
    deadline: float,
    show: bool = False,
) -> str:
    """Run a program and return what it printed. Its stderr is part of the error, or is shown at once with ``show``.

    ``env`` is added to the person's environment, ``without`` are the variables that are left out. Raise CommandError as
    `run` does; after a failure its ``stdout`` has what was printed.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in set(without)}
    try:
        done = subprocess.run(
            argv,
            input=None if input is None else input.encode(),
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=subprocess.PIPE,
            stderr=None if show else subprocess.PIPE,
            cwd=cwd,
            env={**inherited, "LC_ALL": "C.UTF-8", **(env or {})},
            timeout=deadline,
            check=False,
        )
    except FileNotFoundError:
        raise CommandError(f"{argv[0]} is not installed", program=argv[0], reason=Reason.NOT_FOUND) from None
    except OSError as error:
        text = f"{argv[0]} cannot be started: {error.strerror}"
        raise CommandError(text, program=argv[0], reason=Reason.NOT_STARTED) from None
    except subprocess.TimeoutExpired:
        text = f"{argv[0]} was not done within {deadline:g} s"
        raise CommandError(text, program=argv[0], reason=Reason.DEADLINE) from None
    printed = done.stdout.decode(errors="replace")
    if done.returncode:
        problem = failure(argv[0], done.returncode, done.stderr or b"")
        problem.stdout = printed
        raise problem
    return printed
