"""The command line: the group, and its commands."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mesh_sync import __version__
from mesh_sync.cli import node, repository
from mesh_sync.cli.export import export
from mesh_sync.cli.graph import graph
from mesh_sync.cli.import_ import import_
from mesh_sync.cli.peer import peer
from mesh_sync.cli.rotation import rotate_key
from mesh_sync.cli.secret import secret
from mesh_sync.cli.signer import signer
from mesh_sync.terminal.exit import ending


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mesh-sync")
def cli() -> None:
    """A WireGuard full mesh kept in git: push a peer list, and every node follows.

    \b
    Exit codes: 0 fine; 1 a check found errors; 2 usage or node.toml; 3 no remote could be reached;
    4 the new commit was refused; 5 it was applied, not confirmed, and undone;
    6 the interface could not be changed; 7 another run holds the lock.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what a person can cause ends in a sentence and an exit code, never a traceback."""
    ending(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return cli.main(arguments, prog_name="mesh-sync", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None


for command in (
    node.now, node.status, node.up, node.down, node.rollback, node.pause, node.resume, node.join,
    rotate_key, repository.init, repository.check, repository.render, repository.plan, peer, signer, secret,
    import_, export, graph,
):  # fmt: skip
    cli.add_command(command)
