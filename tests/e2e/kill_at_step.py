"""mesh-sync that ends by SIGKILL at its Nth step: `python kill_at_step.py N now …`.

Steps are what leaves a trace outside the process: files made, replaced and removed, locks, packets, programs
started, and the moment in which such a program runs on alone. With STEPS in the environment, only those count that this
regular expression finds.
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

TRACES = frozenset({
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link", "os.symlink", "os.killpg",
    "shutil.rmtree", "subprocess.Popen", "fcntl.flock", "socket.connect", "socket.sendto",
})  # fmt: skip
LOOKING = frozenset({"-json", "show", "list", "ls-remote", "ls-tree", "cat-file", "rev-parse"})
"""Words of a program that changes nothing: it does not matter whether it runs on."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

TURNS = 2
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
    elif event in TRACES:
        step(f"{event} {arguments}")


def stopping(exchange: Callable[..., Any]) -> Callable[..., Any]:
    def stepping(process: subprocess.Popen[bytes], *arguments: Any, **keywords: Any) -> Any:
        assert isinstance(process.args, list)
        if not LOOKING.intersection(process.args):
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
