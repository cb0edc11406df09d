"""The chains of others that forwarded packets pass: Docker's, ufw's, firewalld's, root's own. Pure.

All base chains at the forward hook judge a packet, one after the other, and a drop in any of them is final; an accept
ends only the chain it is in. So no table of our own can let packets pass that another one drops: the rule that accepts
them has to stand in the very chain that would drop them, before what drops them. Each of ours has a comment by which it
is found again. Where such a chain speaks of the interface already, root has decided, and nothing is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

DOCKER_USER = "DOCKER-USER"
"""Docker jumps there before all rules of its own, and leaves what others put there alone."""
BETWEEN = "between"
"""The passage from peer to peer."""
_DROPS = frozenset({"drop", "reject"})
_ENDS_XT = frozenset({"DROP", "REJECT"})
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
"""What nft reads as a name without quotes; a chain of another name is left alone."""


@frozen
class Rule:
    """One rule. ``verdict``: `accept`, `drop`, `jump NAME` …, empty if it has none; ``always``: it has no condition.

    ``interfaces``: those that it names.
    """

    handle: int
    verdict: str = ""
    always: bool = False
    interfaces: frozenset[str] = frozenset()
    comment: str = ""


@frozen
class Chain:
    """One chain; ``hook`` is empty unless packets come to it by themselves. ``policy``: `accept` or `drop`."""

    family: str
    table: str
    name: str
    hook: str = ""
    policy: str = "accept"
    rules: tuple[Rule, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.family} {self.table} {self.name}"


@frozen
class Found:
    """What stands in the way of forwarding, and what of it is ours.

    ``closed``: the places where an accepting rule would count, as `FAMILY TABLE CHAIN`; ``locked``: those of them that
    only another program may change; ``opened``: our rules, `PLACE PASSAGE` with their handles.
    """

    closed: frozenset[str] = frozenset()
    locked: frozenset[str] = frozenset()
    opened: Mapping[str, tuple[int, ...]] = {}


def marked(interface: str, passage: str) -> str:
    """The comment of our rule for a passage."""
    return f"mesh-sync {interface}: {passage}"


def rule_text(interface: str, family: str, passage: str) -> str:
    """The rule that accepts a passage: `in NETWORK` from the tunnel, `out NETWORK` into it, or `between` peers.

    Into the tunnel from everywhere only what belongs to connections that a peer began.
    """
    if passage == BETWEEN:
        match = f'iifname "{interface}" oifname "{interface}"'
    else:
        way, network = passage.split(" ", 1)
        kind = "ip6" if ":" in network else "ip"
        match = f'{"i" if way == "in" else "o"}ifname "{interface}"'
        if not network.endswith("/0"):
            match += f" {kind} {'daddr' if way == 'in' else 'saddr'} {network}"
        else:
            match += f" meta nfproto {'ipv6' if kind == 'ip6' else 'ipv4'}" if family == "inet" else ""
            match += " ct state established,related" if way == "out" else ""
    return f'{match} counter accept comment "{marked(interface, passage)}"'


def wanted(passages: Iterable[str], places: Iterable[str]) -> frozenset[str]:
    """The rules that these places need, as `PLACE PASSAGE`; one of IPv4 is not asked to pass IPv6."""
    return frozenset(f"{place} {one}" for place in places for one in passages if _fits(place.split(" ")[0], one))


def _fits(family: str, passage: str) -> bool:
    return family == "inet" or passage == BETWEEN or (family == "ip6") == (":" in passage)


def found(chains: Sequence[Chain], locked: Iterable[str], interface: str) -> Found:
    """Given the chains of every table that forwarded packets come through.

    ``locked``: tables that have an owner (`FAMILY TABLE`), and places that took no rule before.
    """
    locked = frozenset(locked)
    closed, kept = set[str](), set[str]()
    for base in chains:
        if base.hook != "forward":
            continue
        table = {chain.name: chain for chain in chains if (chain.family, chain.table) == (base.family, base.table)}
        reached = list(_reached(base, table))
        ours = marked(interface, "")
        others = (rule for chain in reached for rule in chain.rules if not rule.comment.startswith(ours))
        if not _drops(base, table, frozenset()) or any(_names(rule, interface) for rule in others):
            continue
        user = next((chain for chain in reached if chain.name == DOCKER_USER), base)
        (kept if {f"{base.family} {base.table}", user.place} & locked else closed).add(user.place)
    return Found(frozenset(closed), frozenset(kept), _opened(chains, interface))


def _names(rule: Rule, interface: str) -> bool:
    """Whether a rule is about the interface, by its name or by how that begins (`wg*`)."""
    starts = (name[:-1] for name in rule.interfaces if name.endswith("*"))
    return interface in rule.interfaces or any(map(interface.startswith, starts))


def _opened(chains: Iterable[Chain], interface: str) -> dict[str, tuple[int, ...]]:
    start, opened = marked(interface, ""), dict[str, tuple[int, ...]]()
    for chain in chains:
        for rule in chain.rules:
            if rule.comment.startswith(start):
                key = f"{chain.place} {rule.comment.removeprefix(start)}"
                opened[key] = (*opened.get(key, ()), rule.handle)
    return opened


def _reached(base: Chain, table: Mapping[str, Chain]) -> Iterator[Chain]:
    """The chain and those that it jumps to, each once."""
    seen, waiting = {base.name}, [base]
    while waiting:
        chain = waiting.pop(0)
        yield chain
        for rule in chain.rules:
            verb, _, target = rule.verdict.partition(" ")
            if verb in ("jump", "goto") and target in table and target not in seen:
                seen.add(target)
                waiting.append(table[target])


def _drops(chain: Chain, table: Mapping[str, Chain], above: frozenset[str]) -> bool:
    """Whether the chain ends in a drop: by its policy, by its last rule, or in a chain that its last rule goes to."""
    if chain.policy == "drop":
        return True
    for rule in reversed(chain.rules):
        if not rule.always:
            return False
        verb, _, target = rule.verdict.partition(" ")
        if verb in _DROPS:
            return True
        if verb in ("jump", "goto") and target in table and target not in above:
            return _drops(table[target], table, above | {chain.name})
        if verb:
            return False
    return False


def parse(answers: Iterable[Mapping[str, Any]]) -> tuple[tuple[Chain, ...], frozenset[str]]:
    """Given objects of `nft -j list`, return the chains, and the tables that have an owner, as `FAMILY TABLE`.

    Raise KeyError, TypeError or AttributeError when they are not such.
    """
    chains, rules, locked = dict[tuple[str, str, str], Chain](), dict[tuple[str, str, str], list[Rule]](), set()
    for answer in answers:
        if table := answer.get("table"):
            flags = table.get("flags", ())
            if "owner" in ([flags] if isinstance(flags, str) else flags):
                locked.add(f"{table['family']} {table['name']}")
        if chain := answer.get("chain"):
            key = (str(chain["family"]), str(chain["table"]), str(chain["name"]))
            chains[key] = Chain(*key, hook=chain.get("hook", ""), policy=chain.get("policy", "accept"))
        if rule := answer.get("rule"):
            key = (str(rule["family"]), str(rule["table"]), str(rule["chain"]))
            rules.setdefault(key, []).append(_rule(rule))
    named = (chain for key, chain in chains.items() if all(map(_NAME.fullmatch, key)))
    return tuple(_with(chain, rules) for chain in named), frozenset(locked)


def _with(chain: Chain, rules: Mapping[tuple[str, str, str], list[Rule]]) -> Chain:
    found = rules.get((chain.family, chain.table, chain.name), ())
    return Chain(chain.family, chain.table, chain.name, chain.hook, chain.policy, tuple(found))


def _rule(rule: Mapping[str, Any]) -> Rule:
    verdict, always, interfaces = "", True, set[str]()
    for part in rule.get("expr", ()):
        (kind, value), *_ = part.items()
        if kind == "match":
            always = False
            interfaces |= _interfaces(value)
        elif kind in ("accept", "drop", "reject", "return", "continue", "queue"):
            verdict = kind
        elif kind in ("jump", "goto"):
            verdict = f"{kind} {value['target']}"
        elif kind == "xt":
            named = str(value.get("name", "")) if isinstance(value, Mapping) else ""
            if named in _ENDS_XT:
                verdict = "drop"
            elif named != "comment":
                always = always and isinstance(value, Mapping) and value.get("type") == "target"
        elif kind not in ("counter", "log", "mangle"):
            always = False
    return Rule(int(rule["handle"]), verdict, always, frozenset(interfaces), str(rule.get("comment", "")))


def _interfaces(match: Mapping[str, Any]) -> set[str]:
    """The interfaces that a match is about, as they are written: `wg*` is one."""
    left = match.get("left")
    meta = left.get("meta", {}) if isinstance(left, Mapping) else {}
    if not isinstance(meta, Mapping) or meta.get("key") not in ("iifname", "oifname", "iif", "oif"):
        return set()
    right = match.get("right")
    if isinstance(right, Mapping):
        right = right.get("set", ())
    return {str(one) for one in right} if isinstance(right, list | tuple) else {str(right)}
