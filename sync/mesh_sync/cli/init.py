"""`mesh-sync init` and `import`: a new mesh repository, empty or from another tool's setup."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mesh_sync.cli.first_node import FirstNode
from mesh_sync.cli.options import existing_file, folder
from mesh_sync.cli.present_edit import commit_options, present_findings
from mesh_sync.errors import MeshSyncError
from mesh_sync.findings import errors
from mesh_sync.repository.git_command import public
from mesh_sync.system.shell_words import join, quote
from mesh_sync.terminal.command_line import print_table
from mesh_sync.terminal.say import count
from mesh_sync.trust.ssh_keys import of_this_person
from mesh_sync.workspace import commits
from mesh_sync.workspace.edit import Edit
from mesh_sync.workspace.import_.take_over import SOURCES, Imported, Request, take_over
from mesh_sync.workspace.init import create, is_made, name_of
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.push import follow, push_first
from mesh_sync.workspace.typed import in_copy


@click.command()
@click.argument("directory", type=folder, metavar="DIR")
@click.option("--name", metavar="NAME", help="The mesh's name. [default: the name of DIR]")
@click.option("--network", "networks", multiple=True, metavar="CIDR", default=("10.0.0.0/24",), show_default=True,
              help="A range for the peers' addresses; may be repeated.")  # fmt: skip
@click.option("--signer", metavar="YOU@DOMAIN",
              help="Your name in allowed_signers, and in commits if git knows none; nodes then accept signed commits "
                   "only.")  # fmt: skip
@click.option("--signing-key", type=existing_file, metavar="F",
              help="Your SSH key, or its public half if an agent holds it; goes with --signer.")  # fmt: skip
@click.option("--remote", metavar="URL",
              help="Where it will be: becomes origin and the upstream. At a terminal you are asked whether to push.",
              )  # fmt: skip
@click.option("--push", is_flag=True, help="Push the first commit there, without asking.")
@click.option("--node", metavar="NAME",
              help="Make this machine the first node of the mesh, with --remote and --signer; pushes, and needs root.",
              )  # fmt: skip
@click.option("--endpoint", multiple=True, metavar="HOST:PORT", help="Where other peers reach --node; may be repeated.")
@click.option("--subnet", "subnets", multiple=True, metavar="CIDR", help="A network behind --node; may be repeated.")
@click.option("--masquerade", default="", metavar="IF", help="--node routes for it, and masquerades on this interface.")
@click.option("--ci-package", metavar="URL#sha256=HASH",
              help="Where CI gets mesh-sync's wheel. Without it the CI check fails until it is told.")  # fmt: skip
def init(
    directory: Path,
    name: str | None,
    networks: tuple[str, ...],
    signer: str | None,
    signing_key: Path | None,
    remote: str | None,
    push: bool,
    node: str | None,
    endpoint: tuple[str, ...],
    subnets: tuple[str, ...],
    masquerade: str,
    ci_package: str | None,
) -> int:
    """Create a mesh repository, and push it if you like.

    With --remote, run the same command again if it was interrupted or could not reach the git host: it continues.

    \b
    Example: a mesh whose nodes accept only commits that you, or signers you add, have signed
      mesh-sync init home --signer alice@example.org --signing-key ~/.ssh/id_ed25519

    \b
    Example: the same in a repository that `mesh-sync host` made, with this machine as its first node
      mesh-sync init home --signer alice@example.org --remote ssh://meshgit@aws.com/srv/home.git \\
          --node aws --endpoint aws.com:51820
    """
    if signing_key and not signer:
        raise click.UsageError("--signing-key goes with --signer")
    if signer and not signing_key and (signing_key := of_this_person()) is None:
        raise click.UsageError("--signer goes with --signing-key, as there is no key in ~/.ssh")
    if push and not remote:
        raise click.UsageError("--push goes with --remote")
    if (endpoint or subnets or masquerade) and not node:
        raise click.UsageError("--endpoint, --subnet and --masquerade go with --node")
    called, first = name_of(directory) if name is None else name, None
    begun = remote is not None and is_made(directory, called, networks, signer, remote)
    if node:
        if not (remote and signer):
            raise click.UsageError("--node goes with --remote and --signer")
        lists = {"endpoint": endpoint, "subnets": subnets}
        first = FirstNode(node, remote, {key: list(value) for key, value in lists.items() if value}, masquerade)
        first.raise_if_it_cannot_be(begun=begun)
    if begun:
        made = directory
        click.echo(f"continuing with the mesh repository in {made}")
    else:
        made = create(directory, called, networks, signer, signing_key, ci_package)
        if stranger := OwnGit(made).with_identity()[1]:
            click.secho(stranger, fg="yellow", err=True)
    if remote:
        with _goes_on():
            follow(made, remote)
            if first or push or _agrees(remote):
                if not begun:
                    click.echo(f"created a mesh repository in {made}, committed to branch main")
                push_first(made)
                click.echo(f"pushed to {public(remote)}")
                if first:
                    return first.begin(made)
                invite = f"mesh-sync invite NODE -C {quote(str(made))}"
                join_there = f"mesh-sync join {quote(public(remote))} --name NODE --trust none"
                click.echo(f"next: {invite}" if signer else f"next, on each node: {join_there}")
                return 0
    click.echo(f"created a mesh repository in {made}, committed to branch main; next:")
    click.echo(f"  git -C {quote(str(made))} push {'' if remote else 'YOUR-GIT-HOST main'}".rstrip())
    if signer:
        click.echo("  mesh-sync join YOUR-GIT-HOST --name NODE --trust signed    # on each node; it shows the")
        click.echo(f"                            fingerprint of the mesh: {commits.fingerprint(made)}")
    else:
        click.echo("  mesh-sync join YOUR-GIT-HOST --name NODE --trust none      # on each node")
        click.echo("nodes will accept whatever is pushed; with --signer and --signing-key only signed commits")
    return 0


@contextmanager
def _goes_on() -> Iterator[None]:
    """If it does not come to its end, say how to go on: by the very command that was typed."""
    try:
        yield
    except (MeshSyncError, OSError, click.Abort, KeyboardInterrupt):
        click.echo(f"what is done is kept; to continue: {join(['mesh-sync', *sys.argv[1:]])}", err=True)
        raise


def _agrees(remote: str) -> bool:
    """Whether the person at the terminal wants it pushed; where there is none, nothing is."""
    return sys.stdin.isatty() and sys.stdout.isatty() and click.confirm(f"push it to {public(remote)}?")


@click.command("import")
@click.argument("source", type=click.Choice(list(SOURCES)))
@click.argument("path", type=click.Path(path_type=Path, exists=True), metavar="PATH")
@click.argument("directory", type=folder, default=Path(), metavar="[DIR]")
@click.option("--network", "networks", multiple=True, metavar="CIDR",
              help="A range of addresses, for a new mesh; may be repeated. [default: taken from the source]",
              )  # fmt: skip
@click.option("--keys", type=folder, metavar="KEYDIR",
              help="Write each private key found to KEYDIR/N.key (0600) instead of leaving it out.")  # fmt: skip
@click.option("--name-map", "names", type=existing_file, metavar="FILE",
              help="New names, in TOML: a line for each, 'Old Name' = 'new-name'; also by public key.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be imported, old name beside new; write nothing.")
@commit_options
def import_(edit: Edit, **request: Any) -> int:
    """Import an existing setup into a mesh repository, DIR, which is created if it does not exist.

    \b
    wg-meshconf   PATH is its database.csv
    wg-quick      PATH is a wg-quick file, or a directory of them: one per node
    wg-gen-web    PATH is its data directory, with server.json

    What cannot be imported is reported, one line each. An endpoint that cannot be used becomes a comment in the peer's
    file and an error to mend; nothing is committed then. Private keys never get into the repository.
    """
    asked = Request(**request)
    if asked.dry_run and edit.push:
        raise click.UsageError("--dry-run writes nothing that --push could push")
    made = take_over(edit, asked, lambda text: click.secho(f"  ! {text}", fg="yellow"))
    if asked.dry_run:
        return _present_dry_run(made, edit.directory)
    for machine in made.machines:
        where = f", {', '.join(machine.endpoint)}" if machine.endpoint else ""
        via = f", via {machine.via}" if machine.via else ""
        click.secho(f"  + {machine.name}: {', '.join(map(str, machine.addresses))}{where}{via}", fg="green")
    present_findings(made.edited)
    place = "a new mesh repository" if made.new else "the mesh repository"
    click.echo(f"imported {count(len(made.machines), 'peer')} into {place} {edit.directory}")
    if made.kept_keys:
        click.echo(f"{count(made.kept_keys, 'private key')} in {asked.keys}: move each to its own machine, as")
        click.echo("  /etc/mesh-sync/private.key before `mesh-sync join`; `mesh-sync export` takes a phone's")
    if made.left_keys:
        click.echo(f"{count(made.left_keys, 'private key')} left out; --keys KEYDIR keeps them")
    _present_cut_off(made, edit.directory, asked.keys)
    _present_to_mend(made)
    if made.to_mend:
        click.echo(f"next: mend what `# endpoint =` says in {edit.directory / 'peers'}, then commit and push")
    elif made.edited.commit:
        push = "git push URL main" if made.new else "git push"
        click.echo(
            f"committed {made.edited.commit}" + ("" if edit.push else f"; next: {in_copy(edit.directory, push)}")
        )
    elif made.machines:
        click.echo(f"next: look at {edit.directory / 'peers'}, then commit and push")
    else:
        click.echo(f"the list is unchanged; see what is not committed: {in_copy(edit.directory, 'git status')}")
    return 1 if made.to_mend or errors(made.edited.findings) else 0


def _present_dry_run(made: Imported, directory: Path) -> int:
    rows: list[tuple[str, ...]] = [("old", "new", "addresses", "subnets", "endpoint", "")]
    for one in made.machines:
        via, exit_ = f"via {one.via}" if one.via else "", f"exit {one.exit}" if one.exit else ""
        more = (via, exit_, "" if one.enabled else "disabled")
        lists = (", ".join(map(str, texts)) for texts in (one.addresses, one.subnets, one.endpoint))
        rows.append((one.called, one.name, *lists, ", ".join(filter(None, more))))
    print_table(rows)
    _present_cut_off(made, directory, None)
    _present_to_mend(made)
    click.echo(f"nothing was written; {count(len(made.machines), 'peer')} would be imported")
    return 1 if made.to_mend else 0


def _present_cut_off(made: Imported, directory: Path, keys: Path | None) -> None:
    """Name the clients that a person has to visit, with the command for each."""
    if not made.cut_off:
        return
    private = {one.name for one in made.machines if one.private_key}
    click.secho("these have a preshared key, and no tunnel from when their hub runs mesh-sync", fg="yellow")
    click.secho("  until they have the config, or the QR code (--qr), that this prints:", fg="yellow")
    for name in made.cut_off:
        key = quote(str(keys / f"{name}.key")) if keys and name in private else "F"
        click.echo(f"  mesh-sync export {name} -C {quote(str(directory))} --private-key-file {key}")


def _present_to_mend(made: Imported) -> None:
    for line in made.to_mend:
        click.secho(f"error: {line}", fg="red", err=True)
