"""A process tree in namespaces of its own, which cannot outlive the Python process that owns it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HOME = "/run/home"
START_DEADLINE = 20.0

ENVIRONMENT: Mapping[str, str] = {
    "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": HOME,
    "USER": "root",
    "LANG": "C.UTF-8",
}


class LabError(RuntimeError):
    """Something in the lab could not be set up; the message carries what the failing program said."""


class Tree:
    """Network, mount and pid namespaces (and a user namespace for ordinary users) with one init.

    `init` is a shell script that prints its pid as seen from outside once it is ready, then waits for the
    end of its standard input (with `cat`, reaping orphans meanwhile as an init must) and exits. The owner
    holds the other end of that pipe, so the tree dies with the owner, even by SIGKILL: no init, no pid
    namespace, no processes, no mounts.
    """

    def __init__(self, init: str, *args: str, inside: Tree | None = None, user: bool = False) -> None:
        self.rootless: bool = user or (inside is not None and inside.rootless)
        self._owner = subprocess.Popen(
            [
                *(inside.enter if inside else ()),
                *("unshare", *(["--user", "--map-root-user"] if user else [])),
                *("--net", "--mount", "--pid", "--fork", "--kill-child"),
                *("sh", "-euc", init, "init", *args),
            ],
            env=dict(ENVIRONMENT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self.pid = self._wait_until_ready()

    def _wait_until_ready(self) -> int:
        """Return the pid of init in the owner's pid namespace; raise LabError with what init said instead."""
        assert self._owner.stdout is not None
        said = ""
        if select.select([self._owner.stdout], [], [], START_DEADLINE)[0]:
            said = self._owner.stdout.readline()
        if said.strip().isdigit():
            return int(said)
        os.killpg(self._owner.pid, signal.SIGKILL)
        said += self._owner.communicate()[0]
        raise LabError(f"namespaces could not be set up: {said.strip() or 'no answer'}")

    @property
    def enter(self) -> Sequence[str]:
        """The command prefix that runs a program in the tree; works from any shell of the same user."""
        user = ("--user", "--preserve-credentials") if self.rootless else ()
        return ("nsenter", f"--target={self.pid}", *user, "--mount", "--net", "--pid", "--")

    @property
    def enter_network(self) -> Sequence[str]:
        """Like `enter` with the outside's pids, by which `ip link … netns PID` finds other trees."""
        user = ("--user", "--preserve-credentials") if self.rootless else ()
        return ("nsenter", f"--target={self.pid}", *user, "--net", "--")

    def close(self) -> None:
        """End every process in the tree and wait until they are gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
        try:
            self._owner.communicate(timeout=START_DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(self._owner.pid, signal.SIGKILL)
            self._owner.communicate()
