"""Runs programs in turns; prints as JSON how long each took, by the clock and of CPU, and how much memory it had.

A program of its own, so that it can run inside a host of the lab, and so small that its own memory does not count:
Linux gives a child's peak at least what its parent had when it forked. Only the standard library, and little of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

QUIET = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]


def main() -> None:
    """Standard input: ``{"runs": N, "commands": [{"argv": […], "before": […], "deadline": S}, …]}``."""
    order = json.load(sys.stdin)
    found: list[list[tuple[float, float, float]]] = [[] for _ in order["commands"]]
    for _ in range(order["runs"]):
        for command, samples in zip(order["commands"], found, strict=True):  # in turns: noise meets all alike
            if command["before"]:
                timed(command["before"], 0)
            samples.append(timed(command["argv"], command["deadline"]))
    print(json.dumps(found))


def timed(argv: list[str], deadline: int) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of CPU, and MiB of resident memory at the peak; of it and its children.

    A program that is not done after ``deadline`` seconds (0: none) is ended, and took infinitely long.
    """
    begin = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=QUIET, setpgroup=0)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(deadline)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begin
    late = deadline and not signal.alarm(0) and os.WIFSIGNALED(status)
    if status and not late:
        sys.exit(f"exit {os.waitstatus_to_exitcode(status)}: {' '.join(argv)}")
    return float("inf") if late else seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
