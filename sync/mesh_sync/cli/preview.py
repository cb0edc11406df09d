"""`mesh-sync render` and `plan`: what nodes get, and what a change does to them before it is pushed."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli.options import directory_argument, or_stdout, private_key_option, repository_option, secret_option
from mesh_sync.cli.present_plan import present_plan
from mesh_sync.system.shell_words import quote
from mesh_sync.terminal.command_line import json_option, print_json
from mesh_sync.terminal.say import count
from mesh_sync.workspace.output import write_output
from mesh_sync.workspace.plan_markdown import markdown
from mesh_sync.workspace.preview import plan_between, raise_if_inside, render_all, render_one


@click.command()
@directory_argument
@click.option("--node", "name", metavar="N", help="The node whose wg0.conf to print.")
@click.option("--all", "every", is_flag=True, help="Write the files of all nodes.")
@click.option("-o", "--output", type=click.Path(path_type=Path), callback=or_stdout, metavar="OUT",
              help="The file for --node (0600), or the directory for --all: each file is OUT/N.conf.")  # fmt: skip
@private_key_option
@secret_option
def render(
    directory: Path, name: str | None, every: bool, output: Path | None,
    private_key_file: Path | None, secret_file: Path | None,
) -> None:  # fmt: skip
    """Print the wg0.conf that a node gets, or write those of all nodes.

    With -o it is written. Nothing that holds a secret is written into the repository.
    """
    if every:
        if name or private_key_file or secret_file or not output:
            raise click.UsageError("--all goes with -o OUT, and without --node and secrets")
        if output.is_file():
            raise click.UsageError(f"-o {output} is a file; --all writes to a directory")
        click.echo(f"{count(render_all(directory, output), 'file')} written to {output}")
    elif name:
        config = render_one(directory, name, private_key_file, secret_file)
        if output is None:
            click.echo(config, nl=False)
            return
        if output.is_dir():
            raise click.UsageError(f"-o {output} is a directory; --node writes a file")
        if private_key_file or secret_file:
            raise_if_inside(output, directory)
        write_output(output, config)
        click.echo(f"wrote {output}", err=True)
    else:
        raise click.UsageError("give --node N, or --all -o OUT")


@click.command()
@click.argument("revisions", default="HEAD~1..HEAD", metavar="[BASE..HEAD]")
@repository_option
@json_option
@click.option(
    "--markdown",
    "as_markdown",
    is_flag=True,
    help="For a pull request: counts, then each change once with its nodes. Text of the list is inert in it.",
)
def plan(revisions: str, directory: Path, as_json: bool, as_markdown: bool) -> None:
    """Show what a change to the list does to every node and to the admins. BASE alone: up to the working copy."""
    if as_json and as_markdown:
        raise click.UsageError("give --json or --markdown")
    preview = plan_between(directory, revisions)
    if as_markdown:
        click.echo(markdown(preview, f"mesh-sync plan {quote(revisions)}"), nl=False)
        return
    if as_json:
        changes_of = {name: [change.as_json() for change in changes] for name, changes in preview.nodes.items()}
        print_json(
            {
                "nodes": changes_of,
                "admins": [finding.as_json() for finding in preview.admins],
                "relayed": preview.relayed or None,
                "gateways": list(preview.gateways),
            }
        )
        return
    present_plan(preview)
