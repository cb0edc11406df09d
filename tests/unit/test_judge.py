"""What a node remembers of the histories that it has judged, and what it makes of the next one."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.errors import Refused
from mesh_sync.node import Node, Repository, Trust
from mesh_sync.state import State
from mesh_sync.trust import verify
from mesh_sync.trust.trust import judge
from mesh_sync.trust.verify import GitDir
from unit.signed_history import ANNA, OTTO, A, History, line


class Observer:
    """A node that trusts, and has applied, the first commit."""

    def __init__(self, history: History, folder: Path) -> None:
        own = folder / "own"
        own.write_text(line(ANNA) + line(OTTO))
        own.chmod(0o644)
        base = history.git("rev-parse", "base")
        trust = Trust(mode="signed", allowed_signers=own, first_commit=base)
        self.history, self.git = history, GitDir(history.place / ".git")
        self.node = Node(name="b", repository=Repository(urls=("x",)), trust=trust)
        self.state = State(trusted=base, commit=base, trust_root=self.node.trust_root)

    def look(self, head: str, *, apply: bool = True) -> Refused | None:
        commit = self.history.git("rev-parse", head)
        self.state, problem = judge(self.node, self.state, commit, self.git, lambda text: None)
        if apply and not problem:
            self.state = evolve(self.state, commit=commit)
        return problem

    def refuses(self, head: str) -> Refused:
        problem = self.look(head)
        assert problem
        return problem


@pytest.fixture
def observer(history: History, tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(history, tmp_path_factory.mktemp("node"))


def test_what_a_forged_commit_changes_is_not_looked_at(
    observer: Observer, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = history.commit(A, a="public_key = '0'\n")
    monkeypatch.setattr(verify, "with_edits", lambda *_: pytest.fail("read the edits of a stranger"))
    forged = history.forge(signed, "base")
    assert observer.refuses(forged).message == f"commit {forged[:10]} has a signature that does not fit it"


def test_a_refusal_that_the_clock_has_made_does_not_last(observer: Observer, history: History) -> None:
    history.commit(ANNA, ANNA, line(OTTO, 'valid-after="20990101Z"'))
    assert not observer.look("main")
    history.commit(OTTO)
    assert not observer.refuses("main").lasting
    history.git("reset", "-q", "--hard", "HEAD^")
    history.commit(ANNA, line(OTTO, 'valid-after="20990101Z"'))
    assert not observer.refuses("main").lasting


def test_a_refusal_that_no_clock_has_made_lasts(observer: Observer, history: History) -> None:
    history.commit(None)
    assert observer.refuses("main").lasting
