"""`mesh-sync doctor`: what keeps this node from working, each with the command that mends it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from mesh_sync.diagnose.trouble import ERROR
from mesh_sync.node import config as nodes
from mesh_sync.reconcile.doctor import Report, checks, examined, subject_of, worst
from mesh_sync.system.run import end_all
from mesh_sync.terminal.command_line import config_option, json_option, print_json
from mesh_sync.terminal.say import count

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red", "skipped": "white"}


@click.command()
@config_option
@json_option
def doctor(config: Path, as_json: bool) -> int:
    """Find what keeps this node from working, and how to fix it.

    Changes nothing. Reports each check as it ends. Exits 1 if something is wrong, 0 if there are warnings at most.
    """
    node = nodes.load(config)
    try:
        subject, wanted, reports = subject_of(node), checks(node), list[Report]()
        for report in examined(wanted, subject):
            reports.append(report)
            if not as_json:
                _show(report)
    except KeyboardInterrupt:
        end_all()
        print("stopped", file=sys.stderr, flush=True)
        os._exit(130)  # the threads of checks under way are not waited for
    end_all()  # what a check that was late has started
    result = worst(reports)
    if as_json:
        order = [check.name for check in wanted]
        reports.sort(key=lambda report: order.index(report.name))
        found = [report.as_json() for report in reports]
        print_json({"node": node.name, "interface": node.interface, "result": result, "checks": found})
    else:
        troubles = [trouble for report in reports for trouble in report.seen.troubles]
        wrong = sum(trouble.severity == ERROR for trouble in troubles)
        counted = f"{count(wrong, 'error')}, {count(len(troubles) - wrong, 'warning')}"
        click.echo(counted if troubles else "nothing wrong was found")
    return 1 if result == ERROR else 0


def _show(report: Report) -> None:
    seen = report.seen
    click.secho(f"{seen.result:8}", fg=_COLOURS[seen.result], nl=False)
    click.echo(f"{report.name}: " + (seen.skipped or "; ".join(seen.facts) or count(len(seen.troubles), "finding")))
    for trouble in seen.troubles:
        click.secho(f"        {trouble}", fg=_COLOURS[trouble.severity])
        if trouble.fix:
            click.echo(f"          {trouble.fix}")
