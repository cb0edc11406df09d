"""`mesh-sync peer`: the group, and where its commands are. Showing peers imports nothing that editing them needs."""

from __future__ import annotations

import click

from mesh_sync.cli.lazy_group import LazyGroup

COMMANDS = {
    "add": ("peer_edit:add", "Add a peer"),
    "set": ("peer_edit:set_", "Change keys of a peer's file"),
    "remove": ("peer_edit:remove", "Remove a peer: its file, and its keys in allowed_signers"),
    "list": ("peer_show:list_", "List the peers"),
    "show": ("peer_show:show", "Show one peer, every default filled in, and its tunnels"),
}


@click.group(cls=LazyGroup, sections={"Commands": COMMANDS})
def peer() -> None:
    """Add, change, remove and show peers.

    Files are edited in place and keep their comments; nothing is written that `mesh-sync check` would refuse.
    """
