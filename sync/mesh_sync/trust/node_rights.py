"""What a node's own signing key may change: its own peer file, and there only what draws no traffic to it. Pure.

Otherwise one stolen laptop could announce 0.0.0.0/0, or another peer's address. `policy.toml` of the mesh repository,
which only admins can change, may give a node more. Changes are compared by what the file means, not by its lines.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from mesh_sync.findings import Finding, shown
from mesh_sync.mesh.layout import POLICY_FILE, peer_path
from mesh_sync.typed_toml.fields import LABEL, anything
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong, mapping_of, take

EVERYONE = "*"
OWN_KEYS = frozenset({
    "endpoint", "listen_port", "mtu", "persistent_keepalive", "public_key", "next_public_key", "description",
})  # fmt: skip
"""What a node's key may change in the node's own file, always."""
EXTRA_KEYS = frozenset({"subnets", "addresses", "via", "exit", "tags", "owner", "expires", "enabled", "managed"})
"""What `policy.toml` can add to that."""
WIDEST = {4: 2**24, 6: 2**112}
"""Addresses that the subnets may have together when a node's key changes them: an IPv4 /8, an IPv6 /16."""
_PLAIN = re.compile(r"100(644|755)|0{6}")
"""The git modes of a plain file, and of none."""

Table = Mapping[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@frozen
class NodeRights:
    """`policy.toml`; ``nodes``: the extra keys by name of the node, or by "*" for every node."""

    nodes: Mapping[str, frozenset[str]] = field(factory=dict)

    def grants(self, node: str) -> frozenset[str]:
        """What the key of ``node`` may change beyond the usual."""
        return self.nodes.get(node, frozenset()) | self.nodes.get(EVERYONE, frozenset())


@frozen
class Edit:
    """One path that a commit changes; modes as git writes them, texts None where there is no (readable) file."""

    path: str
    old_mode: str
    new_mode: str
    old: bytes | None = None
    new: bytes | None = None


def parse(content: bytes) -> tuple[NodeRights, tuple[Finding, ...]]:
    """Given the file's bytes, return the rights and everything wrong; what is wrong grants nothing."""
    try:
        table = read_toml(content)
    except Wrong as wrong:
        return NodeRights(), tuple(wrong.findings(POLICY_FILE))
    problems = [(key, "unknown key") for key in table if key != "nodes"]
    nodes = take(mapping_of(anything), table.get("nodes", {}), "nodes", problems) or {}
    granted = {name: take(_extra, (name, keys), f"nodes.{name}", problems) for name, keys in nodes.items()}
    rights = NodeRights({name: keys for name, keys in granted.items() if keys is not None})
    return rights, tuple(Wrong(problems).findings(POLICY_FILE))


def _extra(entry: Any) -> frozenset[str]:
    name, keys = entry
    if name != EVERYONE and not LABEL.fullmatch(name):
        raise ValueError(f"{shown(name)} is neither the name of a peer nor {EVERYONE!r}")
    if not isinstance(keys, list):
        raise ValueError(f"must be a list, not {shown(keys)}")
    if unknown := [key for key in keys if not isinstance(key, str) or key not in EXTRA_KEYS]:
        raise ValueError(f"{', '.join(map(shown, unknown[:5]))}: not among {', '.join(sorted(EXTRA_KEYS))}")
    return frozenset(keys)


def forbidden(node: str, edits: Sequence[Edit], extra: frozenset[str]) -> str:
    """What a commit does that the key of ``node`` may not do, as the end of a sentence; empty if it may do all."""
    own = peer_path(node)
    others = [edit.path for edit in edits if edit.path != own]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        return f"change {shown(others[0])}{more}, only {own}"
    for edit in edits:
        if not _PLAIN.fullmatch(edit.old_mode) or not _PLAIN.fullmatch(edit.new_mode):
            return f"make {own} anything but a plain file"
        if not int(edit.new_mode):
            return f"delete {own}"
        if problem := _changed(own, edit, extra):
            return problem
    return ""


def _changed(own: str, edit: Edit, extra: frozenset[str]) -> str:
    created = not int(edit.old_mode)
    old, new = ({} if created else _table(edit.old)), _table(edit.new)
    if old is None or new is None:
        return f"change {own} where it is not valid TOML"
    try:
        changed = {key for key in old.keys() | new.keys() if repr(old.get(key)) != repr(new.get(key))}
    except (ValueError, RecursionError):  # a number of thousands of digits, a table in a table in a table …
        return f"change {own} beyond what can be read"
    allowed = OWN_KEYS | extra | ({"addresses"} if created else frozenset())
    if too_much := sorted(changed - allowed):
        return f"change {', '.join(map(_key, too_much[:5]))} in {own}"
    if "subnets" in changed and (wide := _too_wide(old, new)):
        return f"change subnets in {own} to {wide}"
    if "subnets" in changed and "priority" in new and (more := _added(old, new)):
        return f"add {more} to the subnets of {own}, which has a priority: another peer's network could be meant"
    return ""


def _key(name: str) -> str:
    return name if LABEL.fullmatch(name.replace("_", "-")) else shown(name)


def _too_wide(old: Table, new: Table) -> str:
    """Whether the subnets are more than a node may announce of its own accord, and than it had before: as the end of
    a sentence. Networks of its own are private: whoever announces a public one takes it from the internet.
    """
    before, after = _networks(old.get("subnets", [])), _networks(new.get("subnets", []))
    if before is None or after is None:
        return "what is no list of networks"
    for version, name in ((4, "an IPv4 /8"), (6, "an IPv6 /16")):
        if _size(after, version) > max(WIDEST[version], _size(before, version)):
            return f"more than {name} together"
    public = [network for network in after if not network.is_private and not _lies_in(network, before)]
    return f"{public[0]}, which is not private" if public else ""


def _added(old: Table, new: Table) -> str:
    """The first of the networks that were not there before; empty if there is none."""
    before, after = (_networks(table.get("subnets", [])) or [] for table in (old, new))
    return next((str(network) for network in after if network not in before), "")


def _networks(subnets: object) -> list[Network] | None:
    """What a list of networks has; None when it is no such list."""
    if not isinstance(subnets, list) or not all(isinstance(words, str) for words in subnets):
        return None
    try:
        return [ipaddress.ip_network(words, strict=False) for words in subnets]
    except ValueError:
        return None


def _size(networks: Sequence[Network], version: int) -> int:
    """How many addresses those of one version of IP have together."""
    return sum(network.num_addresses for network in networks if network.version == version)


def _lies_in(network: Network, others: Sequence[Network]) -> bool:
    ends = (network.network_address, network.broadcast_address)
    return any(all(end in other for end in ends) for other in others)


def _table(content: bytes | None) -> dict[str, Any] | None:
    try:
        return None if content is None else read_toml(content)
    except Wrong:
        return None
