"""The commands of a node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mesh_sync.errors import MeshSyncError
from mesh_sync.terminal.options import (
    config_option,
    confirm_on_terminal,
    echo_command,
    json_option,
    print_json,
    verbose_option,
)

if TYPE_CHECKING:
    from mesh_sync.reconcile.outcome import Outcome


@click.command()
@config_option
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option(
    "--retry",
    is_flag=True,
    help="Look again at a commit that was refused, or undone because nothing was alive under it.",
)
@click.option("--wait", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
              help="How long to wait for another run to end.")  # fmt: skip
@json_option
@verbose_option
def now(config: Path, dry_run: bool, retry: bool, wait: float, as_json: bool, verbose: bool) -> int:
    """Pull the list, check it, and make this node match.

    When no remote answers, or the new commit is refused, the last applied state stays in force. It comes back when
    under the new one, within half a minute, neither a peer that was alive nor a remote answers.
    """
    from mesh_sync.node import config as nodes
    from mesh_sync.reconcile.now import now as run_now

    note = echo_command if verbose else lambda text: None

    def run() -> Outcome:
        return run_now(nodes.load(config), dry_run=dry_run, retry=retry, wait=wait, note=note)

    return _tell(config, as_json, run, dry_run=dry_run)


def _tell(config: Path, as_json: bool, run: Callable[[], Outcome], *, dry_run: bool = False) -> int:
    """Run, and say how it ended."""
    from mesh_sync.cli import present

    try:
        outcome = run()
    except MeshSyncError as error:
        if as_json:
            print_json(_failed(config, error))
        raise
    if as_json:
        print_json(outcome.as_json())
    else:
        present.outcome(outcome, dry_run=dry_run)
    return outcome.exit_code


def _failed(config: Path, error: MeshSyncError) -> dict[str, Any]:
    """The object of `now --json` for a run that could not do its job."""
    from mesh_sync.node import config as nodes
    from mesh_sync.node import state as states

    try:
        node = nodes.load(config)
    except MeshSyncError:
        name, state = None, states.State()
    else:
        name, state = node.name, states.load(node.state_file)
    found = {"node": name, "result": "failed", "commit": state.commit, "remote_commit": state.remote_commit}
    return {**found, "changes": [], "findings": [], "message": error.message}


@click.command()
@config_option
@json_option
def status(config: Path, as_json: bool) -> None:
    """Show what is applied, what differs from it, and how the peers are. Changes nothing."""
    from mesh_sync.cli import present
    from mesh_sync.node import config as nodes
    from mesh_sync.reconcile.status import look

    found = look(nodes.load(config))
    if as_json:
        print_json(found.as_json())
    else:
        present.status(found)


@click.command()
@config_option
@verbose_option
def up(config: Path, verbose: bool) -> None:
    """Bring the interface up from the last applied state. Needs no network."""
    from mesh_sync.cli import present
    from mesh_sync.node import config as nodes
    from mesh_sync.reconcile.up_down import bring_up

    node = nodes.load(config)
    done = bring_up(node, echo_command if verbose else lambda text: None)
    present.changes(done.changes)
    present.notes(done.notes)
    click.echo(f"{node.interface} is up")


@click.command()
@config_option
@verbose_option
def down(config: Path, verbose: bool) -> None:
    """Take the interface down, and undo forwarding and masquerading.

    The timer's next run would bring it back: stop mesh-sync.timer first to keep it down.
    """
    from mesh_sync.node import config as nodes
    from mesh_sync.reconcile.up_down import take_down

    node = nodes.load(config)
    take_down(node, echo_command if verbose else lambda text: None)
    click.echo(f"{node.interface} is down")


@click.command()
@click.argument("commit", required=False, metavar="[COMMIT]")
@config_option
@json_option
@verbose_option
def rollback(commit: str | None, config: Path, as_json: bool, verbose: bool) -> int:
    """Go back to an earlier applied state and stay there until `resume`. Needs no network.

    Without COMMIT to the one before; `status` lists the last ten. If nothing is alive any more then, it is undone.
    """
    from mesh_sync.node import config as nodes
    from mesh_sync.reconcile.rollback import rollback as run_rollback

    note = echo_command if verbose else lambda text: None
    return _tell(config, as_json, lambda: run_rollback(nodes.load(config), commit, note=note))


@click.command()
@click.option("--reason", default="", metavar="TEXT", help="Why: `status` and `now` repeat it.")
@config_option
def pause(config: Path, reason: str) -> None:
    """Stay at the applied commit until `resume`. Drift is still repaired, and the remote looked at."""
    from mesh_sync.node import config as nodes
    from mesh_sync.reconcile.rollback import pause as run_pause

    node = nodes.load(config)
    run_pause(node, reason)
    click.echo(f"{node.name} stays as it is, until `mesh-sync resume`")


@click.command()
@config_option
def resume(config: Path) -> None:
    """Follow the list again after `pause` or `rollback`, from the next `now` on."""
    from mesh_sync.node import config as nodes
    from mesh_sync.reconcile.rollback import resume as run_resume

    node = nodes.load(config)
    was_paused = run_resume(node)
    click.echo(
        f"{node.name} follows the list again; next: mesh-sync now" if was_paused else f"{node.name} is not paused"
    )


@click.command()
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
@click.option("--trust", type=click.Choice(["signed", "none"]), required=True,
              help="signed: only what the mesh's signers have signed. none: what anybody pushes.")  # fmt: skip
@click.option("--fingerprint", metavar="X",
              help="The mesh's fingerprint, as an admin's `mesh-sync signer list` prints it.")  # fmt: skip
@click.option("--signers", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="F",
              help="An allowed_signers file that came another way: its admins must vouch for the list.")  # fmt: skip
@click.option("--identity-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="F",
              help="The ssh key for the git host.")  # fmt: skip
@click.option("--known-hosts-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="F",
              help="The ssh host keys to accept.")  # fmt: skip
@config_option
def join(config: Path, **options: Any) -> None:
    """Make this machine a node of the mesh: keys, free address, node.toml, and its file in the list.

    With --trust signed it shows what a person compares with what an admin says: the git host's key, the signers, the
    history's first and newest commit, and one fingerprint of it all; what was agreed to is kept beside node.toml.
    """
    from mesh_sync.membership.join import join as run_join
    from mesh_sync.membership.join_request import Request

    if options["trust"] == "none" and (options["fingerprint"] or options["signers"]):
        raise click.UsageError("--fingerprint and --signers go with --trust signed")
    joined = run_join(Request(config=config, **options), note=click.echo, confirm=confirm_on_terminal())
    later = ", once the branch is merged" if options["review"] else ""
    click.echo(f"this machine is {joined.name}, {', '.join(joined.addresses)}; next: mesh-sync now{later}")
