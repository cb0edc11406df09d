"""What sshd, and git's hook, start where a mesh repository is hosted: for each session, so it is to be quick."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mesh_sync.hosting import session, settings


@click.command("host-session", hidden=True)
@click.argument("place", type=click.Path(path_type=Path))
@click.argument("role", type=click.Choice(["owner", "signer", "invited"]), required=False)
@click.argument("who", default="")
def host_session(place: Path, role: str | None, who: str) -> int:
    """What sshd starts for a key of the repository; without a role, write authorized_keys again."""
    if role is None:
        settings.refresh(place)
        return 0
    return session.serve(place, role, who, os.environ.get("SSH_ORIGINAL_COMMAND", ""))
