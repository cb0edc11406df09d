"""mesh-sync that ends by SIGKILL at its Nth step: `python kill_at_step.py N now …`.

A step is a moment in which the machine may look as at no other: just before a file is made, replaced or removed, or a
program started that changes something, and while that program runs on alone. What only looks, or talks to others, is no
step: killed there, everything is as at the step that follows. With STEPS in the environment, only those steps count
that this regular expression finds.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

CHANGING = frozenset({
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree",
    "subprocess.Popen",
})  # fmt: skip
LOOKING = frozenset({
    "-json", "show", "list", "ls-remote", "ls-tree", "cat-file", "rev-parse", "rev-list", "merge-base", "diff-tree",
    "verify-commit", "fsck", "log",
})  # fmt: skip
"""Words of a program that changes nothing."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

TURNS = 3
"""A step that is taken again and again, in the same words, is a loop that waits: so many turns of it count."""

last = int(sys.argv.pop(1))
counted = re.compile(os.environ.get("STEPS", ""))
steps = itertools.count(1)
taken: Counter[str] = Counter()


def step(what: str) -> None:
    taken[what] += 1
    if taken[what] > TURNS or not counted.search(what):
        return
    if next(steps) == last:
        os.write(2, f"killed at step {last}: {what}\n".encode())
        signal.raise_signal(signal.SIGKILL)


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if flags & WRITING and isinstance(path, str) and path != os.devnull:
            step(f"open {path}")
    elif event in CHANGING and not changes_nothing(event, arguments):
        step(f"{event} {arguments}")


def changes_nothing(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether this only looks like a change: a program that looks, or a file removed that is not there."""
    if event == "subprocess.Popen":
        return not LOOKING.isdisjoint(arguments[1])
    return event == "os.remove" and not os.path.lexists(arguments[0])


def stopping(exchange: Callable[..., Any]) -> Callable[..., Any]:
    def stepping(process: subprocess.Popen[bytes], *arguments: Any, **keywords: Any) -> Any:
        assert isinstance(process.args, list)
        if LOOKING.isdisjoint(process.args):
            step(f"running {process.args}")
        return exchange(process, *arguments, **keywords)

    return stepping


if __name__ == "__main__":
    from mesh_sync.__main__ import main
    from mesh_sync.system import pipes

    sys.dont_write_bytecode = True
    pipes.exchange = stopping(pipes.exchange)
    sys.addaudithook(audit)
    main()
