"""This process's memory holds private keys: no core file, and no other process, may have them."""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress

PR_SET_DUMPABLE = 4
"""prctl(2), linux/prctl.h."""


def close_to_others() -> None:
    """Leave no core file, and have /proc/PID and ptrace(2) refuse this process to all but CAP_SYS_PTRACE.

    The limit holds for the programs that this one starts, too. 0 would still hand the memory to a handler
    (`core_pattern` with a pipe); 1 is the kernel's word for not at all (core(5), fs/coredump.c). Being dumpable ends
    with execve(2), so it is asked of this process alone.
    """
    with suppress(ValueError, OSError):  # a limit of 0 can only be kept
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    with suppress(AttributeError, OSError):  # a C library without it
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
