"""The command line: the group, and where its commands are."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mesh_sync import __version__
from mesh_sync.cli.lazy_group import LazyGroup
from mesh_sync.terminal.exit import ending

NODE = {
    "now": ("now:now", "Pull the list, check it, and make this node match"),
    "status": ("status:status", "Show the applied commit, the drift from it, and every peer"),
    "join": ("join:join", "Make this machine a node of a mesh"),
    "up": ("up_down:up", "Bring the interface up from the last confirmed state"),
    "down": ("up_down:down", "Take the interface down, with its forwarding and masquerading"),
    "rollback": ("rollback:rollback", "Go back to an earlier applied state and stay there"),
    "pause": ("rollback:pause", "Stay at the applied commit until `resume`"),
    "resume": ("rollback:resume", "Follow the list again after `pause` or `rollback`"),
    "rotate-key": ("rotate_key:rotate_key", "Give this node a new WireGuard key without losing a tunnel"),
}
REPOSITORY = {
    "init": ("init:init", "Create a mesh repository, ready to push"),
    "check": ("check:check", "Check a mesh repository"),
    "plan": ("plan:plan", "Show what a change to the list does to every node"),
    "render": ("render:render", "Print the wg0.conf that a node gets, or write those of all nodes"),
    "peer": ("peer:peer", "Add, change, remove and show peers"),
    "signer": ("signer:signer", "List, add and remove the SSH keys that may sign commits"),
    "secret": ("secret:secret", "Make, rotate and seal the secret behind preshared keys"),
    "import": ("import_:import_", "Import an existing setup into a mesh repository"),
    "export": ("export:export", "Print the config of an unmanaged peer, as text or as a QR code"),
    "graph": ("graph:graph", "Draw the mesh: peers, and the tunnels between them"),
}


@click.group(
    cls=LazyGroup,
    sections={"On a node": NODE, "In a mesh repository": REPOSITORY},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mesh-sync")
def cli() -> None:
    """A WireGuard full mesh kept in git: push a peer list, and every node follows.

    \b
    Exit codes: 0 fine; 1 a check found errors; 2 usage or node.toml; 3 no remote could be reached;
    4 the new commit was refused; 5 applied, not confirmed, rolled back;
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
