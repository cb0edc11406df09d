"""`mesh-sync init`: a new mesh repository."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli.options import existing_file, folder
from mesh_sync.workspace import commits
from mesh_sync.workspace.init import Admin, create


@click.command()
@click.argument("directory", type=folder, metavar="DIR")
@click.option("--name", metavar="NAME", help="The mesh's name. [default: the name of DIR]")
@click.option("--network", "networks", multiple=True, metavar="CIDR", default=("10.0.0.0/24",), show_default=True,
              help="A range for the peers' addresses; may be repeated.")  # fmt: skip
@click.option(
    "--signer", metavar="YOU@DOMAIN", help="Your name in allowed_signers; nodes then accept signed commits only."
)
@click.option("--signing-key", type=existing_file, metavar="F",
              help="Your SSH key, or its public half if an agent holds it; goes with --signer.")  # fmt: skip
def init(
    directory: Path, name: str | None, networks: tuple[str, ...], signer: str | None, signing_key: Path | None
) -> None:
    """Create a mesh repository, ready to push.

    \b
    Example: a mesh whose nodes accept only commits that you, or signers you add, have signed
      mesh-sync init home --signer alice@example.org --signing-key ~/.ssh/id_ed25519
    """
    if bool(signer) != bool(signing_key):
        raise click.UsageError("--signer goes with --signing-key")
    admin = Admin(signer, signing_key) if signer and signing_key else None
    made = create(directory, name or directory.resolve().name, networks, admin)
    click.echo(f"created a mesh repository in {made}, committed to branch main; next:")
    click.echo(f"  git -C {made} push YOUR-GIT-HOST main")
    if admin:
        click.echo("  mesh-sync join YOUR-GIT-HOST --name NODE --trust signed    # on each node; it shows the")
        click.echo(f"                            fingerprint of the mesh: {commits.fingerprint(made)}")
    else:
        click.echo("  mesh-sync join YOUR-GIT-HOST --name NODE --trust none      # on each node")
        click.echo("nodes will accept whatever is pushed; with --signer and --signing-key only signed commits")
