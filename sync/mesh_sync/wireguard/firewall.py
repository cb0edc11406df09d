"""The interface's own nftables table: the rules of a node that routes for others, or whose default route is a tunnel.

A rule is text as `nft list` prints it, after the name of its chain: `forward iifname "wg0" oifname != "wg0" drop`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.system.run import run

CHAINS = {
    "raw": "type filter hook prerouting priority raw",
    "prerouting": "type filter hook prerouting priority mangle",
    "destination": "type nat hook prerouting priority dstnat",
    "output": "type route hook output priority mangle",
    "forward": "type filter hook forward priority filter",
    "postrouting": "type nat hook postrouting priority srcnat",
}
"""The chains that a rule can be in; each accepts what no rule decides."""


def table(interface: str) -> str:
    """Name of the interface's nftables table."""
    return "mesh_sync_" + re.sub(r"[^A-Za-z0-9]", "_", interface)


def live_rules(interface: str) -> frozenset[str]:
    """The rules that are there now; none when the table, or nft itself, is not."""
    try:
        text = run(["nft", "-s", "list", "table", "inet", table(interface)])
    except CommandError as error:
        if error.reason not in (Reason.NOT_FOUND, Reason.EXIT_STATUS, Reason.SIGNAL):
            raise DeviceError(error.message) from None
        return frozenset()
    return frozenset(parse_rules(text))


def parse_rules(text: str) -> Iterator[str]:
    """Given `nft list table`, return each rule after the name of its chain."""
    chain = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("chain "):
            chain = line.split()[1]
        elif line and chain and not line.startswith(("type ", "}")):
            yield f"{chain} {line}"


def set_rules(interface: str, desired: Iterable[str]) -> None:
    """Replace the whole table in one transaction; no rules, no table."""
    name = table(interface)
    lines = [f"table inet {name} {{}}", f"delete table inet {name}"]
    rules = sorted(tuple(rule.split(" ", 1)) for rule in desired)
    if rules:
        lines.append(f"table inet {name} {{")
        for chain in sorted({chain for chain, _ in rules}):
            lines += [f"chain {chain} {{", f"{CHAINS[chain]}; policy accept;"]
            lines += [*(rule for of, rule in rules if of == chain), "}"]
        lines.append("}")
    run(["nft", "-f", "-"], input="\n".join(lines) + "\n")
