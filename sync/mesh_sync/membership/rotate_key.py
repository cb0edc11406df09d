"""`mesh-sync rotate-key`: this node changes its key, and no peer loses its tunnel.

The list and the key files say how far a rotation has come, so the command can be killed anywhere and run again:

    listed key     next key in the list   held
    OLD            -                      OLD    begin: make the next key, publish it, wait for the others, switch
    OLD            NEW                    OLD    published: wait for the others, switch
    OLD            NEW                    NEW    switched: confirm, publish the end
    NEW            -                      NEW    over
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from attrs import evolve

from mesh_sync.check.examine import examine
from mesh_sync.errors import ConfigError, Locked, MeshSyncError, Unreachable
from mesh_sync.membership.key_switch import confirm, forget, switch
from mesh_sync.membership.publish import Change, NeedsAdmin, checked, publish
from mesh_sync.membership.wait_for_peers import REFRESH, Neighbours, neighbours, wait_for_peers
from mesh_sync.mesh.edit_toml import edited
from mesh_sync.mesh.layout import SIGNERS_FILE, peer_path
from mesh_sync.mesh.model import Peer
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.own_keys import KeyFiles
from mesh_sync.reconcile.run import run_now
from mesh_sync.repository.fresh_copy import FreshCopy, Note, with_fresh_copy
from mesh_sync.repository.git_objects import GitObjects, tree_at
from mesh_sync.system.lock import locked
from mesh_sync.trust.ssh_keys import public_half
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.keys import read_private_key

T = TypeVar("T")


def rotate_key(node: Node, *, wait: float, force: bool, note: Note) -> str:
    """Do all that is left to do; return the key that this node runs now.

    ``wait``: seconds that canaries, and then the other nodes, may take; ``force``: then switch even if some have not.

    Raise MeshSyncError (1) when a peer is not prepared, this node is paused, or may not sign; RolledBack (5) when no
    peer answers under the new key; and Unreachable (3), Refused (4), DeviceError (6).
    """
    with locked(node.run_lock_file.with_suffix(".rotation.lock"), 0):
        files = KeyFiles(node.private_key_file)
        peer = _at_the_first(node, lambda url: with_fresh_copy(node.repository, url, partial(_listed, node)))
        if files.public == peer.public_key and not peer.next_public_key and files.is_on_trial:
            note("the list has the new key already")
        else:
            if files.public == peer.public_key:
                _switch_over(node, files, peer, wait, force, note)
            else:
                note("this machine runs its next key already")
                _follow(node, files.public, wait, note)
            if names := confirm(node, files):
                note(f"answers under the new key: {', '.join(names)}")
            _publish(node, {"public_key": files.public}, ["next_public_key"], "runs its new key", note)
        if problem := run_now(node).problem:  # first: what an admin has sealed to the old key meanwhile is opened by it
            raise problem
        forget(node, files)
        return files.public


def _switch_over(node: Node, files: KeyFiles, peer: Peer, wait: float, force: bool, note: Note) -> None:
    next_key = files.make_next()
    if peer.next_public_key != next_key:
        _publish(node, {"next_public_key": next_key}, [], "announces its next key", note)
    desired = _follow(node, files.public, wait, note, next_key)
    key = read_private_key(files.next)
    missing = wait_for_peers(lambda: _neighbours(node), key, desired.listen_port, wait, note)
    if missing and not force:
        text = f"the key stays as it is; not prepared within {wait:g} s: {', '.join(missing)}"
        hint = "run it again when they are back: it continues from here; --force leaves them behind"
        raise MeshSyncError(text, hint=hint)
    if missing:
        note(f"not prepared, and without a tunnel to this node until they pull the list: {', '.join(missing)}")
    if unmanaged := _neighbours(node).unmanaged:
        note(f"to be exported again, they know only the old key: {', '.join(unmanaged)}")
    switch(node, files, next_key)
    note("switched: this machine runs its next key")


def _follow(node: Node, held: str, wait: float, note: Note, other: str = "") -> Desired:
    """Have this node apply the list that names both its keys: what it refuses, others would refuse too.

    Where others apply a commit first, that takes a while: at most ``wait`` seconds.
    """
    end = time.monotonic() + wait
    while True:
        outcome, state = run_now(node), states.load(node.state_file)
        desired = state.applied.desired
        if desired and desired.public_key == held and other in ("", desired.other_key):
            return desired
        if outcome.problem or not state.remote.held or time.monotonic() >= end:
            break
        note("waiting for the nodes that apply a commit first")
        time.sleep(REFRESH)
    text = "this node has not applied the list that names its next key"
    hint = "`mesh-sync status` says why: perhaps it is paused, or waits for the canaries"
    raise outcome.problem or MeshSyncError(text, hint=hint)


def _neighbours(node: Node) -> Neighbours:
    """The peers that have a tunnel with this node, by the newest list that it can fetch and accepts."""
    with suppress(Locked):  # then another run does it
        run_now(node)
    commit = states.load(node.state_file).applied.commit
    mesh, _ = examine(tree_at(GitObjects(node.bare_repository), commit or "HEAD"), datetime.now(UTC))
    if mesh is None:
        raise MeshSyncError(f"commit {commit} can no longer be read", hint="mesh-sync now")
    return neighbours(mesh, _name(node))


def _listed(node: Node, copy: FreshCopy) -> Peer:
    """What the list says of this node. Of one that was renamed it is the peer with the key that it runs.

    Raise ConfigError when it is not in the list, or has another key there: then that is not to be changed from here.
    """
    file, peers = node.private_key_file, checked(copy).peers
    key, named = KeyFiles(file).public, peers.get(_name(node))
    peer = next((one for one in (named, *peers.values()) if one and key in one.keys), None)
    if peer:
        return peer
    if named is None:
        raise ConfigError(f"{_name(node)} is not in the list", hint="mesh-sync join puts it there")
    text = f"{named.file} has another public key than {file} belongs to"
    raise ConfigError(text, hint="correct the list, or put the private key that it names there")


def _name(node: Node) -> str:
    """What the applied list calls this node."""
    return states.load(node.state_file).called(node.name)


def _publish(node: Node, values: Mapping[str, str], unset: Iterable[str], what: str, note: Note) -> None:
    """Change keys of this node's own file in the list; nothing is pushed when it says so already."""
    if problem := run_now(node).problem:  # nothing is pushed on top of a list that this node refuses
        raise problem

    def work(copy: FreshCopy) -> None:
        listed = _listed(node, copy)  # each time: what came first may have renamed it, or taken its key away
        before = copy.tree.texts[listed.file].decode()
        text = edited(before, values, unset)
        if text == before:
            return
        change = own_change(evolve(node, name=listed.name), copy, text, what, values)
        publish(copy, change, node.repository.branch)
        note(f"pushed {listed.file}: {listed.name} {what}")

    if states.load(node.state_file).intent.pause:
        text = f"{_name(node)} is paused; nothing was pushed"
        raise MeshSyncError(text, hint="`mesh-sync resume`, then run it again")
    whole = node.trust.mode == "signed"
    _at_the_first(node, lambda url: with_fresh_copy(node.repository, url, work, note, whole=whole))


def own_change(node: Node, copy: FreshCopy, text: str, what: str, values: Mapping[str, str]) -> Change:
    """The change of this node's own file to ``text``. Raise NeedsAdmin when it cannot be signed."""
    path = peer_path(node.name)
    keys = "; ".join(f'{key} = "{value}"' for key, value in values.items())
    signing_key = _signing_key(node, copy)
    return Change(
        node=node.name,
        path=path,
        text=text,
        message=what,
        signing_key=signing_key,
        if_not_listed=_by_admin(node, copy, public_half(signing_key)) if signing_key else "",
        if_refused=f"a node's key may not change that; have an admin set {keys} in {path}, and run it again",
        if_not_taken=f"if this machine may not push there, have an admin set {keys} in {path}, and run it again",
    )


def _signing_key(node: Node, copy: FreshCopy) -> Path | None:
    """The file of the key to sign with; None where commits are not signed. Raise NeedsAdmin when it is missing."""
    file = node.signing_key_file
    if file.exists():
        return file
    if SIGNERS_FILE not in copy.tree.texts and node.trust.mode == "none":
        return None
    hint = f"make one, here:\n  ssh-keygen -q -t ed25519 -N '' -f {file}\n  then "
    hint += _by_admin(node, copy, f"<the line in {file}.pub>")
    raise NeedsAdmin(f"{file} does not exist, and commits have to be signed here", hint=hint)


def _by_admin(node: Node, copy: FreshCopy, key: str) -> str:
    command = f"mesh-sync signer add {node.name}@node.{checked(copy).name} '{key}' --commit"
    return f"an admin adds it, in a working copy of the list, and pushes:\n  {command}\n  then run it again, here"


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
