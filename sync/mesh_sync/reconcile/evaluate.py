"""From a commit that a remote offers to the state that it asks of this node, or to a refusal that says why not.

The commit is fetched, its history verified, its files checked, the guard asked, and this node's interface rendered.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial

from attrs import evolve, frozen

from mesh_sync.errors import CommandError, MeshSyncError, Reason, Refused, Unreachable
from mesh_sync.findings import Finding, printable
from mesh_sync.mesh import manifest
from mesh_sync.mesh.model import Guard, Mesh
from mesh_sync.node.clock import Clock
from mesh_sync.node.config import Node
from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.node.state import Held, Refusal, State
from mesh_sync.reconcile.decision import rests, wait
from mesh_sync.reconcile.derive import interface, left, mesh_at
from mesh_sync.reconcile.own_name import own_name
from mesh_sync.reconcile.promise import accepted, accepted_below, heard, held, refused, worked_out
from mesh_sync.reconcile.verdict import Verdict, stay
from mesh_sync.repository.git_command import public, raise_if_local
from mesh_sync.repository.git_objects import GitObjects, tree_at
from mesh_sync.repository.remote import Head, Remote
from mesh_sync.system.shell_words import quote
from mesh_sync.trust import git_history, guard_history
from mesh_sync.trust.descent import below_nodes
from mesh_sync.trust.guard import REMOVE, remembered, standing
from mesh_sync.trust.verify_history import own_signers, verify_history
from mesh_sync.wireguard.desired import Desired

Note = Callable[[str], None]


def evaluate(node: Node, before: State, head: Head, remote: Remote, clock: Clock, note: Note) -> Verdict:
    """Given the head that a remote offers, return what it asks of this node; else what is kept, and why. Fetches it.

    The fingerprint is taken first: what root changes on this node meanwhile has the next run look again.
    """
    known, present = heard(before, head.commit, clock.wall), fingerprint(node)
    try:
        found = _look(node, known, head, remote, clock, note)
    except Unreachable as error:
        return stay(node, heard(before, None, clock.wall), error, remote, clock)
    except MeshSyncError as error:  # this machine is at fault
        return stay(node, known, error, remote, clock)
    except Exception as error:  # a defect, met by what a remote sent: what was confirmed last is enforced all the same
        text = f"commit {head.commit[:10]} cannot be evaluated: {type(error).__name__}: {error}"
        problem = MeshSyncError(printable(text), hint="this is a defect of mesh-sync; please report it")
        return stay(node, known, problem, remote, clock)
    if isinstance(found.result, Desired):
        if waiting := _waiting(node, found.known, found.commit, found.rollout, remote.bare.objects, clock.wall):
            known = evolve(found.known, remote=evolve(found.known.remote, commit=found.commit))
            return _hold(node, known, waiting, None, remote, clock)
        after = accepted(found.known, found.commit, present, found.result)
        after = worked_out(after, clock.counts(found.dated), found.dated)
        notes = (*_rewritten(found.known, found.commit, remote.bare.objects), *_renamed(node, before, found.result))
        return Verdict(after, None, found.findings, notes)
    return _refuse(node, before, found, found.result, present, remote, clock, note)


def _refuse(
    node: Node,
    before: State,
    found: _Looked,
    problem: Refused,
    present: str,
    remote: Remote,
    clock: Clock,
    note: Note,
) -> Verdict:
    """Do not accept the commit; take the admin's below it, where nodes have signed everything above that one."""
    note(f"refused {found.commit[:10]}")
    lasts = present if problem.lasting else ""
    trusted = before.remote.trusted
    refusal = Refusal(found.commit, problem.message, problem.findings, lasts, trusted.commit if trusted else None)
    at = clock.latest(before.last_confirmed.dated).at if lasts else None
    refusal = evolve(refusal, at=at, cause=problem.cause.value)
    kept = refused(found.known, refusal)
    with suppress(MeshSyncError):
        if commit := _below(node, kept, found.commit, remote.bare.objects, clock.wall):
            dated = git_history.date_of(remote.bare.objects, commit)
            moment = clock.counts(dated)
            desired, findings, rollout = _asked(node, kept, commit, remote, remote.bare.objects, moment.date)
            if waiting := _waiting(node, kept, commit, rollout, remote.bare.objects, clock.wall):
                kept = refused(found.known, evolve(refusal, fingerprint="", at=None))  # it is looked at again
                return _hold(node, kept, waiting, problem, remote, clock)
            after = worked_out(accepted_below(kept, commit, present, desired), moment, dated)
            return Verdict(after, problem, (*problem.findings, *findings))
    return stay(node, kept, problem, remote, clock)


def _below(node: Node, known: State, head: str, repository: GitObjects, moment: float) -> str | None:
    """The newest commit of an admin, if only nodes' are above it in the history of ``head`` and it is news here."""
    anchor, bad, applied = known.remote.trusted, known.remote.bad, known.applied.commit
    if not anchor or known.intent.pause:
        return None
    if bad and (bad.commit, bad.fingerprint) == (anchor.commit, fingerprint(node)) and rests(bad, moment):
        return None
    if (applied and repository.descends(applied, anchor.commit)) or not below_nodes(repository, head, anchor.commit):
        return None
    return anchor.commit


@frozen
class _Looked:
    """What the look at a commit came to; ``known`` has what is trusted now. ``rollout``: the mesh that says who goes
    first; ``dated``: see `Applied`.
    """

    commit: str
    known: State
    result: Desired | Refused
    findings: tuple[Finding, ...] = ()
    rollout: Mesh | None = None
    dated: float | None = None


def _look(node: Node, known: State, head: Head, remote: Remote, clock: Clock, note: Note) -> _Looked:
    """Fetch the head's commit and look at it, twice if the bare copy is damaged: it is only a copy."""
    for fresh in (False, True):
        try:
            commit = _fetched(head, known, remote, note)
            return _judged(node, known, commit, remote, clock, note, fresh=fresh)
        except Refused as problem:
            return _Looked(head.commit, known, problem)
        except CommandError as error:
            raise_if_local(error)
            if fresh:
                raise Unreachable(f"commit {head.commit[:10]} cannot be read: {error.message}") from None
            remote.bare.discard()
    raise AssertionError("the second look returns or raises")


def _fetched(head: Head, known: State, remote: Remote, note: Note) -> str:
    """Have the head's commit in the bare copy; if the branch moved on meanwhile, the commit it moved to.

    What is returned is what is verified and what is read: no name is looked up a second time.
    """
    if remote.bare.objects.has(head.commit) and remote.bare.is_whole():
        return head.commit
    note(f"git fetch {quote(public(head.url))}")
    anchors = {"trusted": known.remote.trusted, "anchor": known.applied.anchor}
    kept = {name: anchor.commit for name, anchor in anchors.items() if anchor}
    remote.bare.keep(applied=known.applied.commit, verified=known.remote.verified, **kept)
    return remote.fetch(head.url)


def _judged(node: Node, known: State, commit: str, remote: Remote, clock: Clock, note: Note, *, fresh: bool) -> _Looked:
    """Judge a commit that the bare copy has: trusted, right, meant. Raise CommandError when the copy is damaged.

    ``fresh``: the copy has just been made, so what is missing in it is nowhere.
    """
    repository = remote.bare.objects
    trusted = known.remote.trusted
    needed = (trusted and trusted.commit, known.applied.commit)
    if not fresh and (gone := [name for name in needed if name and not repository.has(name)]):
        text = f"commit {gone[0]} is missing in {remote.bare.place}"
        raise CommandError(text, program="git", reason=Reason.BAD_OUTPUT)
    if node.trust.mode == "signed":
        moment = clock.latest(known.last_confirmed.dated).date
        known, problem = verify_history(node, known, commit, repository, note, moment)
        if problem:
            return _Looked(commit, known, problem)
    anchor = known.remote.trusted if node.trust.mode == "signed" else None  # a node's own dates decide nothing
    dated = git_history.date_of(repository, anchor.commit if anchor else commit)
    try:
        found = _asked(node, known, commit, remote, repository, clock.counts(dated).date)
        return _Looked(commit, known, *found, dated)
    except Refused as problem:
        return _Looked(commit, known, problem)


def _asked(
    node: Node, known: State, commit: str, remote: Remote, repository: GitObjects, moment: datetime
) -> tuple[Desired, tuple[Finding, ...], Mesh | None]:
    """This node's interface at ``commit``, the warnings, and the mesh before it, None on a node that has none. Raise
    Refused when its files are wrong or not meant.
    """
    tree = tree_at(repository, commit)
    mesh, findings = mesh_at(tree, commit, moment)
    name = own_name(node, mesh, commit, repository)
    present, applied = known.applied, None
    if present.desired and present.commit:
        own = own_signers(node) if node.trust.mode == "signed" else None
        base = present.commit if repository.has(present.commit) else None
        if own and base and not repository.descends(commit, base):
            base = repository.fork(commit, base)  # what only nodes have signed is taken back, and needs no leave
        applied = _mesh(remote, base or present.commit)
        was = own_name(node, applied, base or present.commit, repository) if applied else name
        before = standing(applied, was, moment) if applied else remembered(present.desired)
        most = (applied.guard if applied else Guard()).max_removed_peers
        allowed = guard_history.check(
            before, base, most, (commit, mesh), moment, repository, partial(tree_at, repository), own
        )
        if REMOVE in allowed or not (_has(applied, was) or _has(mesh, name)):
            return left(present.desired), findings, applied
    return interface(tree, mesh, evolve(node, name=name), commit, moment, findings), findings, applied


def _waiting(
    node: Node, known: State, commit: str, before: Mesh | None, objects: GitObjects, moment: float
) -> Held | None:
    """Whether a commit that was accepted waits for those that go first; the list ``before`` it says who they are, so
    that no commit excuses itself.
    """
    canaries = before.canaries if before else frozenset()
    desired = known.last_confirmed.desired
    if before is None or not canaries or desired is None or desired.name in canaries:
        return None
    if commit in (known.last_confirmed.commit, known.applied.commit):  # it had its turn
        return None
    waiting = wait(known.remote.held, commit, before.rollout.wait, moment)
    if waiting is None:
        return None
    from mesh_sync.reconcile.canaries import have_confirmed  # dnspython, of which few meshes have need here

    return None if have_confirmed(node, known, canaries, commit, objects) else waiting


def _hold(node: Node, known: State, waiting: Held, problem: Refused | None, remote: Remote, clock: Clock) -> Verdict:
    """Stay at what was confirmed last, and remember since when the commit waits."""
    verdict = stay(node, held(known, waiting), problem, remote, clock)
    text = f"commit {waiting.commit[:10]} waits for the nodes that apply it first ([rollout] of mesh.toml)"
    return evolve(verdict, notes=(*verdict.notes, text))


def _mesh(remote: Remote, commit: str) -> Mesh | None:
    """The applied mesh, None when its commit is gone: a branch that was rewritten, and a copy that was lost."""
    try:
        return manifest.read(tree_at(remote.bare.objects, commit).manifests)[0]
    except CommandError:
        return None


def _has(mesh: Mesh | None, name: str) -> bool:
    """Whether the mesh has the node, be it expired or cut off."""
    return mesh is None or (name in mesh.peers and mesh.peers[name].enabled)


def _renamed(node: Node, before: State, desired: Desired) -> tuple[str, ...]:
    """What to do about a new name, said once."""
    known = before.applied.desired
    if desired.name == node.name or (known and known.name == desired.name):
        return ()
    return (f'the list calls this node {desired.name} now: write name = "{desired.name}" in node.toml',)


def _rewritten(known: State, commit: str, repository: GitObjects) -> tuple[str, ...]:
    before = known.applied.commit
    if before is None or not repository.has(before) or repository.descends(commit, before):
        return ()
    return (f"the branch was rewritten: {commit[:10]} does not descend from {before[:10]}",)
