"""The commands that look at a mesh repository, and the one that makes one."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.terminal.options import directory_argument, json_option, print_json, repository_option
from mesh_sync.terminal.table import count


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--name", metavar="NAME", help="The mesh's name; by default the directory's.")
@click.option("--network", "networks", multiple=True, metavar="CIDR",
              help="A range for the peers' addresses; may be repeated. By default 10.0.0.0/24.")  # fmt: skip
@click.option("--signer", metavar="YOU@DOMAIN", help="Your name in allowed_signers: only signed commits shall count.")
@click.option("--signing-key", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="F",
              help="Your SSH key, or its public half when an agent has it; goes with --signer.")  # fmt: skip
def init(
    directory: Path, name: str | None, networks: tuple[str, ...], signer: str | None, signing_key: Path | None
) -> None:
    """Lay down a new mesh repository, ready to push.

    \b
    Example: a mesh whose nodes take only what you, or whom you add, have signed
      mesh-sync init home --signer alice@example.org --signing-key ~/.ssh/id_ed25519
    """
    from mesh_sync.workspace import commits
    from mesh_sync.workspace.init import Admin, lay_down

    if bool(signer) != bool(signing_key):
        raise click.UsageError("--signer goes with --signing-key")
    admin = Admin(signer, signing_key) if signer and signing_key else None
    made = lay_down(directory, name or directory.resolve().name, networks or ("10.0.0.0/24",), admin)
    click.echo(f"a mesh repository is in {made}, committed to branch main; next:")
    click.echo(f"  git -C {made} push YOUR-GIT-HOST main")
    if admin:
        click.echo(
            "  mesh-sync join YOUR-GIT-HOST --name NODE --trust signed    # on each node; it asks whether this is"
        )
        click.echo(f"                            the mesh {commits.fingerprint(made)}")
    else:
        click.echo("  mesh-sync join YOUR-GIT-HOST --name NODE --trust none      # on each node")
        click.echo("nodes will take every commit of whoever can push; with --signer and --signing-key only signed ones")


@click.command()
@directory_argument
@click.option("--since", metavar="BASE",
              help="Check the commits after BASE too, as nodes would: signatures, rights, the guard.")  # fmt: skip
@json_option
def check(directory: Path, since: str | None, as_json: bool) -> int:
    """Check a mesh repository: every finding as file:key: message. Exit 1 if one is an error."""
    from mesh_sync.cli import present
    from mesh_sync.findings import errors
    from mesh_sync.workspace.preview import examine_directory

    mesh, findings = examine_directory(directory)
    if since is not None:
        from mesh_sync.workspace.preflight import refusals

        findings = (*refusals(directory, since), *findings)
    if as_json:
        print_json({"findings": [finding.as_json() for finding in findings]})
    else:
        present.findings(findings, mesh)
    return 1 if errors(findings) else 0


@click.command()
@directory_argument
@click.option("--node", "name", metavar="N", help="The node whose wg0.conf to print.")
@click.option("--all", "every", is_flag=True, help="Write the files of all nodes.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="OUT",
              help="Directory for --all: OUT/N.conf each.")  # fmt: skip
@click.option("--private-key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
              help="Put this key in; without it a placeholder stands there.")  # fmt: skip
@click.option("--secret-file", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
              help="The mesh secret, for preshared keys.")  # fmt: skip
def render(
    directory: Path, name: str | None, every: bool, output: Path | None,
    private_key_file: Path | None, secret_file: Path | None,
) -> None:  # fmt: skip
    """Print the wg-quick text that a node would get, or write those of all nodes."""
    from mesh_sync.workspace.preview import render_all, render_one

    if every:
        if name or private_key_file or secret_file or not output:
            raise click.UsageError("--all goes with -o OUT, and without --node and secrets")
        click.echo(f"{count(render_all(directory, output), 'file')} written to {output}")
    elif name:
        click.echo(render_one(directory, name, private_key_file, secret_file), nl=False)
    else:
        raise click.UsageError("say --node N, or --all -o OUT")


@click.command()
@click.argument("revisions", default="HEAD~1..HEAD", metavar="[BASE..HEAD]")
@repository_option
@json_option
def plan(revisions: str, directory: Path, as_json: bool) -> None:
    """Say what a change to the list does to every node. BASE alone means BASE and the working tree."""
    from mesh_sync.cli import present
    from mesh_sync.workspace.preview import plan_between

    nodes = plan_between(directory, revisions)
    if as_json:
        print_json({"nodes": {name: [change.as_json() for change in changes] for name, changes in nodes.items()}})
    else:
        present.plans(nodes)
