"""A bound on the processor time of pure work: who can push can write a list that takes a day to check."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mesh_sync.errors import Cause, Refused

CHECKING = 30.0
"""Seconds to check and render a commit: 3,000 peers take half of one on a desktop, and 20 on the smallest board."""


class _Spent(BaseException):
    """Not an Exception: nothing on the way up mistakes it for a broken file."""


@contextmanager
def spending(seconds: float, what: str) -> Iterator[None]:
    """Let the body use that much processor time of this process; then raise Refused, which names ``what``.

    Time in which the machine does other things does not count. For the main thread, and for work that leaves nothing
    half done.
    """

    def stop(_: int, __: FrameType | None) -> None:
        raise _Spent

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    except _Spent:
        text = f"{what} takes more than {seconds:g} s of processor time to check"
        raise Refused(text, cause=Cause.TOO_MUCH) from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
