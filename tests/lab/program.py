"""A program that runs in a host, held by a process outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.tree import ENVIRONMENT, Tree

FORK_DEADLINE = 5.0


class Program(subprocess.Popen[str]):
    """`nsenter`, which waits outside, and its child, the program, with a session of its own inside.

    Signals go to the program and all it started, never to nsenter: with nsenter gone the program would fall
    to the machine's init, and the lab could not end until that one cares to reap it.
    """

    def __init__(
        self,
        tree: Tree,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.STDOUT,
    ) -> None:
        directory = ("env", "-C", str(cwd)) if cwd else ()
        super().__init__(
            [*tree.enter, "setsid", *directory, *map(str, argv)],
            env={**ENVIRONMENT, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            text=True,
        )

    def send_signal(self, sig: int) -> None:
        """Signal the program's session; do nothing if it has ended. `terminate()` and `kill()` do the same."""
        if sig in (signal.SIGCONT, signal.SIGKILL):  # nsenter stops itself along with its child
            super().send_signal(signal.SIGCONT)
        deadline = time.monotonic() + FORK_DEADLINE
        while self.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):  # not forked, not yet a session, or just gone
                os.killpg(self._leader(), sig)
                break
            time.sleep(0.001)

    def _leader(self) -> int:
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text())
