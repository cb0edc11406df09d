"""Whose signature each commit of a piece of history needs, and which verified commit a node then trusts. Pure.

The signers that count are those of the last trusted commit, for the whole piece, and never those of the commit itself.
Each must also be in the list of the commit's own parents, so that a key that one commit removes signs none of the
commits after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property

from attrs import field, frozen

from mesh_sync.findings import shown
from mesh_sync.mesh.layout import SIGNERS_FILE
from mesh_sync.trust.node_rights import Edit, NodeRights, forbidden
from mesh_sync.trust.signature import SSH, Signature
from mesh_sync.trust.signers import NAMESPACE, Signer, Signers, key_fingerprint

SKEW = 3600
"""Seconds that the clocks of two signers may differ."""


@frozen
class Rules:
    """What the files of one commit say about who may change them. ``signers`` is None where there is no list."""

    signers: Signers | None = None
    mesh: str = ""
    rights: NodeRights = NodeRights()

    def of(self, node: str) -> tuple[Signer, ...]:
        """The keys of a node of this mesh."""
        return self.signers.of(node, self.mesh) if self.signers and self.mesh else ()


@frozen
class Commit:
    """One commit, of ``size`` bytes. ``edits``: what it changes of its parent, where that matters. ``date``: when it
    says that it was made (Unix seconds).
    """

    name: str
    parents: tuple[str, ...]
    signature: Signature = Signature()
    edits: tuple[Edit, ...] = ()
    size: int = 0
    date: int = 0

    @property
    def key(self) -> str:
        return self.signature.key

    @property
    def signed(self) -> str:
        """Digest of who has signed what, in hexadecimal: the same for every spelling of the signature."""
        return hashlib.sha256(f"{self.key} {self.signature.signed}".encode()).hexdigest()

    @property
    def short(self) -> str:
        return self.name[:10]


class Untrusted(Exception):
    """Why a commit does not count, as one sentence. ``lasting``: the clock makes no difference."""

    def __init__(self, text: str, *, lasting: bool = True) -> None:
        super().__init__(text)
        self.lasting = lasting


@frozen
class Authorization:
    """Commits, parents first, and the rules that each has to meet.

    ``bases``: the rules that were trusted before; a signer has to be in every one of them. ``rules``: those that the
    files of the commits and of their parents state, as far as they are read; ``effective``: the same, with the first
    parent's signers where a list has no admin with a valid key. ``dates``: of the parents that are not among them.
    """

    bases: tuple[Rules, ...]
    commits: tuple[Commit, ...]
    moment: datetime
    dates: Mapping[str, int] = field(factory=dict)
    rules: dict[str, Rules] = field(init=False, factory=dict)
    effective: dict[str, Rules] = field(init=False, factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, Commit]:
        return {commit.name: commit for commit in self.commits}

    @cached_property
    def order(self) -> Mapping[str, int]:
        return {commit.name: number for number, commit in enumerate(self.commits)}

    def learn(self, found: Mapping[str, Rules]) -> None:
        """Add the rules at more commits: parents first, or together with their parents."""
        self.rules.update(found)
        for name in sorted(found, key=lambda name: self.order.get(name, -1)):
            rules = found[name]
            if not self._is_usable(rules.signers):
                above = self.by_name[name].parents[:1] if name in self.by_name else ()
                rules = Rules(self.effective[above[0]].signers if above else None, rules.mesh, rules.rights)
            self.effective[name] = rules

    def keys(self, name: str) -> frozenset[str]:
        """The keys that may sign after a commit."""
        return _keys(self.effective[name])

    @cached_property
    def node_keys(self) -> Mapping[str, str]:
        """The principal of each key that is only a node's, in the lists that were trusted before."""
        entries = [signer for base in self.bases for signer in _entries(base)]
        admins = {signer.key for signer in entries if not signer.is_node}
        return {signer.key: signer.principal for signer in entries if signer.key not in admins}

    @cached_property
    def revoked(self) -> frozenset[str]:
        """The keys that the applied list has, and a newer trusted list has no more."""
        trusted, *beside = map(_keys, self.bases)
        return frozenset().union(*beside) - trusted

    def is_sound(self, name: str) -> bool:
        """Whether a commit can be trusted: its list has an admin with a valid key, or there never was a list."""
        own = self.rules[name].signers
        return self._is_usable(own) or (own is None and self.effective[name].signers is None)

    def _is_usable(self, signers: Signers | None) -> bool:
        return signers is not None and signers.has_admin_at(self.moment)

    def lines_for(self, commit: Commit) -> tuple[Signer, ...]:
        """The lines for ssh-keygen to verify this commit with. Raise Untrusted when no signature would be enough."""
        self._check_signature(commit)
        bases = [[signer for signer in _entries(base) if signer.key == commit.key] for base in self.bases]
        if not all(bases):
            raise Untrusted(f"commit {commit.short} is signed by {self._stranger(commit)}")
        signer = bases[0][0]
        for name in commit.parents:
            if self.effective[name].signers is not None and commit.key not in self.keys(name):
                text = f"is signed by {signer.principal}, whose key is not in {SIGNERS_FILE} at commit {name[:10]}"
                raise Untrusted(f"commit {commit.short} {text}")
        moment = self._moment_of(commit)
        for lines in self._lists(commit):
            if all(line.problem_at(moment) for line in lines):
                text = f"is signed by {signer.principal}, whose key {lines[0].problem_at(moment)}"
                raise Untrusted(f"commit {commit.short} {text}", lasting=False)
        return tuple(line for line in bases[0] if not line.problem_at(moment))

    def _moment_of(self, commit: Commit) -> datetime:
        """When the key of a commit has to be valid: now. Where an admin whose key is valid now has signed above it,
        when the commit says that it was made, unless a parent is younger than that: then it is dated back.
        """
        if commit.name not in self._below_admins or commit.date > self.moment.timestamp():
            return self.moment
        parents = [self.by_name[name].date if name in self.by_name else self.dates[name] for name in commit.parents]
        return self.moment if max(parents, default=0) > commit.date + SKEW else datetime.fromtimestamp(commit.date, UTC)

    @cached_property
    def _below_admins(self) -> frozenset[str]:
        """The commits above which there is one that claims to be signed by an admin whose key is valid now."""
        admins = [{line.key for line in _entries(base) if self._is_admin_now(line)} for base in self.bases]
        valid = frozenset[str].intersection(*map(frozenset, admins))
        below: set[str] = set()
        for commit in reversed(self.commits):
            if commit.name in below or commit.key in valid:
                below.update(commit.parents)
        return frozenset(below)

    def _is_admin_now(self, line: Signer) -> bool:
        return not line.is_node and not line.problem_at(self.moment)

    def _lists(self, commit: Commit) -> list[list[Signer]]:
        """The lines of the commit's key, in every list that counts for it."""
        above = [rules for rules in map(self.effective.__getitem__, commit.parents) if rules.signers]
        return [[line for line in _entries(rules) if line.key == commit.key] for rules in (*self.bases, *above)]

    def is_by_node(self, commit: Commit) -> bool:
        """Whether, in some list that counts, the key of this commit is only a node's; it has passed `lines_for`."""
        moment = self._moment_of(commit)
        lists = self._lists(commit)
        return not all(any(not line.is_node and not line.problem_at(moment) for line in lines) for lines in lists)

    def is_by_admin(self, commit: Commit) -> bool:
        """Whether, in each list that counts, the key of this commit is an admin's and valid now."""
        return all(any(map(self._is_admin_now, lines)) for lines in self._lists(commit))

    def _check_signature(self, commit: Commit) -> None:
        signature = commit.signature
        if not signature.kind:
            raise Untrusted(f"commit {commit.short} is not signed")
        if signature.kind != SSH:
            raise Untrusted(f"commit {commit.short} has a signature of {signature.kind}; only SSH signatures count")
        if not signature.key:
            raise Untrusted(f"commit {commit.short} has a signature that cannot be read")
        if signature.namespace != NAMESPACE:
            text = f"commit {commit.short} has a signature made for {shown(signature.namespace)}, not for git"
            raise Untrusted(text)

    def check_node(self, commit: Commit) -> None:
        """Given a commit that `is_by_node`, with its edits, raise Untrusted when it does more than a node's key may."""
        signer = self._lists(commit)[0][0]
        node = signer.principal.partition("@")[0]
        rules = [*self.bases, *map(self.effective.__getitem__, commit.parents)]
        for rule in rules:
            if rule.signers is not None and commit.key not in {line.key for line in rule.of(node)}:
                text = f"is signed by {signer.principal}, whose key belongs to no node of this mesh"
                raise Untrusted(f"commit {commit.short} {text}")
        who = f"commit {commit.short} is signed by {signer.principal}, who may not"
        if len(commit.parents) != 1:
            raise Untrusted(f"{who} {'merge' if commit.parents else 'begin a history'}")
        extra = frozenset[str].intersection(*(rule.rights.grants(node) for rule in rules))
        if problem := forbidden(node, commit.edits, extra):
            raise Untrusted(f"{who} {problem}")

    def _stranger(self, commit: Commit) -> str:
        """Who signed, when no list that counts has the key: perhaps a signer whom this very piece of history adds."""
        added = next(_adding(commit.key, self.commits, self.rules), None)
        if added:
            adder, signer = added
            if adder is commit:
                return f"{signer.principal}, whom only this commit itself adds"
            return f"{signer.principal}, whom commit {adder.short} adds: that counts from the next run on"
        known = next((s for base in self.bases for s in _entries(base) if s.key == commit.key), None)
        if known:
            return f"{known.principal}, whose key was removed"
        return f"a key that is not in {SIGNERS_FILE} ({key_fingerprint(commit.key)})"


def _adding(key: str, commits: Iterable[Commit], rules: Mapping[str, Rules]) -> Iterator[tuple[Commit, Signer]]:
    for commit in (commit for commit in commits if commit.parents and {commit.name, *commit.parents} <= rules.keys()):
        if not any(key in _keys(rules[name]) for name in commit.parents):
            yield from ((commit, signer) for signer in _entries(rules[commit.name]) if signer.key == key)


def _entries(rules: Rules) -> tuple[Signer, ...]:
    return rules.signers.entries if rules.signers else ()


def _keys(rules: Rules) -> frozenset[str]:
    return frozenset(signer.key for signer in _entries(rules))


def trust_anchor(
    good: Sequence[Commit], authorization: Authorization, bases: Sequence[str], problem: str | None
) -> str | None:
    """The last good commit of an admin that descends from a base, has a sound list, and forgets no removal of a key.

    What the keys of nodes have signed above it can be taken back: it is no ground to refuse another history.
    Preferably the one that the first ``problem`` builds upon: its list is what that commit may be waiting for.
    """
    known = authorization.by_name
    fit = [name for name in _fit(good, authorization, bases) if authorization.is_by_admin(known[name])]
    above = set(_admins_below(known[problem], authorization)) if problem and problem in known else set()
    preferred = [name for name in fit if name in above] or fit
    return preferred[-1] if preferred else (bases[0] if bases else None)


def _admins_below(commit: Commit, authorization: Authorization) -> Iterator[str]:
    """The parents of a commit; in place of a node's the admin's commit that it builds upon."""
    for name in commit.parents:
        while (parent := authorization.by_name.get(name)) and parent.parents and authorization.is_by_node(parent):
            name = parent.parents[0]
        yield name


def _fit(good: Sequence[Commit], authorization: Authorization, bases: Sequence[str]) -> Iterator[str]:
    removals: dict[str, frozenset[tuple[str, str]]] = {}
    for commit in good:
        removals[commit.name] = frozenset().union(
            *(removals.get(name, frozenset()) for name in commit.parents), _removals(commit, authorization)
        )
    everywhere = frozenset().union(*removals.values())
    on = set(bases)
    for commit in good:
        if bases and not on.intersection(commit.parents):
            continue
        on.add(commit.name)
        gone = authorization.revoked.union(key for _, key in everywhere - removals[commit.name])
        if authorization.is_sound(commit.name) and not gone & authorization.keys(commit.name):
            yield commit.name


def _removals(commit: Commit, authorization: Authorization) -> Iterator[tuple[str, str]]:
    for name in commit.parents:
        if authorization.effective[name].signers is not authorization.effective[commit.name].signers:
            yield from ((commit.name, key) for key in authorization.keys(name) - authorization.keys(commit.name))
