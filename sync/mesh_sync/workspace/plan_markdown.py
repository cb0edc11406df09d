"""A plan for a pull request: counts first, then each change once with the nodes that it concerns, as Markdown. Pure.

Who opens a pull request has written much of what is said here. All of that is in code spans, where Markdown, HTML,
mentions, references and links are letters (CommonMark, 6.1), in one line, without characters that hide or turn others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from mesh_sync.findings import printable
from mesh_sync.terminal.say import count
from mesh_sync.wireguard.plan import Change
from mesh_sync.workspace.preview import Preview

MARK = "<!-- mesh-sync plan -->"
"""The first line, by which a later run finds the comment of an earlier one."""
MOST = 60_000
"""Characters; GitHub takes 65,536 in a comment."""
LONGEST = 300
"""Characters of one text of the list."""
NAMED = 10
"""Nodes that are named in a line; more are folded away."""
UNFOLDED = 8
"""Changes of one kind that are shown at once; more are folded away."""
KINDS = {
    "node-removed": "Peers that leave the mesh",
    "node-added": "Peers that join the mesh",
    "node-renamed": "Peers under another name",
    "machine": "Peers on another machine",
    "exit": "Ways to the internet",
    "private-key": "Nodes that change their own key",
    "peer-removed": "Tunnels that end",
    "peer-added": "Tunnels that begin",
    "preshared-key": "Preshared keys",
    "endpoint": "Endpoints",
    "endpoint-removed": "Endpoints that are no longer known",
    "allowed-ips": "What tunnels carry",
    "address-added": "Addresses that nodes get",
    "address-removed": "Addresses that nodes lose",
    "route-added": "Routes that are added",
    "route-removed": "Routes that are removed",
    "exit-route-added": "Routes past the tunnel that are added",
    "exit-route-removed": "Routes past the tunnel that are removed",
    "listen-port": "Listen ports",
    "mtu": "MTUs",
    "keepalive": "Keepalives",
    "dns": "Nameservers of exported configs",
    "export": "Configs that are to be exported again",
    "exit-rule-added": "Rules for a way to the internet that are added",
    "exit-rule-removed": "Rules for a way to the internet that are removed",
    "fwmark": "Marks of the tunnel's own packets",
}
"""The kinds of changes, those first that a reviewer has to see; others follow under their own names."""


@frozen
class Entry:
    """One change, and the nodes that make it."""

    text: str
    nodes: tuple[str, ...]


def markdown(preview: Preview, command: str = "mesh-sync plan") -> str:
    """The comment; ``command`` shows all of it where it is too long."""
    groups = grouped(preview.nodes)
    lines = [MARK, f"### Mesh: {_headline(preview)}", ""]
    if preview.admins:
        lines += ["**Admins change. An admin may change everything:**", ""]
        lines += [f"- {code(f'{one.key}: {one.message}')}" for one in preview.admins[:NAMED]]
        lines += [f"- and {len(preview.admins) - NAMED:,} more"] if len(preview.admins) > NAMED else []
        lines.append("")
    if groups:
        lines += ["| what | changes | nodes |", "|---|--:|--:|"]
        lines += [f"| {_title(kind)} | {len(each):,} | {_concerned(each):,} |" for kind, each in groups.items()]
        lines.append("")
    if preview.relayed:
        lines += [code(preview.relayed), ""]
    end = f"_Cut: it is too long for a comment._ {code(command)} _shows all._\n"
    text, size = "\n".join(lines), sum(map(len, lines)) + len(lines)
    for kind, entries in groups.items():
        for block in _section(kind, entries):
            size += len(block)
            if size > MOST - len(end):
                return f"{_closed(text)}\n{end}"
            text += block
    return text


def code(text: str) -> str:
    """Any text as a code span, in one line and cut if it is long.

    The fence is longer than any run of backticks inside, and a space keeps those at the ends off it.
    """
    line = printable(text)
    line = line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) or not line else ""
    return f"{fence}{space}{line}{space}{fence}"


def _headline(preview: Preview) -> str:
    number = len(preview.nodes)
    return f"{count(number, 'node')} would change" if number else "no node would change"


def grouped(nodes: Mapping[str, Sequence[Change]]) -> dict[str, list[Entry]]:
    """Each change once, by its kind; the kinds in their order, and of each the change of most nodes first."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, changes in nodes.items():
        for change in changes:
            alone = change.kind in ("node-added", "node-removed", "node-renamed")
            text = f"{name} {change.text}" if alone else change.text
            found.setdefault(change.kind, {}).setdefault(text, []).append(name)
    order = {kind: number for number, kind in enumerate(KINDS)}
    return {
        kind: sorted((Entry(text, tuple(names)) for text, names in found[kind].items()), key=_most_first)
        for kind in sorted(found, key=lambda kind: (order.get(kind, len(order)), kind))
    }


def _most_first(entry: Entry) -> tuple[int, str]:
    return -len(entry.nodes), entry.text


def _concerned(entries: Iterable[Entry]) -> int:
    return len({name for entry in entries for name in entry.nodes})


def _title(kind: str) -> str:
    return KINDS.get(kind, kind)


def _section(kind: str, entries: Sequence[Entry]) -> Iterator[str]:
    """The heading and the changes, in pieces that can stand alone."""
    yield f"#### {_title(kind)}\n\n"
    folded = len(entries) > UNFOLDED
    if folded:
        yield f"<details><summary>{len(entries):,} changes</summary>\n\n"
    for entry in entries:
        yield _item(kind, entry)
    yield "\n</details>\n\n" if folded else "\n"


def _item(kind: str, entry: Entry) -> str:
    if kind in ("node-added", "node-removed", "node-renamed"):
        return f"- {code(entry.text)}\n"
    names = ", ".join(map(code, entry.nodes))
    if len(entry.nodes) <= NAMED:
        return f"- {code(entry.text)} on {names}\n"
    which = f"  <details><summary>which</summary>\n\n  {names}\n\n  </details>\n"
    return f"- {code(entry.text)} on {len(entry.nodes):,} nodes\n{which}"


def _closed(text: str) -> str:
    """The text up to where it was cut, with what is folded away brought to its end."""
    return text + "\n</details>\n" * (text.count("<details>") - text.count("</details>"))
