"""What goes into a program and comes out of it, for no longer and no more than its caller allows."""

from __future__ import annotations

import os
import select
import selectors
import subprocess
import time
from typing import IO, cast

MOST_SAID = 64 * 1024
"""Bytes of standard error that are kept; what a program says beyond is read and dropped."""
CHUNK = 64 * 1024


class TooMuch(Exception):
    """A program printed more than its caller wants to hold."""


def exchange(
    process: subprocess.Popen[bytes], input: bytes | None, *, deadline: float, most: int, last: bytes | None = None
) -> tuple[bytearray, bytearray]:
    """Feed ``input`` and wait for the end; return what was printed on stdout and stderr.

    ``last``: return as soon as stdout ends with it, and leave the program running. Raise subprocess.TimeoutExpired
    after ``deadline`` seconds, TooMuch as soon as stdout is longer than ``most`` bytes. The caller ends the program
    then. Unlike `Popen.communicate`, this never holds more than that.
    """
    end = time.monotonic() + deadline
    assert process.stdout
    assert process.stderr
    printed: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    rest = memoryview(input or b"")
    with selectors.DefaultSelector() as waiting:
        for pipe in printed:
            waiting.register(pipe, selectors.EVENT_READ)
        if process.stdin:
            waiting.register(process.stdin, selectors.EVENT_WRITE)
        while waiting.get_map():
            for key, _ in waiting.select(_left(process, end, deadline)):
                pipe = cast("IO[bytes]", key.fileobj)
                if pipe is process.stdin:
                    rest = _feed(pipe, rest)
                    open_still = bool(rest)
                else:
                    open_still = _take(pipe, printed[pipe], MOST_SAID if pipe is process.stderr else None)
                if not open_still:
                    waiting.unregister(pipe)
                    if last is None or pipe is not process.stdin:
                        pipe.close()
            if len(printed[process.stdout]) > most:
                raise TooMuch
            if last is not None and printed[process.stdout].endswith(last):
                return printed[process.stdout], printed[process.stderr]
    process.wait(_left(process, end, deadline))
    return printed[process.stdout], printed[process.stderr]


def _left(process: subprocess.Popen[bytes], end: float, deadline: float) -> float:
    left = end - time.monotonic()
    if left < 0:
        raise subprocess.TimeoutExpired(process.args, deadline)
    return left


def _feed(pipe: IO[bytes], rest: memoryview) -> memoryview:
    """Write as much as a pipe that can be written to takes without making us wait; return what is left."""
    try:
        return rest[os.write(pipe.fileno(), rest[: select.PIPE_BUF]) :]
    except BrokenPipeError:  # it does not want to know more
        return rest[:0]


def _take(pipe: IO[bytes], printed: bytearray, most: int | None) -> bool:
    """Read what is there; return whether more may come."""
    chunk = os.read(pipe.fileno(), CHUNK)
    printed += chunk if most is None else chunk[: max(0, most - len(printed))]
    return bool(chunk)
