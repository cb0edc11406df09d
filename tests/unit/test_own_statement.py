"""What a node's nameserver says of the node itself: made when it is asked for, signed, and kept for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest
from attrs import evolve

from mesh_sync.errors import Cause, Locked, MeshSyncError, Refused
from mesh_sync.fleet.ask import said as read_answer
from mesh_sync.fleet.verify import Signature, heard
from mesh_sync.node import last_run, own_signature
from mesh_sync.node import state as states
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.last_run import LastRun
from mesh_sync.node.state import Held, Intent, Pause, Remote
from mesh_sync.node.statement import NotDirect, Peers
from mesh_sync.reconcile import run as running
from mesh_sync.system.lock import locked
from mesh_sync.trust import signers, ssh_keys
from mesh_sync.wireguard.desired import Desired
from mesh_watchdog.journal import Problems
from mesh_watchdog.mesh_dns import own_statement
from mesh_watchdog.mesh_dns.answers import TCP_SIZE, answer, packed
from mesh_watchdog.mesh_dns.own_statement import OwnStatement, peers
from mesh_watchdog.mesh_dns.responder import Responder
from mesh_watchdog.mesh_dns.views import Views
from mesh_watchdog.policy.crowd import LARGE
from mesh_watchdog.policy.peer import MISSING, NEW, SEARCHING, SUSPECT, UP, PeerState
from mesh_watchdog.policy.relayed import Carried, Relaying
from mesh_watchdog.policy.state import State
from unit.mesh_in_dns import AZURE, DECLARED, GCP, PHONE, VIEW, ask, key, state

ONE, TWO = "1" * 40, "2" * 40
NAME = "_fleet.mesh.internal."


def believed() -> State:
    known = state()
    phases = {AZURE: UP, GCP: NEW, PHONE: MISSING}
    began = time.monotonic() - own_statement.HEARD_WITHIN - 1
    made = {key: evolve(peer, phase=phases[key], since=began, heard=began) for key, peer in known.peers.items()}
    return evolve(known, peers=made, relaying=Relaying({"azure": AZURE}, {PHONE: Carried(AZURE, 0.0)}))


class Here:
    """A node with an applied commit; ``signed`` counts the signatures that it made."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = Paths(state=place / "state", run=place / "run", wireguard=place / "wireguard")
        self.node = Node(
            name="aws", signing_key_file=place / "signing.key", repository=Repository(urls=("git://x/y",)),
            trust=Trust(mode="none"), paths=paths,
        )  # fmt: skip
        self.state = believed()
        self.problems = Problems()
        self.own = OwnStatement(self.node, lambda: self.state, self.problems)
        self.signed = 0
        signature = own_signature.signature

        def counting(node: Node, line: str) -> str:
            self.signed += 1
            return signature(node, line)

        monkeypatch.setattr(own_signature, "signature", counting)

    def applies(self, commit: str) -> None:
        desired = Desired("lab", "aws", "own", 1, 1420, frozenset(), frozenset(), ())
        states.save(self.node.state_file, states.State(states.Applied(commit, desired=desired, at=5.0)))

    def said(self) -> bytes:
        return asyncio.run(asyncio.wait_for(self.own.said(), 60))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(tmp_path, monkeypatch)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question makes it look again."""
    monkeypatch.setattr(own_statement, "KEPT", -1.0)


def test_it_says_what_is_applied_and_how_its_peers_are(here: Here) -> None:
    here.applies(ONE)
    last_run.record(here.node, "refused", "guard")
    found = heard("aws", here.said(), "lab", [], time.time())
    assert (found.doubt, found.signature) == (None, Signature.UNSIGNED)
    said = found.statement
    assert said
    assert (said.commit, said.since, said.result, said.cause) == (ONE, 5.0, "refused", "guard")
    assert (said.up, said.stale, said.relayed, said.new) == (1, 1, 1, 0)
    assert [(one.peer, one.relay) for one in said.not_direct] == [("gcp", ""), ("phone", "azure")]
    assert said.names_all


@pytest.mark.parametrize(
    ("changes", "run", "cause"),
    [
        ({"intent": Intent(Pause(9.0))}, ("in-sync", ""), "paused"),
        ({"intent": Intent(Pause(9.0))}, ("refused", ""), ""),
        ({"remote": Remote(held=Held(TWO, 9.0, 9.0))}, ("in-sync", ""), "canaries"),
        ({"remote": Remote(held=Held(TWO, 9.0, 9.0))}, ("refused", "guard"), "guard"),
        ({}, ("in-sync", ""), ""),
    ],
)
def test_it_says_what_keeps_it_from_a_newer_commit(
    here: Here, changes: dict[str, Any], run: tuple[str, str], cause: str
) -> None:
    here.applies(ONE)
    states.save(here.node.state_file, evolve(states.load(here.node.state_file), **changes))
    last_run.record(here.node, *run)
    found = heard("aws", here.said(), "lab", [], time.time()).statement
    assert found
    assert (found.result, found.cause) == (run[0], cause)


def test_it_is_signed_with_the_nodes_key(here: Here) -> None:
    here.applies(ONE)
    ssh_keys.make_key(here.node.signing_key_file, "aws")
    line = f"aws@node.lab {ssh_keys.public_half(here.node.signing_key_file)}"
    keys = signers.parse(line.encode())[0].entries
    found = heard("aws", here.said(), "lab", keys, time.time())
    assert (found.doubt, found.signature) == (None, Signature.SIGNED)


def test_it_is_signed_once_for_many_questions(here: Here, always: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_statement, "LASTING", 3600.0)
    here.applies(ONE)
    assert len({here.said() for _ in range(20)}) == 1
    assert here.signed == 1


def test_a_change_is_told_at_once_and_time_alone_after_a_while(
    here: Here, always: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.applies(ONE)
    first = here.said()
    here.applies(TWO)
    second = here.said()
    assert (ONE.encode() in first, TWO.encode() in second) == (True, True)
    here.state = evolve(here.state, relaying=Relaying())
    assert here.said() != second
    monkeypatch.setattr(own_statement, "LASTING", -1.0)
    assert here.said() != here.said(), "its moment is another one"


def test_unseen_it_is_kept_for_a_second(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_statement, "KEPT", 3600.0)
    here.applies(ONE)
    first = here.said()
    here.applies(TWO)
    assert here.said() == first


def test_where_nothing_is_applied_it_says_nothing(here: Here, always: None) -> None:
    assert here.said() == b""
    here.applies(ONE)
    assert here.said()


def test_a_key_that_cannot_sign_is_a_problem_and_no_silence(here: Here) -> None:
    here.applies(ONE)
    here.node.signing_key_file.parent.mkdir(exist_ok=True)
    here.node.signing_key_file.write_text("no key\n")
    here.node.signing_key_file.chmod(0o600)
    assert heard("aws", here.said(), "lab", [], time.time()).signature is Signature.UNSIGNED
    [problem] = here.problems.present
    assert "is not signed" in problem


def test_counts_of_no_peers() -> None:
    assert peers(State(), 0.0, 0.0) == Peers()


@pytest.mark.parametrize("phase", [NEW, SUSPECT, SEARCHING, MISSING])
def test_a_peer_that_was_not_heard_yet_is_new_and_stale_soon(phase: str) -> None:
    known = evolve(state(), peers={GCP: PeerState(declared=DECLARED[GCP], phase=phase, since=9.0, heard=5.0)})
    assert peers(known, 0.0, 34.9) == Peers(new=1)
    assert peers(known, 0.0, 35.1) == Peers(stale=1, not_direct=(NotDirect(peer="gcp", since=5),))
    lived = evolve(known, peers={GCP: evolve(known.peers[GCP], lived=True)})
    assert peers(lived, 0.0, 6.0).stale == 1, "it was heard, and is no more"


def test_of_a_large_mesh_a_peer_is_new_until_it_was_asked() -> None:
    peer = PeerState(declared=DECLARED[GCP], since=0.0, heard=0.0)
    many = {key(number): peer for number in range(LARGE)}
    assert peers(State(peers=many), 0.0, 3000.0) == Peers(new=LARGE)
    assert peers(State(peers=many), 0.0, 3601.0).stale == LARGE
    asked = State(peers={**many, GCP: evolve(peer, asked=3000.0)})
    assert [peers(asked, 0.0, moment).stale for moment in (3001.0, 3031.0)] == [0, 1]


# -- as a record


def words(number: int) -> bytes:
    return b"x" * number


@pytest.mark.parametrize("size", [1, 255, 256, 700])
def test_it_is_a_txt_of_as_many_strings_as_it_takes(size: int) -> None:
    found = ask(NAME, "TXT", evolve(VIEW, says=words(size)), use_edns=0, payload=1232)
    assert read_answer(found) == words(size)
    assert found.answer[0].ttl == 0


def test_what_is_too_large_for_udp_is_cut() -> None:
    view = evolve(VIEW, says=words(1500))
    cut = ask(NAME, "TXT", view, use_edns=0, payload=1232)
    assert (bool(cut.flags & dns.flags.TC), read_answer(cut)) == (True, None)
    query = dns.message.make_query(NAME, "TXT")
    assert read_answer(dns.message.from_wire(packed(answer(query, view), TCP_SIZE))) == words(1500)


def test_without_a_statement_the_name_is_there_and_empty() -> None:
    found = ask(NAME, "TXT")
    assert (found.rcode(), found.answer) == (dns.rcode.NOERROR, [])


class Seen(Views):
    def __init__(self) -> None:
        super().__init__("wg0", state)


def answered(question: str, says: Callable[[], Awaitable[bytes]]) -> dns.message.Message:
    async def story() -> bytes | None:
        made = Responder("wg0", Seen(), Problems(), says)
        await made.start(asyncio.Queue())
        try:
            return await made.answer(dns.message.make_query(question, "TXT").to_wire(), "10.0.0.2")
        finally:
            await made.stop()

    found = asyncio.run(asyncio.wait_for(story(), 60))
    assert found
    return dns.message.from_wire(found)


def test_the_nameserver_asks_for_it_only_when_it_is_asked() -> None:
    asked = []

    async def says() -> bytes:
        asked.append(1)
        return b"words"

    answered("aws.mesh.internal", says)
    assert asked == []
    assert read_answer(answered("_FLEET.mesh.internal", says)) == b"words"
    assert asked == [1]


# -- the last run


@pytest.fixture
def node(here: Here) -> Node:
    return here.node


def test_a_run_that_ends_as_before_writes_nothing_but_the_time(node: Node) -> None:
    last_run.record(node, "in-sync")
    before, first = node.last_run_file.stat(), last_run.read(node)
    last_run.record(node, "in-sync")
    after, second = node.last_run_file.stat(), last_run.read(node)
    assert (first.result, second.result, after.st_ino) == ("in-sync", "in-sync", before.st_ino)
    assert second.at is not None
    assert first.at is not None
    assert second.at >= first.at
    last_run.record(node, "refused", "guard")
    assert evolve(last_run.read(node), at=None) == LastRun("refused", "guard")
    assert node.last_run_file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_a_broken_file_is_none(node: Node, content: bytes) -> None:
    assert last_run.read(node) == LastRun()
    node.last_run_file.parent.mkdir(exist_ok=True)
    node.last_run_file.write_bytes(content)
    assert last_run.read(node) == LastRun()


def test_a_run_that_cannot_do_its_job_has_failed(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no program is installed that it needs."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(MeshSyncError):
        running.run_now(node, wait=0.0, dry_run=True)
    assert last_run.read(node) == LastRun()
    with pytest.raises(MeshSyncError):
        running.run_now(node, wait=0.0)
    assert last_run.read(node).result == last_run.FAILED


def test_a_run_that_waits_for_another_is_none(node: Node) -> None:
    with locked(node.run_lock_file, 0.0), pytest.raises(Locked):
        running.run_now(node, wait=0.0)
    assert last_run.read(node) == LastRun()


def test_the_cause_of_a_refusal_of_another_version_is_none_that_this_one_knows() -> None:
    assert Cause("of-later") is Cause.OTHER
    assert Refused("no").cause is Cause.OTHER
