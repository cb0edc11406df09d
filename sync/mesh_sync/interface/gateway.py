"""Forwarding and masquerading of a node that routes for its subnets, or relays for other peers.

The rules live in an nftables table of their own; the sysctls' earlier values are kept under `run` (they are as
short-lived as the kernel's memory), so that `down` puts everything back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from attrs import evolve

from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.files import write_atomically
from mesh_sync.interface.wanted import Wanted
from mesh_sync.node import Node
from mesh_sync.run import run

PROC_SYS = Path("/proc/sys")


def table(interface: str) -> str:
    """Name of the interface's nftables table."""
    return "mesh_sync_" + re.sub(r"[^A-Za-z0-9]", "_", interface)


def with_gateway(wanted: Wanted, node: Node) -> Wanted:
    """Add what node.toml says about routing for others, and what relaying and exits need."""
    masquerade = node.gateway.masquerade if node.gateway else ""
    return evolve(
        wanted,
        sysctls=_sysctls(node.interface, wanted, routes=node.gateway is not None),
        firewall=_rules(node.interface, masquerade, relays=wanted.relay and node.gateway is None) | _marks(wanted),
    )


def _rules(interface: str, masquerade: str, *, relays: bool) -> frozenset[str]:
    """The rules, as nft prints them: masquerade what leaves by the interface ``masquerade`` (may be empty).

    A node that only relays hands on between peers, and to nobody else.
    """
    if masquerade:
        return frozenset({f'iifname "{interface}" oifname "{masquerade}" masquerade'})
    return frozenset({f'iifname "{interface}" oifname != "{interface}" drop'}) if relays else frozenset()


def _marks(wanted: Wanted) -> frozenset[str]:
    """With a default route in the tunnel, its own packets carry the mark when they arrive, too.

    A strict reverse path filter, which looks the sender up by mark, would find the tunnel itself and drop them.
    """
    if not wanted.fwmark:
        return frozenset()
    return frozenset({f"fib daddr type local udp dport {wanted.listen_port} meta mark set 0x{wanted.fwmark:08x}"})


def _sysctls(interface: str, wanted: Wanted, *, routes: bool) -> frozenset[str]:
    """The paths below /proc/sys that have to be 1. IPv6 knows no forwarding per interface."""
    paths = set()
    if routes or wanted.relay:
        ipv4 = "net/ipv4/ip_forward" if routes else f"net/ipv4/conf/{interface}/forwarding"
        forwarding = {4: ipv4, 6: "net/ipv6/conf/all/forwarding"}
        paths |= {forwarding[6 if ":" in route else 4] for route in wanted.routes}
    if "0.0.0.0/0" in wanted.routes:
        paths.add("net/ipv4/conf/all/src_valid_mark")  # the reverse path filter heeds the mark, see `_marks`
    return frozenset(paths)


def live_rules(interface: str) -> frozenset[str]:
    """The rules that are there now; none when the table, or nft itself, is not."""
    try:
        text = run(["nft", "-s", "list", "table", "inet", table(interface)])
    except CommandError as error:
        if error.status is None and "not installed" not in error.message:
            raise DeviceError(error.message) from None
        return frozenset()
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line for line in lines if line.startswith(("iifname", "oifname", "fib")))


def set_rules(interface: str, wanted: Iterable[str]) -> None:
    """Replace the whole table in one transaction; no rules, no table."""
    name = table(interface)
    text = f"table inet {name} {{}}\ndelete table inet {name}\n"
    nat = [rule for rule in wanted if rule.endswith("masquerade")]
    filters = [rule for rule in wanted if rule.endswith("drop")]
    marks = [rule for rule in wanted if "mark set" in rule]
    chains = [
        ("prerouting", "type filter hook prerouting priority -150", marks),
        ("postrouting", "type nat hook postrouting priority 100", nat),
        ("forward", "type filter hook forward priority 0", filters),
    ]
    body = [
        f"chain {chain} {{\n{hook}; policy accept;\n" + "\n".join(sorted(part)) + "\n}"
        for chain, hook, part in chains
        if part
    ]
    if body:
        text += f"table inet {name} {{\n" + "\n".join(body) + "\n}\n"
    run(["nft", "-f", "-"], input=text)


def live_sysctls(paths: Iterable[str]) -> frozenset[str]:
    """Those of ``paths`` that are on."""
    return frozenset(path for path in paths if _read(path) not in ("", "0"))


def turn_on(path: str, memory: Path) -> None:
    """Set a sysctl to 1 and remember in ``memory`` what it was. A crash in between leaves it remembered."""
    before = remembered(memory)
    if path not in before:
        write_atomically(memory, json.dumps({**before, path: _read(path)}))
    if path == "net/ipv6/conf/all/forwarding":
        _keep_router_advertisements()
    _write(path, "1")


def put_back(memory: Path, path: str) -> None:
    """Give a remembered sysctl its earlier value, and forget it."""
    before = remembered(memory)
    value = before.pop(path)
    if (PROC_SYS / path).exists():
        _write(path, value)
    if before:
        write_atomically(memory, json.dumps(before))
    else:
        memory.unlink(missing_ok=True)


def remembered(memory: Path) -> dict[str, str]:
    """The earlier values, by path; empty when nothing was changed."""
    try:
        values = json.loads(memory.read_text())
        return {str(path): str(value) for path, value in values.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _keep_router_advertisements() -> None:
    """A forwarding node ignores router advertisements unless told 2, and would lose its own default route."""
    for accept in (PROC_SYS / "net/ipv6/conf").glob("*/accept_ra"):
        if accept.read_text().strip() == "1":
            accept.write_text("2")


def _read(path: str) -> str:
    try:
        return (PROC_SYS / path).read_text().strip()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    try:
        (PROC_SYS / path).write_text(value)
    except OSError as error:
        name = path.replace("/", ".")
        raise DeviceError(f"sysctl {name} cannot be set to {value}: {error.strerror}") from None
