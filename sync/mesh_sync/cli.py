"""The command line: one function per command, each importing what it needs when it runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mesh_sync import __version__
from mesh_sync.errors import MeshSyncError
from mesh_sync.node import DEFAULT_CONFIG

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    show_default=True,
    metavar="FILE",
    help="This machine's node.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show the commands that change something.")
directory_argument = click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path(), metavar="[DIR]"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mesh-sync")
def cli() -> None:
    """A WireGuard full mesh kept in git: push a peer list, and every node follows.

    \b
    Exit codes: 0 fine; 1 a check found errors; 2 usage or node.toml; 3 no remote could be reached;
    4 the new commit was refused; 6 the interface could not be changed; 7 another run holds the lock.
    """


def main() -> None:
    """Run the command line; what a person can cause ends in a sentence and an exit code, never a traceback."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except MeshSyncError as error:
        fail(error)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def fail(error: MeshSyncError) -> None:
    """Say what went wrong and what to do, and leave with the error's exit code."""
    complain(error)
    sys.exit(error.exit_code)


def complain(error: MeshSyncError) -> None:
    click.secho("mesh-sync: ", fg="red", bold=True, nl=False, err=True)
    click.echo(error.message, err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def _echo_command(text: str) -> None:
    click.secho(f"+ {text}", dim=True, err=True)


@cli.command()
@config_option
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--wait", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
              help="How long to wait for another run to end.")  # fmt: skip
@json_option
@verbose_option
def now(config: Path, dry_run: bool, wait: float, as_json: bool, verbose: bool) -> int:
    """Pull the list, check it, and make this node match.

    When no remote answers, or the new commit is refused, the last applied state stays in force.
    """
    from mesh_sync import node as nodes
    from mesh_sync import report
    from mesh_sync.now import now as run_now

    note = _echo_command if verbose else lambda text: None
    outcome = run_now(nodes.load(config), dry_run=dry_run, wait=wait, note=note)
    if as_json:
        print_json(outcome.as_json())
    else:
        report.outcome(outcome, dry_run=dry_run)
    return outcome.problem.exit_code if outcome.problem else 0


@cli.command()
@config_option
@json_option
def status(config: Path, as_json: bool) -> None:
    """Show what is applied, what differs from it, and how the peers are. Changes nothing."""
    from mesh_sync import node as nodes
    from mesh_sync import report
    from mesh_sync.status import look

    found = look(nodes.load(config))
    if as_json:
        print_json(found.as_json())
    else:
        report.status(found)


@cli.command()
@config_option
@verbose_option
def up(config: Path, verbose: bool) -> None:
    """Bring the interface up from the last applied state. Needs no network."""
    from mesh_sync import node as nodes
    from mesh_sync import report
    from mesh_sync.updown import bring_up

    node = nodes.load(config)
    report.changes(bring_up(node, _echo_command if verbose else lambda text: None))
    click.echo(f"{node.interface} is up")


@cli.command()
@config_option
@verbose_option
def down(config: Path, verbose: bool) -> None:
    """Take the interface down, and undo forwarding and masquerading.

    The timer's next run would bring it back: stop mesh-sync.timer first to keep it down.
    """
    from mesh_sync import node as nodes
    from mesh_sync.updown import take_down

    node = nodes.load(config)
    take_down(node, _echo_command if verbose else lambda text: None)
    click.echo(f"{node.interface} is down")


@cli.command()
@directory_argument
@json_option
def check(directory: Path, as_json: bool) -> int:
    """Check a mesh repository: every finding as file:key: message. Exit 1 if one is an error."""
    from mesh_sync import report
    from mesh_sync.checkout import examine_directory
    from mesh_sync.findings import errors

    mesh, findings = examine_directory(directory)
    if as_json:
        print_json({"findings": [finding.as_json() for finding in findings]})
    else:
        report.findings(findings, mesh)
    return 1 if errors(findings) else 0


@cli.command()
@directory_argument
@click.option("--node", "name", metavar="N", help="The node whose wg0.conf to print.")
@click.option("--all", "every", is_flag=True, help="Write the files of all nodes.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="OUT",
              help="Directory for --all: OUT/N.conf each.")  # fmt: skip
@click.option("--private-key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="F",
              help="Put this key in; without it a placeholder stands there.")  # fmt: skip
def render(directory: Path, name: str | None, every: bool, output: Path | None, private_key_file: Path | None) -> None:
    """Print the wg-quick text that a node would get, or write those of all nodes."""
    from mesh_sync import report
    from mesh_sync.checkout import render_all, render_one

    if every:
        if name or private_key_file or not output:
            raise click.UsageError("--all goes with -o OUT, and without --node and --private-key-file")
        click.echo(f"{report.count(render_all(directory, output), 'file')} written to {output}")
    elif name:
        click.echo(render_one(directory, name, private_key_file), nl=False)
    else:
        raise click.UsageError("say --node N, or --all -o OUT")


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option("--name", metavar="NAME", help="The mesh's name; by default the directory's.")
@click.option("--network", "networks", multiple=True, metavar="CIDR",
              help="A range for the peers' addresses; may be repeated. By default 10.0.0.0/24.")  # fmt: skip
def init(directory: Path, name: str | None, networks: tuple[str, ...]) -> None:
    """Lay down a new mesh repository, ready to push."""
    from mesh_sync.init import lay_down

    made = lay_down(directory, name or directory.resolve().name, networks or ("10.0.0.0/24",))
    click.echo(f"a mesh repository is in {made}, committed to branch main; next:")
    click.echo(f"  git -C {made} push YOUR-GIT-HOST main")
    click.echo("  mesh-sync join YOUR-GIT-HOST --name NODE --trust none      # on each node")


@cli.command()
@click.argument("url", metavar="URL")
@click.option("--name", required=True, metavar="N", help="This machine's name in the mesh (a lower-case DNS label).")
@click.option("--endpoint", "endpoints", multiple=True, metavar="HOST:PORT",
              help="Where others reach it; may be repeated. Leave out behind a NAT you do not control.")  # fmt: skip
@click.option("--subnet", "subnets", multiple=True, metavar="CIDR", help="A network behind it; may be repeated.")
@click.option("--address", "addresses", multiple=True, metavar="IP", help="Its mesh address; by default a free one.")
@click.option("--interface", default="wg0", show_default=True, metavar="IF", help="The WireGuard interface to keep.")
@click.option("--masquerade", default="", metavar="IF",
              help="Route for the subnets, and masquerade on this interface.")  # fmt: skip
@click.option("--branch", default="main", show_default=True, help="The branch that holds the list.")
@click.option("--review", is_flag=True, help="Push to the branch join/N for review instead.")
@click.option("--trust", type=click.Choice(["none"]), required=True,
              help="How commits are verified; none must be said.")  # fmt: skip
@click.option("--identity-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="F",
              help="The ssh key for the git host.")  # fmt: skip
@click.option("--known-hosts-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="F",
              help="The ssh host keys to accept.")  # fmt: skip
@config_option
def join(config: Path, **options: Any) -> None:
    """Make this machine a node of the mesh: key, free address, node.toml, and its file in the list."""
    from mesh_sync.join import Request
    from mesh_sync.join import join as run_join

    joined = run_join(Request(config=config, **options), note=lambda text: click.echo(text))
    click.echo(f"this machine is {joined.name}, {', '.join(joined.addresses)}; next: mesh-sync now")


@cli.command()
@click.argument("revisions", default="HEAD~1..HEAD", metavar="[BASE..HEAD]")
@click.option("-C", "directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path(),
              metavar="DIR", help="The mesh repository.")  # fmt: skip
@json_option
def plan(revisions: str, directory: Path, as_json: bool) -> None:
    """Say what a change to the list does to every node. BASE alone means BASE and the working tree."""
    from mesh_sync import report
    from mesh_sync.checkout import plan_between

    nodes = plan_between(directory, revisions)
    if as_json:
        print_json({"nodes": {name: [change.as_json() for change in changes] for name, changes in nodes.items()}})
    else:
        report.plans(nodes)
