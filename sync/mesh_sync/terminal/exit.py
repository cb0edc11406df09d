"""How a run ends: with an exit code, and on an error with a sentence about it."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from mesh_sync.errors import ConfigError, DeviceError, MeshSyncError


def ending(run: Callable[[], int], program: str = "mesh-sync") -> NoReturn:
    """Run, and exit with the code that it returns; what a person can cause never ends in a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the programs it started end too
    # A crash of this program, or of one it starts, must not leave a private key on the disk. 0 would still hand the
    # memory to a handler (`core_pattern` with a pipe); 1 is the kernel's word for not at all (core(5), fs/coredump.c).
    with suppress(ValueError, OSError):  # systemd's LimitCORE=0 can only be lowered
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    try:
        sys.exit(run())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except MeshSyncError as error:
        problem = error
    except ImportError as error:
        if "git executable" not in str(error):  # what GitPython says when there is no git
            raise
        problem = ConfigError("git is not installed", hint="install it, or put its directory on PATH")
    except OSError as error:
        problem = DeviceError(f"{error.filename or 'input or output'}: {error.strerror or error}")
    complain(problem, program)
    sys.exit(problem.exit_code)


def complain(error: MeshSyncError, program: str = "mesh-sync") -> None:
    """Print an error and its hint on stderr."""
    import click  # the timer's run of `now` that has nothing to complain about does without it

    click.secho(f"{program}: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
