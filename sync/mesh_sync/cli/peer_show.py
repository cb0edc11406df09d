"""`mesh-sync peer list` and `show`."""

from __future__ import annotations

from pathlib import Path

import click

from mesh_sync.cli import present
from mesh_sync.cli.options import repository_option
from mesh_sync.errors import ConfigError
from mesh_sync.findings import printable
from mesh_sync.mesh.layout import peer_path
from mesh_sync.mesh.peer_view import PeerView
from mesh_sync.terminal.command_line import json_option, print_json, print_table
from mesh_sync.terminal.say import count
from mesh_sync.workspace.working_copy import WorkingCopy


@click.command("list")
@repository_option
@json_option
def list_(directory: Path, as_json: bool) -> None:
    """List the peers: a table on a terminal, separated by tabs elsewhere."""
    copy = WorkingCopy.open(directory)
    view = PeerView(copy.mesh, copy.moment)
    if as_json:
        print_json({"peers": [view.declared(peer) for _, peer in sorted(copy.mesh.peers.items())]})
    else:
        print_table(tuple(view.rows()))
    present.list_errors(copy.findings, copy.directory)


@click.command()
@click.argument("name", metavar="N")
@repository_option
@json_option
def show(name: str, directory: Path, as_json: bool) -> None:
    """Show one peer, every default filled in, and its tunnels."""
    copy = WorkingCopy.open(directory)
    found = copy.mesh.peers.get(name)
    if found is None:
        broken = [str(finding) for finding in copy.findings if finding.file == peer_path(name)]
        raise ConfigError("\n".join(broken) or f"there is no peer {name!r}", hint=f"the mesh has: {copy.some_names}")
    view = PeerView(copy.mesh, copy.moment)
    facts = view.declared(found) | {"effective": view.effective(found), "talks_to": view.talks_to(found)}
    if as_json:
        print_json(facts)
        return
    effective = facts["effective"]
    click.secho(f"{facts['name']}: {facts['state']}", bold=True)
    _line("public key", facts["public_key"])
    _line("next public key", facts["next_public_key"])
    _line("addresses", facts["addresses"])
    _line("name over the mesh", effective["dns_name"])
    _line("endpoint", facts["endpoint"] or "none: it initiates every session")
    _line("subnets", facts["subnets"])
    _line("seen as", facts["nat_subnet"])
    _line("priority", "" if facts["priority"] is None else str(facts["priority"]))
    for network, names in effective["gateways"].items():
        _line("gateways", f"of {network}: {', '.join(names)}")
    _line("reached via", facts["via"])
    _line("relay", _relays(facts["relay"], effective["relay"]))
    _line("relayed by", effective["relays"])
    _line("on the machine", facts["machine"])
    _line("original name", facts["original_name"])
    by_default = "" if facts["exit"] else " (by mesh.toml)"
    _line("leaves by", f"{effective['exit']}{by_default}" if effective["exit"] else "")
    _line("exit of", effective["exit_of"])
    _line("exported routes", facts["export_routes"])
    _line("exported dns", facts["dns"])
    for key, unit in (("listen_port", ""), ("mtu", " bytes"), ("persistent_keepalive", " s")):
        origin = "" if facts[key] is not None else " (by default)"
        value = f"{effective[key]}{unit}" if effective[key] else _UNSET.get(key, "off")
        _line(key.replace("_", " "), f"{value}{origin}")
    for key in ("expires", "owner", "description", "tags"):
        _line(key, facts[key])
    _line("talks to", f"{count(len(facts['talks_to']), 'peer')}" if facts["talks_to"] else "no peer")
    for neighbour in facts["talks_to"]:
        at = f" at {neighbour['endpoint'][0]}" if neighbour["endpoint"] else ""
        click.echo(f"  {neighbour['name']}{at}: {', '.join(neighbour['allowed_ips'])}")


def _relays(listed: bool, others: bool) -> str:
    if listed:
        return "others that cannot meet directly are reached through it, and it sees their packets"
    return "others are reached through it" if others else ""


_UNSET = {"mtu": "what the way to its peers allows"}


def _line(name: str, value: object) -> None:
    if value:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        click.echo(f"{name + ':':<22}{printable(text)}")
