"""The `ip` program: reading links, addresses, routes and rules as JSON, and changing them in one batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.system.run import PACKAGES, run
from mesh_sync.wireguard.desired import EXIT_TABLE
from mesh_sync.wireguard.live import has_exit_rules, longest_outside, parse_link, parse_routes

T = TypeVar("T")

# What ip(8) prints on stderr in the C locale; its exit status does not tell these cases apart.
EXISTS, GONE = "File exists", "No such"
NO_INTERFACE = ("does not exist", "Cannot find device")
NOT_SUPPORTED, UNKNOWN_TYPE = "not supported", "Unknown device type"
PORT_TAKEN = "Address already in use"


def link(interface: str) -> dict[str, Any] | None:
    """MTU, state and addresses of the interface as fields of `Live`; None when there is no such interface."""
    return _ask(["ip", "-json", "address", "show", "dev", interface], parse_link)


def link_and_routes(interface: str) -> dict[str, Any] | None:
    """The same, and the destinations routed into it, by table."""
    lines = (f"address show dev {interface}", f"route show table all dev {interface}")
    return _ask(["ip", "-json", "-batch", "-"], lambda shown: {**parse_link(shown[0]), **parse_routes(shown[1])}, lines)


def exit_rules() -> frozenset[int]:
    """The IP versions for which both rules of `set_exit_rules` are there."""
    return frozenset(version for version in (4, 6) if _ask(["ip", f"-{version}", "-json", "rule"], has_exit_rules))


def set_exit_rules(version: int, *, add: bool) -> None:
    """Add or delete two rules, as wg-quick has them: unmarked packets go to the tunnel, after every route of the
    main table but its default one. What is there (or gone) already is left so.
    """
    for rule in (f"not fwmark {EXIT_TABLE} table {EXIT_TABLE}", "table main suppress_prefixlength 0"):
        try:
            batch([f"rule {'add' if add else 'delete'} {rule}"], f"-{version}")
        except CommandError as error:
            if not error.says(EXISTS, GONE):
                raise


def outside(address: str, interface: str) -> int | None:
    """The length of the longest route of the main table that leads to an address but by the interface, if any does."""
    version = 6 if ":" in address else 4
    argv = ["ip", f"-{version}", "-json", "route", "show", "table", "main", "match", address]
    return _ask(argv, partial(longest_outside, interface=interface))


PAST_EXIT = 5182
"""Priority of the rules that lead single addresses past an exit: before those of the exit, which the kernel places."""


def set_ways_past_exit(addresses: Iterable[str], *, add: bool) -> None:
    """Look the main table up first for packets to these addresses, or no longer. What is so already is left so."""
    for version in (4, 6):
        for address in (one for one in addresses if (":" in one) == (version == 6)):
            line = f"rule {'add' if add else 'delete'} to {address} lookup main priority {PAST_EXIT}"
            try:
                batch([line], f"-{version}")
            except CommandError as error:
                if not error.says(EXISTS, GONE):
                    raise


def exit_is_shared(version: int, interface: str) -> bool:
    """Whether another interface has a default route by the rules of `set_exit_rules`: wg-quick uses the same ones."""
    argv = ["ip", f"-{version}", "-json", "route", "show", "table", str(EXIT_TABLE)]
    return bool(_ask(argv, lambda shown: any(route.get("dev", interface) != interface for route in shown)))


def batch(lines: Sequence[str], *options: str) -> None:
    """Carry out `ip` command lines in order, stopping at the first that fails (CommandError)."""
    if lines:
        run(["ip", *options, "-batch", "-"], input="\n".join(lines) + "\n", deadline=30.0)


def each(lines: Sequence[str]) -> tuple[str, ...]:
    """Carry out `ip` command lines that may be repeated, whatever becomes of the others. Return what was refused."""
    try:
        batch(lines)
    except CommandError as error:
        if error.reason is not Reason.EXIT_STATUS:
            raise
        return tuple(filter(None, map(_refusal, lines)))
    return ()


def _refusal(line: str) -> str:
    try:
        run(["ip", *line.split()])
    except CommandError as error:
        return f"the kernel refused `ip {line}`: {' '.join(error.stderr.split())}"
    return ""


def understood(argv: Sequence[str], text: str, parse: Callable[[list[Any]], T]) -> T:
    """What ``parse`` makes of the JSON that a program printed. Raise DeviceError when it is not what was expected."""
    try:
        return parse(json.loads(text) if text.strip() else [])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        _expect_iproute2()
        raise DeviceError(f"`{' '.join(argv)}` printed something unexpected") from None


def _ask(argv: list[str], parse: Callable[[list[Any]], T], lines: Sequence[str] = ()) -> T | None:
    """None when there is no such interface. Of a batch of ``lines``, the list of what each has shown is parsed."""
    try:
        if not lines:
            return understood(argv, run(argv), parse)
        shown = run(argv, input="\n".join(lines) + "\n").strip().split("\n")
        return understood(argv, f"[{','.join(shown)}]", parse)
    except CommandError as error:
        if error.says(*NO_INTERFACE):
            return None
        if error.says(NOT_SUPPORTED):  # a kernel without IPv6
            return parse([])
        _expect_iproute2()
        raise DeviceError(error.message, hint=error.hint) from None


def _expect_iproute2() -> None:
    """BusyBox has an `ip` too, which can neither print JSON nor take a batch. Raise DeviceError if it is that one."""
    try:
        version = run(["ip", "-V"])
    except CommandError as error:
        if error.reason is Reason.NOT_FOUND:
            return
        version = ""
    if "iproute2" not in version:
        raise DeviceError("the `ip` of this machine is not that of iproute2, as BusyBox's is not", hint=PACKAGES["ip"])
