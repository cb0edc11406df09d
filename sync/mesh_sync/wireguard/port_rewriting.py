"""The interface's table of rewritten ports: some peers see another port than WireGuard's own.

A NAT that gives each destination another port lets a peer in at one port of this machine only. Where that is not
WireGuard's, these rules, which keep no state, put one in the place of the other, in packets from and to that peer.
IPv4 only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.system.run import run
from mesh_sync.wireguard.endpoint import Endpoint

_INWARD = re.compile(
    r"ip saddr (?P<host>[0-9.]+) udp sport (?P<port>\d+) udp dport (?P<wire>\d+) notrack udp dport set (?P<own>\d+)"
)


@frozen(order=True)
class Rewriting:
    """Packets between WireGuard's port ``own`` and a peer's ``endpoint`` (IPv4) have the port ``wire`` on the wire."""

    endpoint: str
    wire: int
    own: int


def table(interface: str) -> str:
    """Name of the nftables table, with a prefix of its own: mesh-sync's other rules are apart (`firewall`)."""
    return "mesh_punch_" + re.sub(r"[^A-Za-z0-9]", "_", interface)


def read(interface: str) -> frozenset[Rewriting]:
    """The rules that are in force; none without the table, or without nft."""
    try:
        return frozenset(parse(run(["nft", "-s", "list", "table", "inet", table(interface)])))
    except CommandError as error:
        if error.reason not in (Reason.NOT_FOUND, Reason.EXIT_STATUS, Reason.SIGNAL):
            raise DeviceError(error.message) from None
        return frozenset()


def parse(text: str) -> Iterator[Rewriting]:
    """The rules for incoming packets in a table as `nft list` prints it."""
    for rule in _INWARD.finditer(text):
        yield Rewriting(f"{rule['host']}:{rule['port']}", int(rule["wire"]), int(rule["own"]))


def replace(interface: str, wanted: Iterable[Rewriting]) -> None:
    """Make these the only rules of the table, in one transaction; without rules there is no table.

    Raise CommandError where nft cannot.
    """
    run(["nft", "-f", "-"], input="\n".join(commands(interface, wanted)) + "\n")


def commands(interface: str, wanted: Iterable[Rewriting]) -> Iterator[str]:
    """The commands for nft. The rules come before connection tracking, which must see neither port (`notrack`)."""
    name, rules = table(interface), sorted(wanted)
    yield f"table inet {name} {{}}"
    yield f"delete table inet {name}"
    if not rules:
        return
    ends = [(rule, Endpoint.parse(rule.endpoint)) for rule in rules]
    yield f"table inet {name} {{"
    yield "chain in { type filter hook prerouting priority raw; policy accept;"
    for rule, end in ends:
        match = f"ip saddr {end.host} udp sport {end.port} udp dport {rule.wire}"
        yield f"{match} notrack udp dport set {rule.own}"
    yield "}"
    yield "chain out { type filter hook output priority raw; policy accept;"
    for rule, end in ends:
        match = f"ip daddr {end.host} udp sport {rule.own} udp dport {end.port}"
        yield f"{match} notrack udp sport set {rule.wire}"
    yield "}"
    yield "}"
