"""The `ip` program: reading links, addresses, routes and rules as JSON, and changing them in one batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.live import parse_link, parse_routes
from mesh_sync.run import run
from mesh_sync.wanted import EXIT_TABLE


def link(interface: str) -> dict[str, Any] | None:
    """MTU, state and addresses of the interface as fields of `Live`; None when there is no such interface."""
    shown = _json(["ip", "-json", "address", "show", "dev", interface])
    return None if shown is None else parse_link(shown)


def routes(interface: str) -> frozenset[str]:
    """Destinations routed into the interface, by the main table and by the one for default routes."""
    found: frozenset[str] = frozenset()
    for version in (4, 6):
        shown = _json(["ip", f"-{version}", "-json", "route", "show", "table", "all", "dev", interface]) or []
        ours = (route for route in shown if route.get("table", "main") in ("main", str(EXIT_TABLE)))
        found |= parse_routes(ours, version)
    return found


def exit_rules() -> frozenset[int]:
    """The IP versions for which unmarked packets look into the table for default routes."""
    versions = []
    for version in (4, 6):
        rules = _json(["ip", f"-{version}", "-json", "rule", "show"]) or []
        tables = {str(rule.get("table")) for rule in rules if "not" in rule and "fwmark" in rule}
        if str(EXIT_TABLE) in tables:
            versions.append(version)
    return frozenset(versions)


def exit_rule(add: bool, version: int) -> None:
    """Add or delete the two rules, as wg-quick has them: unmarked packets go to the tunnel, after every route of
    the main table but its default one.
    """
    verb = "add" if add else "delete"
    rules = ["table main suppress_prefixlength 0", f"not fwmark {EXIT_TABLE} table {EXIT_TABLE}"]
    batch([f"rule {verb} {rule}" for rule in rules], f"-{version}")


def batch(lines: Sequence[str], *options: str) -> None:
    """Carry out `ip` command lines in order, stopping at the first that fails (CommandError)."""
    if lines:
        run(["ip", *options, "-batch", "-"], input="\n".join(lines) + "\n", deadline=30.0)


def _json(argv: list[str]) -> list[dict[str, Any]] | None:
    try:
        text = run(argv)
        shown: list[dict[str, Any]] = json.loads(text) if text.strip() else []
        return shown
    except CommandError as error:
        if "does not exist" in error.stderr or "Cannot find device" in error.stderr:
            return None
        raise DeviceError(error.message) from None
    except ValueError:
        raise DeviceError(f"`{' '.join(argv)}` printed something that is not JSON") from None
