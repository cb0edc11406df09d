"""`mesh-sync rotate-key`: this node changes its key, and nobody loses it.

The list and the key files say how far a rotation has come, so that the command can be ended anywhere and run again:

    listed key     next key in the list   held
    OLD            -                      OLD    begin: make the next key, publish it, wait for the others, switch
    OLD            NEW                    OLD    published: wait for the others, switch
    OLD            NEW                    NEW    switched: confirm, publish the end
    NEW            -                      NEW    over
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from attrs import frozen

from mesh_sync.check.examine import examine
from mesh_sync.errors import ConfigError, Locked, MeshSyncError, Unreachable
from mesh_sync.membership.key_switch import confirm, forget, switch
from mesh_sync.membership.push import Copy, copied, until_pushed
from mesh_sync.membership.signed_commit import signed
from mesh_sync.membership.wait_for_peers import Others, others, wait_for
from mesh_sync.mesh.layout import PEERS
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.mesh.peer_file import edited
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import KeyFiles
from mesh_sync.reconcile.run import run_now
from mesh_sync.repository.bare_copy import BareCopy
from mesh_sync.system.lock import locked
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.keys import read_private_key

T = TypeVar("T")
Say = Callable[[str], None]


@frozen(kw_only=True)
class Request:
    """``wait``: seconds for which the others may take to prepare; ``force``: then switch all the same."""

    wait: float
    force: bool


def rotate_key(node: Node, request: Request, note: Say) -> str:
    """Do all that is left to do; return the key that this node runs now.

    Raise MeshSyncError (1) when somebody is not prepared, this node is paused, or may not sign; RolledBack (5) when
    nobody answers under the new key; and Unreachable (3), Refused (4), DeviceError (6) for what they say.
    """
    with locked(node.run_lock_file.with_suffix(".rotation.lock"), 0):
        files = KeyFiles(node.private_key_file)
        peer = _listed(node)
        if files.public not in (peer.public_key, peer.next_public_key):
            text = f"{peer.file} has another public key than {files.held} belongs to"
            raise ConfigError(text, hint="correct the list, or put the private key that it names there")
        if files.public == peer.public_key and not peer.next_public_key and files.is_on_trial:
            note("the list has the new key already")
        else:
            if files.public == peer.public_key:
                _change_over(node, files, peer, request, note)
            else:
                note("this machine runs its next key already")
                _follow(node, files.public)
            if names := confirm(node, files):
                note(f"answers under the new key: {', '.join(names)}")
            _publish(node, {"public_key": files.public}, ["next_public_key"], "runs its new key", note)
        forget(node, files)
        outcome = run_now(node)
        if outcome.problem:
            raise outcome.problem
        return files.public


def _change_over(node: Node, files: KeyFiles, peer: Peer, request: Request, note: Say) -> None:
    next_key = files.make_next()
    if peer.next_public_key != next_key:
        _publish(node, {"next_public_key": next_key}, [], "announces its next key", note)
    desired = _follow(node, files.public, next_key)
    missing = wait_for(lambda: _others(node), read_private_key(files.next), desired.listen_port, request.wait, note)
    if missing and not request.force:
        text = f"the key stays as it is; not prepared within {request.wait:g} s: {', '.join(missing)}"
        hint = "run it again when they are back, it goes on from here; --force leaves them behind"
        raise MeshSyncError(text, hint=hint)
    if missing:
        note(f"not prepared, and without a tunnel to this node until they pull the list: {', '.join(missing)}")
    if unmanaged := _others(node).unmanaged:
        note(f"to be exported anew, they know only the old key: {', '.join(unmanaged)}")
    switch(node, files, next_key)
    note("switched: this machine runs its next key")


def _follow(node: Node, held: str, other: str = "") -> Desired:
    """Have this node accept the list that names both its keys: what it refuses others would refuse too."""
    outcome = run_now(node)
    desired = states.load(node.state_file).applied.desired
    if desired and desired.public_key == held and other in ("", desired.other_key):
        return desired
    text = "this node has not applied the list that names its next key"
    raise outcome.problem or MeshSyncError(text, hint="`mesh-sync status` says why: perhaps it is paused")


def _others(node: Node) -> Others:
    """Who has a tunnel with this node, by the newest list that it accepts and can get."""
    with suppress(Locked):  # then another run does it
        run_now(node)
    commit = states.load(node.state_file).applied.commit
    bare = BareCopy(node.bare_repository, node.repository.max_size)
    mesh, _ = examine(bare.tree(commit or "HEAD"), datetime.now(UTC))
    if mesh is None:
        raise MeshSyncError(f"commit {commit} cannot be read any more", hint="mesh-sync now")
    return others(mesh, node.name)


def _listed(node: Node) -> Peer:
    peer = _mesh(node).peers.get(node.name)
    if peer is None:
        raise ConfigError(f"{node.name} is not in the list", hint="mesh-sync join puts it there")
    return peer


def _mesh(node: Node) -> Mesh:
    return _at_the_first(node, lambda url: _read(node, url))


def _read(node: Node, url: str) -> Mesh:
    with copied(node.repository, url) as copy:
        return copy.mesh()


def _caught_up(node: Node) -> None:
    """Raise when this node does not follow the newest list: nothing is pushed on top of what it does not take."""
    outcome = run_now(node)
    if outcome.problem:
        raise outcome.problem
    if states.load(node.state_file).intent.pause:
        text = f"{node.name} is paused; nothing was pushed"
        raise MeshSyncError(text, hint="`mesh-sync resume`, then run it again")


def _publish(node: Node, values: Mapping[str, str], unset: Iterable[str], what: str, note: Say) -> None:
    """Change keys of this node's own file in the list; nothing is pushed when it says so already."""
    path = f"{PEERS}{node.name}.toml"

    def edit(copy: Copy) -> None:
        before = copy.tree().texts[path].decode()
        text = edited(before, values, unset)
        if text == before:
            return
        commit = signed(node, copy, path, text, what)
        keys = "; ".join(f'{key} = "{value}"' for key, value in values.items())
        hint = f"if this machine may not push there, have somebody set {keys} in {path}, and run it again"
        copy.push(commit, node.repository.branch, hint)
        note(f"pushed {path}: {node.name} {what}")

    def work(url: str) -> None:
        with copied(node.repository, url, whole=node.trust.mode == "signed") as copy:
            edit(copy)

    _caught_up(node)
    _at_the_first(node, lambda url: until_pushed(lambda: work(url), url, note))


def _at_the_first(node: Node, work: Callable[[str], T]) -> T:
    """Do it with the first remote that answers. Raise Unreachable when none does."""
    problems = []
    for url in node.repository.urls:
        try:
            return work(url)
        except Unreachable as error:
            problems.append(error)
    hint = next((problem.hint for problem in problems if problem.hint), "")
    raise Unreachable("; ".join(problem.message for problem in problems), hint=hint)
