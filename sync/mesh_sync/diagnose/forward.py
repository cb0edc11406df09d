"""Whether what this node forwards is dropped by a firewall of another program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mesh_sync.diagnose.trouble import WARNING, Trouble
from mesh_sync.errors import CommandError
from mesh_sync.findings import some
from mesh_sync.system.run import run
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.forward_chains import rule_text, wanted
from mesh_sync.wireguard.live import Live

LEGACY = {"iptables-legacy": Path("/proc/net/ip_tables_names"), "ip6tables-legacy": Path("/proc/net/ip6_tables_names")}
"""The programs of the older netfilter, and where the kernel lists its tables that are in use."""


def forward_troubles(desired: Desired, interface: str, live: Live | None) -> Iterator[Trouble]:
    """Yield what others drop and no rule of ours lets pass: not yet, or because they let no other program in. Pure."""
    if live is None:
        return
    found = live.forward
    for rule in sorted(wanted(desired.passages, found.closed) - found.opened.keys()):
        family, table, chain, passage = rule.split(" ", 3)
        text = f"{family} {table} {chain} drops what is forwarded ({passage}), and no rule of mesh-sync is there"
        by_hand = f"nft 'insert rule {family} {table} {chain} {rule_text(interface, family, passage)}'"
        yield Trouble("forward-dropped", text, f"mesh-sync now; if that does not help: {by_hand}")
    for place in sorted(found.locked):
        if passages := sorted(one.split(" ", 3)[3] for one in wanted(desired.passages, [place])):
            text = (
                f"{place} drops what is forwarded ({some(passages)}), and only the program that made it may change that"
            )
            fix = f"firewall-cmd --permanent --zone=trusted --add-interface={interface} && firewall-cmd --reload"
            yield Trouble("forward-dropped", text, f"let that program accept it; for firewalld: {fix}")


def translation_troubles(desired: Desired, *, routes: bool) -> Iterator[Trouble]:
    """Yield what the mesh sees as another network while this node, which does not route, translates nothing. Pure."""
    if desired.translated and not routes:
        pairs = [f"{network} as {mapped}" for network, mapped in sorted(desired.translated)]
        text = f"the mesh sees {some(pairs)}, and this node does not translate: node.toml has no [gateway]"
        yield Trouble("not-translated", text, "add [gateway] to node.toml, then: mesh-sync now")


def legacy_troubles(desired: Desired, interface: str) -> Iterator[Trouble]:
    """Yield what iptables-legacy drops: its rules are outside nftables, and mesh-sync puts none of its own there."""
    for program, tables in LEGACY.items():
        if not desired.passages or "filter" not in _lines(tables):
            continue
        try:
            rules = run([program, "-S", "FORWARD"]).splitlines()
        except CommandError as error:
            text = f"the older netfilter has a filter table, and {error.message}: whether it drops what is forwarded"
            yield Trouble("forward-unknown", f"{text} is not known", f"{program} -S FORWARD", WARNING)
            continue
        if "-P FORWARD DROP" in rules and not any(f" {interface} " in f"{rule} " for rule in rules):
            fix = " && ".join(f"{program} -I FORWARD -{way} {interface} -j ACCEPT" for way in "io")
            yield Trouble("forward-dropped", f"the policy of {program}'s FORWARD drops what is forwarded", fix)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
