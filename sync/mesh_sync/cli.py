"""The command line: the group, and how errors are shown."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from mesh_sync import __version__
from mesh_sync.commands import node, repository
from mesh_sync.commands.peer import peer
from mesh_sync.errors import DeviceError, MeshSyncError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mesh-sync")
def cli() -> None:
    """A WireGuard full mesh kept in git: push a peer list, and every node follows.

    \b
    Exit codes: 0 fine; 1 a check found errors; 2 usage or node.toml; 3 no remote could be reached;
    4 the new commit was refused; 6 the interface could not be changed; 7 another run holds the lock.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what a person can cause ends in a sentence and an exit code, never a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what we started is ended too
    try:
        sys.exit(cli.main(arguments, prog_name="mesh-sync", standalone_mode=False) or 0)
    except MeshSyncError as error:
        fail(error)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        fail(DeviceError(f"{error.filename or 'input or output'}: {error.strerror or error}"))


def fail(error: MeshSyncError) -> None:
    """Say what went wrong and what to do, and leave with the error's exit code."""
    complain(error)
    sys.exit(error.exit_code)


def complain(error: MeshSyncError) -> None:
    click.secho("mesh-sync: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


for command in (
    node.now, node.status, node.up, node.down, node.join,
    repository.init, repository.check, repository.render, repository.plan, peer,
):  # fmt: skip
    cli.add_command(command)
