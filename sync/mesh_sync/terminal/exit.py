"""How a run ends: with an exit code, and on an error with a sentence about it."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from mesh_sync.errors import ConfigError, DeviceError, MeshSyncError
from mesh_sync.findings import shown
from mesh_sync.system.own_memory import close_to_others
from mesh_sync.terminal.say import say


class OutputClosed(Exception):
    """What reads the output wants no more of it, as `head` does."""


def ending(run: Callable[[], int], program: str = "mesh-sync") -> NoReturn:
    """Run, and exit with the code that it returns; what a person can cause never ends in a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that the programs that it started end too, and its files go
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, signal.default_int_handler)
    close_to_others()
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run()
        sys.stdout.flush()
        sys.exit(code)
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            print("stopped", file=sys.stderr)
        sys.exit(130)
    except (BrokenPipeError, OutputClosed):
        _drop_the_rest()
        sys.exit(141)
    except MeshSyncError as error:
        problem = error
    except UnicodeEncodeError as error:  # from an argument or a file name, before anything is written
        problem = ConfigError(f"{shown(error.object[error.start : error.end])} is not {error.encoding.upper()} text")
    except ImportError as error:
        if "git executable" not in str(error):  # what GitPython says when there is no git
            raise
        problem = ConfigError("git is not installed", hint="install it, or put its directory on PATH")
    except OSError as error:
        if error.filename is None:  # it may be the output, whose rest Python would try to write once more
            _drop_the_rest()
        problem = DeviceError(said(error))
    complain(problem, program)
    sys.exit(problem.exit_code)


def _open_what_is_closed() -> None:
    """Make /dev/null of a standard stream that the caller has closed (`>&-`): the next file opened would be it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _drop_the_rest() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def said(error: OSError) -> str:
    """What the system has refused, and where."""
    return f"{error.filename or 'input or output'}: {error.strerror or error}"


def complain(error: MeshSyncError, program: str = "mesh-sync") -> None:
    """Print an error and its hint on stderr."""
    say(f"{program}: ", "bold red", err=True, end="")
    say(error.message, err=True)
    if error.hint:
        say(f"  {error.hint}", err=True)
