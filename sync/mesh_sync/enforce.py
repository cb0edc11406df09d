"""Make the interface match what this node should be, and remember it. Needs no git: also the whole of `up`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, frozen

from mesh_sync import state as states
from mesh_sync.device import Device
from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.files import write_atomically
from mesh_sync.keys import public_key, read_private_key
from mesh_sync.live import Live
from mesh_sync.node import Node
from mesh_sync.plan import Change, Context, plan
from mesh_sync.run import run
from mesh_sync.state import State
from mesh_sync.wanted import Owned, Wanted

HOOK_DEADLINE = 60.0
UNSURE = "?"
"""In `State.given`: an endpoint was about to be given, or a lost memory knew of it. Equal to no declared one."""


@frozen
class Done:
    """What was changed (or, in a dry run, would be), and what could not be done yet."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def acted(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.acted)


def difference(node: Node, wanted: Wanted, state: State, live: Live | None) -> tuple[Change, ...]:
    """The plan for this node, and what became of its wg0.conf: ``state`` says what is ours to take away."""
    context = Context(
        owned=owned(node, state, live),
        given=state.given,
        now=time.time(),
        remove_foreign=node.foreign_peers == "remove",
    )
    return (*plan(wanted, live, context), *_conf_drift(node, state))


def enforce(
    node: Node, device: Device, wanted: Wanted, before: State, after: State, live: Live | None, *, dry_run: bool = False
) -> Done:
    """Bring the interface from ``live`` to ``wanted`` and the memory from ``before`` to ``after``.

    Nothing to do costs no system call beyond reading wg0.conf. Interrupted anywhere, the next run converges: what
    is about to be ours is written down first, what was done last.
    """
    changes = difference(node, wanted, before, live)
    last = _last_known(wanted, before, live or Live())
    found = _endpoints(wanted, changes, last, live or Live())
    endpoints = {**found.stopgaps, **found.fresh}
    changes = tuple(change for change in changes if change.kind != "endpoint" or change.value in endpoints)
    kinds = {change.kind for change in changes}
    if "conf" in kinds and wanted != before.wanted and _is_written(node, wanted):  # by a run that was interrupted
        changes = tuple(change for change in changes if change.kind != "conf")
    stale_conf = "conf" in kinds or not before.conf or wanted != before.wanted
    hooks_due = bool(node.hooks.post_up) and (before.hooks_due or "interface-added" in kinds)
    done = Done(changes, found.notes)
    if dry_run:
        return done
    promised = evolve(
        before,
        owned=owned(node, before, live) | wanted.owned,
        given={**dict.fromkeys([*last, *endpoints], UNSURE), **before.given},
        hooks_due=hooks_due,
    )
    if done.acted or stale_conf:
        if promised != before or before.lost:
            states.save(node.state_file, promised)
        after = evolve(after, conf=_write_conf(node, wanted) if stale_conf else before.conf)
    if done.acted:
        device.apply(wanted, live, done.acted, lambda: private_key(node, wanted), endpoints)
    given = _given(wanted, promised, changes, found.fresh)
    resolved = {**last, **found.fresh}
    after = evolve(after, wanted=wanted, owned=wanted.owned, given=given, resolved=resolved, hooks_due=hooks_due)
    if after != before or before.lost:
        after = evolve(after, applied_at=time.time(), lost=False)
        states.save(node.state_file, after)
    if hooks_due:
        try:
            run_hooks(node.hooks.post_up, device)
        finally:
            states.save(node.state_file, evolve(after, hooks_due=False))
    return done


def private_key(node: Node, wanted: Wanted) -> str:
    """This node's private key, if it is the one the list means. Raise DeviceError otherwise."""
    key = read_private_key(node.private_key_file)
    if public_key(key) != wanted.public_key:
        raise DeviceError(f"{node.private_key_file} does not belong to the public key of {wanted.name} in the list")
    return key


def run_hooks(commands: Sequence[str], device: Device) -> None:
    """Run root's own commands, in order. Raise DeviceError at the first that fails."""
    for command in commands:
        device.note(f"hook: {command}")
        try:
            run(["sh", "-c", command], deadline=HOOK_DEADLINE, env={"INTERFACE": device.name, "HOME": "/root"})
        except CommandError as error:
            raise DeviceError(f"the hook {command!r} of node.toml: {error.message}") from None


def owned(node: Node, state: State, live: Live | None) -> Owned:
    """What is ours on the interface. Without a memory: what our wg0.conf names, and every address and route."""
    if state != State() and not state.lost:
        return state.owned
    text = _read_conf(node)
    if not state.lost and not _is_ours(text):
        return Owned()
    from mesh_sync import conf

    live = live or Live()
    return Owned(conf.public_keys(text), live.addresses, live.routes)


@frozen
class Endpoints:
    """Numeric endpoints by public key: ``fresh`` from names and literals, ``stopgaps`` from memory; and notes."""

    fresh: Mapping[str, str] = {}
    stopgaps: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()


def _endpoints(wanted: Wanted, changes: Sequence[Change], last: Mapping[str, str], live: Live) -> Endpoints:
    """What to feed the peers that get an endpoint now.

    After a reboot DNS may be down, or reachable only through the mesh: what a name stood for last serves until it
    answers again. It does not count as given, so that a peer that stays silent is resolved anew by each run.
    """
    keys = {change.value for change in changes if change.kind in ("peer-added", "endpoint")}
    peers = [peer for peer in wanted.peers if peer.public_key in keys and peer.endpoint]
    if not peers:
        return Endpoints()
    from mesh_sync.model import Endpoint
    from mesh_sync.resolve import choose, resolve

    declared = {peer.public_key: [Endpoint.parse(text) for text in peer.endpoint] for peer in peers}
    names = {endpoint.host for endpoints in declared.values() for endpoint in endpoints if not endpoint.address}
    answers = resolve(names)
    fresh: dict[str, str] = {}
    stopgaps: dict[str, str] = {}
    notes = []
    for peer in peers:
        key = peer.public_key
        endpoint, problem = choose(declared[key], answers, sorted(wanted.routes))
        if endpoint:
            fresh[key] = endpoint
        elif key in live.peers and live.peers[key].endpoint:
            notes.append(f"peer {peer.name} keeps the endpoint it has: {problem}")
        elif key in last:
            stopgaps[key] = last[key]
            notes.append(f"peer {peer.name} gets its last known endpoint, {last[key]}: {problem}")
        else:
            notes.append(f"peer {peer.name} has no endpoint yet: {problem}")
    return Endpoints(fresh, stopgaps, tuple(notes))


def _last_known(wanted: Wanted, before: State, live: Live) -> dict[str, str]:
    """What the declared endpoints stood for when they were last resolved, by public key; none if declared anew.

    Without a memory, what the kernel has.
    """
    if before.wanted is None:
        known = {peer.public_key: live.peers.get(peer.public_key) for peer in wanted.peers if peer.endpoint}
        return {key: peer.endpoint for key, peer in known.items() if peer and peer.endpoint}
    declared = {peer.public_key: peer.endpoint for peer in before.wanted.peers}
    same = {peer.public_key for peer in wanted.peers if declared.get(peer.public_key) == peer.endpoint}
    return {key: endpoint for key, endpoint in before.resolved.items() if key in same}


def _given(wanted: Wanted, promised: State, changes: Sequence[Change], endpoints: Mapping[str, str]) -> dict[str, str]:
    """The declared endpoints that the kernel was fed, up to now."""
    given = {key: promised.given[key] for key in (peer.public_key for peer in wanted.peers) if key in promised.given}
    declared = {peer.public_key: ", ".join(peer.endpoint) for peer in wanted.peers}
    for change in changes:
        if change.kind in ("peer-added", "endpoint-removed"):
            given.pop(change.value, None)
    return given | {key: declared[key] for key in endpoints}


def _write_conf(node: Node, wanted: Wanted) -> str:
    """Write wg0.conf, keeping aside one that somebody else wrote; return its digest."""
    from mesh_sync import conf

    text = conf.text(wanted, private_key(node, wanted))
    present = _read_conf(node)
    if present and not _is_ours(present):
        write_atomically(node.conf_file.with_suffix(".conf.before-mesh-sync"), present)
    if present != text or _is_open(node):
        write_atomically(node.conf_file, text)
    return states.digest(text)


def _conf_drift(node: Node, state: State) -> Iterator[Change]:
    """What somebody else did to the wg0.conf that was written last."""
    name, text = node.conf_file.name, _read_conf(node)
    if not state.conf or (states.digest(text) == state.conf and not _is_open(node)):
        return
    if not text:
        what = "is gone: written anew"
    elif states.digest(text) != state.conf:
        what = "is not what was written last: written anew"
    else:
        what = "could be read by others: closed to them"
    yield Change("conf", f"{name} {what}")


def _is_written(node: Node, wanted: Wanted) -> bool:
    from mesh_sync import conf

    return _read_conf(node) == conf.text(wanted, private_key(node, wanted)) and not _is_open(node)


def _is_ours(text: str) -> bool:
    from mesh_sync import conf

    return conf.MARK in text.partition("\n")[0]


def _is_open(node: Node) -> bool:
    return bool(node.conf_file.stat().st_mode & 0o077)


def _read_conf(node: Node) -> str:
    try:
        return node.conf_file.read_text(errors="replace")
    except OSError:
        return ""
