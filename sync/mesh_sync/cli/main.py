"""The command line: its groups, where their commands are, and how a run ends.

A command is imported only when it is asked for: `mesh-sync status` needs none of what `export` needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from mesh_sync import __version__
from mesh_sync.errors import ConfigError
from mesh_sync.terminal.command_line import Program
from mesh_sync.terminal.exit import ending, said

Commands = Mapping[str, tuple[str, str]]
"""By name: ``module:attribute`` below mesh_sync.cli, and the line about the command in its group's help."""

NODE = {
    "now": ("node:now", "Pull the list, check it, and make this node match"),
    "status": ("node:status", "Show the applied commit, the drift from it, and every peer"),
    "fleet": ("fleet:fleet", "Ask every node of the mesh which commit it has applied"),
    "doctor": ("doctor:doctor", "Find what keeps this node from working, and how to fix it"),
    "join": ("membership:join", "Make this machine a node of a mesh"),
    "setup": ("units:setup", "Install, enable and start the systemd units of this node"),
    "leave": ("units:leave", "Take this node out of service: stop and remove its units, take its interface down"),
    "up": ("control:up", "Bring the interface up from the last confirmed state"),
    "down": ("control:down", "Take the interface down, with its forwarding and masquerading"),
    "rollback": ("control:rollback", "Go back to an earlier applied state and stay there"),
    "pause": ("control:pause", "Stay at the applied commit until `resume`"),
    "resume": ("control:resume", "Follow the list again after `pause` or `rollback`"),
    "host": ("host:host", "Make a bare repository for a mesh"),
    "rotate-key": ("membership:rotate_key", "Give this node a new WireGuard key without losing a tunnel"),
}
REPOSITORY = {
    "init": ("init:init", "Create a mesh repository, and push it if you like"),
    "check": ("check:check", "Check a mesh repository"),
    "plan": ("preview:plan", "Show what a change to the list does to every node"),
    "log": ("history:log", "Show what changed in the mesh, when, and by whose signature"),
    "blame": ("history:blame", "Show which commit gave each key of a peer its value"),
    "render": ("preview:render", "Print the wg0.conf that a node gets, or write those of all nodes"),
    "peer": ("main:peer", "Add, change, remove and show peers"),
    "invite": ("invite:invite", "Print one line that lets a machine join as the peer NAME"),
    "admit": ("invite:admit", "Admit a machine that has used its invitation"),
    "signer": ("signer:signer", "List, add and remove the SSH keys that may sign commits"),
    "secret": ("secret:secret", "Make, rotate and seal the secret behind preshared keys"),
    "import": ("init:import_", "Import an existing setup into a mesh repository"),
    "export": ("export:export", "Print the config of an unmanaged peer, as text or as a QR code"),
    "graph": ("export:graph", "Draw the mesh: peers, and the tunnels between them"),
    "web": ("web:web", "Serve a page about the mesh to your own browser"),
}
HIDDEN = {"host-session": "host_session:host_session"}
"""What sshd and git start, and people do not."""
PEER = {
    "add": ("peer_edit:add", "Add a peer"),
    "set": ("peer_edit:set_", "Change keys of a peer's file"),
    "rename": ("peer_edit:rename", "Rename a peer: its file, and every mention of it"),
    "remove": ("peer_edit:remove", "Remove a peer: its file, and its keys in allowed_signers"),
    "list": ("peer_show:list_", "List the peers"),
    "show": ("peer_show:show", "Show one peer, every default filled in, and its tunnels"),
}


class LazyGroup(Program):
    """A click group of commands that are not imported yet, under the headings that its help shows."""

    def __init__(
        self, *args: Any, sections: Mapping[str, Commands], hidden: Mapping[str, str] | None = None, **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.sections = sections
        self._hidden = hidden or {}
        self._places = {name: place for section in sections.values() for name, (place, _) in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        place = self._places.get(cmd_name) or self._hidden.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(f"mesh_sync.cli.{module}"), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:  # on a node it is about the interface
            if ctx.invoked_subcommand in REPOSITORY:
                raise ConfigError(said(error)) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, section in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, (_, words) in section.items()], col_max=16)


@click.group(
    cls=LazyGroup,
    sections={"On a node": NODE, "In a mesh repository": REPOSITORY},
    hidden=HIDDEN,
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


@click.group(cls=LazyGroup, sections={"Commands": PEER})
def peer() -> None:
    """Add, change, remove and show peers.

    Files are edited in place and keep their comments; nothing is written that `mesh-sync check` would refuse.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what a person can cause ends in a sentence and an exit code, never a traceback."""

    def run() -> int:
        try:
            return cli.main(arguments, prog_name="mesh-sync", standalone_mode=False) or 0
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except click.Abort:
            raise KeyboardInterrupt from None

    ending(run)
