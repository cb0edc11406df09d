"""`mesh-watchdog status` as text: a table on a terminal, tab-separated elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from mesh_sync.findings import printable
from mesh_sync.terminal.command_line import print_table
from mesh_sync.terminal.say import count, duration
from mesh_watchdog.policy.nat_class import EASY, HARD, PUBLIC

_NAT = {
    PUBLIC: "public: this node is seen at an address of its own",
    EASY: "easy: peers can meet this node directly",
    HARD: "hard: peers behind NATs of this kind cannot meet this node directly",
}
_DONE = (("writes", "endpoint write"), ("probes", "probe"), ("dns_queries", "DNS lookup"))


def show(view: Mapping[str, Any]) -> None:
    """Print what `status_file.read` returned."""
    click.echo(f"{view['node']} on {view['interface']}: {'up' if view['interface_up'] else 'down'}")
    if not view["running"]:
        click.secho("no watchdog is running; this is how the last one left it", fg="red")
    elif view["stale"]:
        click.secho("the watchdog has not reported for a minute: journalctl -u mesh-watchdog", fg="red")
    for problem in view["problems"]:
        click.secho(printable(problem), fg="red")
    if view["ours"]:
        click.secho("this machine is cut off: no peer is to blame, and none is touched", fg="yellow")
    for trouble in view.get("troubles", ()):
        click.secho(printable(f"{trouble['severity']}: {trouble['text']}"), fg="yellow")
    if mapping := _mapping(view.get("port_mapping", {})):
        click.echo(f"port mapping: {mapping}")
    if view.get("nat") in _NAT:
        click.echo(f"NAT: {_NAT[view['nat']]}")
    rows: list[tuple[str, ...]] = [("peer", "state", "for", "endpoint", "from", "dns", "recovered in", "switches")]
    rows += [_row(peer, view) for peer in view["peers"]]
    print_table(rows)
    for peer in view["peers"]:
        if peer.get("why"):
            click.echo(printable(f"{peer['name']}: {peer['why']}"))
    for gateway in view.get("gateways", ()):
        if gateway["carried_by"] != gateway["peers"][0]:
            by = gateway["carried_by"] or "no peer"
            click.echo(f"{gateway['network']} is sent to {by}; the first choice is {gateway['peers'][0]}")
    done = (count(view[key], noun) for key, noun in _DONE)
    click.echo(f"so far: {', '.join(done)}")


def _row(peer: Mapping[str, Any], view: Mapping[str, Any]) -> tuple[str, ...]:
    since = None if peer["since"] is None or view["written"] is None else view["written"] - peer["since"]
    recovery = peer["last_recovery"]
    return (
        peer["name"],
        f"relayed by {peer['relay']}" if peer.get("relay") else peer["state"],
        "-" if since is None else duration(since),
        peer["endpoint"] or "-",
        peer["source"],
        "; ".join(_names(peer)) or "-",
        "-" if recovery is None else duration(recovery),
        str(peer["switches"]),
    )


def _mapping(found: Mapping[str, Any]) -> str:
    if found.get("endpoint"):
        return f"{found['endpoint']} ({found['how']})"
    return f"none: {found['how']}" if found.get("how") else ""


def _names(peer: Mapping[str, Any]) -> Iterator[str]:
    for name in peer["dns"]:
        if name["problem"]:
            yield f"{name['host']}: {printable(name['problem'])}"
        elif name["age"] is not None:
            yield f"{', '.join(name['addresses'])} (TTL {name['ttl_left']:.0f} s left)"
