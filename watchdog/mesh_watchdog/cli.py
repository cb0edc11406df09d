"""The command line of mesh-watchdog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mesh_sync import __version__
from mesh_sync.node import config as nodes
from mesh_sync.terminal.command_line import Program, config_option, json_option, print_json
from mesh_sync.terminal.exit import ending
from mesh_watchdog import journal
from mesh_watchdog.report import show, status_file
from mesh_watchdog.settings import settings_of

PROGRAM = "mesh-watchdog"


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Keeps WireGuard tunnels alive while addresses change under them.

    \b
    Exit codes: 0 fine; 2 usage or node.toml; 6 something could not be read or written;
    7 another watchdog runs for the interface.
    """


@cli.command()
@config_option
def run(config: Path) -> int:
    """Watch until told to stop (SIGTERM). SIGHUP reads node.toml again."""
    from mesh_watchdog import service  # asyncio, schedule and watchdog, which `status` does not need

    journal.set_up()
    return service.run(config)


@cli.command()
@config_option
def once(config: Path) -> int:
    """Make one pass, for a timer: probe all peers, search for those that stay silent.

    It takes a second when all peers answer, and half a minute when one does not.
    """
    from mesh_watchdog import service  # the same

    journal.set_up()
    return service.once(config)


@cli.command()
@config_option
@json_option
def status(config: Path, as_json: bool) -> None:
    """Show what the watchdog knows of every peer, and what it did. Changes nothing."""
    node = nodes.load(config)
    settings_of(node, config)  # a watchdog that is started with what is wrong there ends at once
    found = status_file.read(node)
    if as_json:
        print_json(found)
    else:
        show.show(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what a person can cause ends in a sentence and an exit code, never a traceback."""
    ending(lambda: _run(arguments), PROGRAM)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return cli.main(arguments, prog_name=PROGRAM, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
