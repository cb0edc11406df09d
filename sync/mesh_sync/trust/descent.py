"""Where a commit that a node knows is in another history: itself, or the same with another spelling of its signature.

An ECDSA signature (r, s) is as good as (r, n-s), so that anyone can make a twin of a signed commit, with another hash.
To its signer both are one commit, and so they are here.
"""

from __future__ import annotations

from mesh_sync.mesh.tree import MAX_FILE
from mesh_sync.node.state import Anchor
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import signature
from mesh_sync.trust.authorization import Commit
from mesh_sync.trust.commit_signature import is_signed
from mesh_sync.trust.git_history import commit_at, commits, rules, signed_at
from mesh_sync.trust.signers import Signers

FAR = 10_000
"""Commits of nodes in a row that are looked through for one of an admin."""


def position(repository: GitObjects, anchor: Anchor, head: str, own: Signers) -> str | None:
    """The commit in ``head``'s history that is ``anchor``, None if there is none. ``own``: the node's own signers, who
    count where no list is.
    """
    if repository.descends(head, anchor.commit):
        return anchor.commit
    known = commit_at(repository, anchor.commit) if repository.has(anchor.commit) else None
    signed = anchor.signed or (known.signed if known else "")
    if not signed:
        return None
    before = known.parents if known else ()
    twins = (one for one in commits(repository, head, before) if one.signed == signed)
    return next((twin.name for twin in twins if _is_signed(repository, twin, own)), None)


def anchor_at(repository: GitObjects, commit: str) -> Anchor:
    """What a node remembers of a commit that it trusts."""
    return Anchor(commit, signed_at(repository, commit))


def admins_commit(repository: GitObjects, commit: str, signers: Signers) -> str:
    """The newest commit at or below ``commit`` that is not one node's alone, by the list that all of them share."""
    admins = {signer.key for signer in signers.admins}
    nodes = {signer.key for signer in signers.entries} - admins
    words = ("rev-list", "--first-parent", "--parents", f"--max-count={FAR}", commit)
    line = [names.split() for names in repository.git(*words).decode().split("\n")[:-1]]
    texts = dict(repository.contents([name for name, *_ in line], MAX_FILE))
    for name, *parents in line:
        if len(parents) != 1 or signature.read(texts[name] or b"").key not in nodes:
            return name
    return line[-1][0]


def below_nodes(repository: GitObjects, head: str, commit: str) -> bool:
    """Whether everything above ``commit``, up to ``head``, claims to be signed by nodes of the list there."""
    [known] = rules(repository, [commit]).values()
    return known.signers is not None and admins_commit(repository, head, known.signers) == commit


def _is_signed(repository: GitObjects, commit: Commit, own: Signers) -> bool:
    """Whether a signer of each list before it has signed the commit."""
    lists = [found.signers or own for found in rules(repository, commit.parents).values()] or [own]
    lines = [[line for line in signers.entries if line.key == commit.key] for signers in lists]
    return all(lines) and is_signed(repository, commit, tuple(lines[0]))
