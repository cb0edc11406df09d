"""`mesh-sync doctor`: every check, each with a deadline, all at once; told in the order in which they end."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from threading import Thread
from typing import Any

from attrs import evolve, frozen

from mesh_sync.diagnose.check import Check, Seen, Subject
from mesh_sync.diagnose.clock import SYNCHRONISE, clock_troubles
from mesh_sync.diagnose.forward import forward_troubles, legacy_troubles, translation_troubles
from mesh_sync.diagnose.masquerade import masquerade_troubles
from mesh_sync.diagnose.other_tools import other_tools, services
from mesh_sync.diagnose.own_files import private_key, programs
from mesh_sync.diagnose.resolvers import resolvers
from mesh_sync.diagnose.routes import route_troubles
from mesh_sync.diagnose.trouble import ERROR, WARNING, Trouble
from mesh_sync.diagnose.uplink import families, path_sizes, port
from mesh_sync.errors import CommandError, MeshSyncError, Unreachable
from mesh_sync.findings import printable, some
from mesh_sync.node import clock as clocks
from mesh_sync.node import state as states
from mesh_sync.node.config import Node
from mesh_sync.node.desired import on_this_machine
from mesh_sync.reconcile.drift import difference
from mesh_sync.repository.git_command import public, trouble
from mesh_sync.repository.hosts import hosts
from mesh_sync.repository.remote import remotes
from mesh_sync.wireguard.families import possible
from mesh_sync.wireguard.protocol import is_alive
from mesh_sync.wireguard.read import read

OVERALL = 60.0
"""Seconds after which no check is waited for."""


@frozen
class Report:
    """How one check ended; ``seconds`` it took."""

    name: str
    seen: Seen
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "result": self.seen.result,
            "facts": list(self.seen.facts),
            "troubles": [found.as_json() for found in self.seen.troubles],
            "skipped": self.seen.skipped,
            "seconds": round(self.seconds, 3),
        }


def subject_of(node: Node) -> Subject:
    """What the checks are given. What root alone can read is missing for others."""
    is_root = os.geteuid() == 0
    state = states.load(node.state_file) if is_root else states.State()
    desired = on_this_machine(state.applied.desired, node) if state.applied.desired else None
    live = None
    if is_root:
        try:
            live = read(node.interface, node.sysctl_file, desired)
        except MeshSyncError:  # the check of the interface says why
            live = None
    return Subject(node, state, desired, live, clocks.read(node, state.applied), is_root)


def checks(node: Node) -> tuple[Check, ...]:
    """All of them, in the order of the JSON: first what the others stand on."""
    anyone: frozenset[str] = frozenset()
    return (
        Check("programs", programs, needs=anyone),
        Check("private key", private_key, needs=frozenset({"root"})),
        Check("clock", clock),
        Check("families", families, needs=anyone),
        Check("resolvers", names, needs=anyone),
        Check("git hosts", git_hosts, node.repository.deadline + 5.0, needs=frozenset({"root"})),
        Check("interface", interface),
        Check("other tools", other_tools, needs=anyone),
        Check("routes", routes),
        Check("forwarding", forwarding),
        Check("MTU", path_sizes, 30.0),
        Check("port", port),
        Check("services", services, needs=anyone),
    )


def examined(some_checks: Sequence[Check], subject: Subject, overall: float = OVERALL) -> Iterator[Report]:
    """Begin all checks at once and yield a report of each as it ends, at its deadline at the latest."""
    ended, began = queue.SimpleQueue[Report](), time.monotonic()
    for check in some_checks:
        Thread(target=_look, args=(check, subject, began, ended.put), daemon=True, name=check.name).start()
    ends = {check.name: began + min(check.deadline, overall) for check in some_checks}
    while ends:
        try:
            report = ended.get(timeout=max(0.0, min(ends.values()) - time.monotonic()))
        except queue.Empty:
            name = min(ends, key=lambda one: ends[one])
            seconds = time.monotonic() - began
            late = Trouble("deadline", f"the check did not end within {seconds:.0f} s", "run it again")
            report = Report(name, Seen(troubles=(late,)), seconds)
        if ends.pop(report.name, None) is not None:
            yield report


def _look(check: Check, subject: Subject, began: float, tell: Callable[[Report], None]) -> None:
    try:
        missing = check.missing(subject)
        seen = Seen(skipped=missing) if missing else check.look(subject)
    except MeshSyncError as error:
        seen = Seen(troubles=(Trouble("failed", error.message, error.hint),))
    except Exception as error:  # a defect: the other checks are told all the same
        text = printable(f"{type(error).__name__}: {error}")
        seen = Seen(troubles=(Trouble("defect", text, "this is a defect of mesh-sync; please report it"),))
    tell(Report(check.name, seen, time.monotonic() - began))


def worst(reports: Sequence[Report]) -> str:
    """`error`, `warning` or `ok`: of all checks together."""
    results = {report.seen.result for report in reports}
    return next((one for one in (ERROR, WARNING) if one in results), "ok")


# -- the checks that stand on more than `diagnose` knows


def clock(subject: Subject) -> Seen:
    """Whether the time is known, and what that leaves open."""
    applied = evolve(subject.state.applied, desired=subject.desired)
    found = tuple(clock_troubles(applied, subject.clock))
    if subject.clock.known is not None:
        trusted = subject.node.clock == "trusted"
        why = "node.toml trusts the clock" if trusted else "something keeps the clock right, or did since the boot"
        return Seen((f"the time is known: {why}",), found)
    fact = "nothing keeps the clock right, as far as the kernel knows"
    if subject.desired and subject.desired.has_dates and not found:
        text = f"{fact}: peers that expire stay until the next commit"
        found = (Trouble("clock-unsynchronised", text, SYNCHRONISE, WARNING),)
    return Seen(() if found else (fact + "; no peer expires, so that nothing depends on it",), found)


def names(subject: Subject) -> Seen:
    """Whether the nameservers answer, and know the hosts of remotes and peers."""
    return resolvers(subject, hosts(subject.node.repository.urls))


def git_hosts(subject: Subject) -> Seen:
    """Whether each remote has the branch."""
    node = subject.node
    remote, branch = remotes(node), node.repository.branch
    facts, failed = list[str](), list[Trouble]()
    for url in node.repository.urls:
        began, seconds = time.monotonic(), node.repository.deadline / len(node.repository.urls)
        try:
            commit = remote.newest(url, branch, seconds)
            problem = "" if commit else f"has no branch {branch!r}"
        except CommandError as error:
            commit, problem = None, trouble(error)
        except Unreachable as error:
            commit, problem = None, error.message
        if commit:
            facts.append(f"{public(url)}: {branch} is {commit[:10]}, in {time.monotonic() - began:.1f} s")
        else:
            fix = f"GIT_TERMINAL_PROMPT=0 git ls-remote {public(url)} {branch}"
            failed.append(Trouble("git-host", f"{public(url)} {problem}", fix, WARNING if facts else ERROR))
    severity = WARNING if facts else ERROR
    return Seen(tuple(facts), tuple(evolve(found, severity=severity) for found in failed))


def interface(subject: Subject) -> Seen:
    """Whether the interface is there as the applied state says, and who has a session."""
    node, desired, live = subject.node, subject.desired, subject.live
    assert desired
    if live is None:
        read(node.interface, node.sysctl_file, desired)  # raises what keeps it from being read
        return Seen(troubles=(Trouble("interface", f"{node.interface} is not there", "mesh-sync up"),))
    drift = [change for change in difference(node, desired, subject.state, live) if change.acted]
    alive = sum(is_alive(peer.handshake, subject.clock.wall) for peer in live.peers.values())
    facts = (f"{node.interface} is up; {alive:,} of {len(desired.peers):,} peers have a session",)
    found = [Trouble("drift", f"{node.interface} has drifted: {some([change.text for change in drift], '; ')}",
                     "mesh-sync now", WARNING)] if drift else []  # fmt: skip
    if refusal := subject.state.remote.refusal:
        text = f"the newest commit is refused: {refusal.message}"
        found.append(Trouble("refused", text, "mesh-sync now; mesh-sync check in the mesh repository", WARNING))
    if bad := subject.state.remote.bad:
        found.append(Trouble("rolled-back", bad.message, "push a newer commit, or: mesh-sync now --retry", WARNING))
    return Seen(facts, tuple(found))


def routes(subject: Subject) -> Seen:
    """Whether packets to every peer and subnet go into the tunnel."""
    assert subject.desired
    desired = possible(subject.desired, subject.node.interface)
    found = tuple(route_troubles(desired, subject.node.interface, subject.live))
    return Seen(() if found else ("packets to every peer and subnet go into the tunnel",), found)


def forwarding(subject: Subject) -> Seen:
    """Whether what this node forwards passes the firewalls of others."""
    name = subject.node.interface
    assert subject.desired
    desired = possible(subject.desired, name)
    own = (*masquerade_troubles(subject.node), *translation_troubles(desired, routes=subject.node.gateway is not None))
    if not desired.passages:
        return Seen(() if own else ("this node forwards nothing",), own)
    found = (*own, *forward_troubles(desired, name, subject.live), *legacy_troubles(desired, name))
    return Seen(() if found else (f"nothing drops what is forwarded: {some(sorted(desired.passages))}",), found)
