"""What a node remembers of the histories that it has verified, and what it makes of the next one."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from mesh_sync.errors import Refused
from mesh_sync.node.config import Node, Repository, Trust
from mesh_sync.node.fingerprint import trust_root
from mesh_sync.node.state import Anchor, Applied, Remote, State
from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import git_history, verify_commits
from mesh_sync.trust.authorization import Rules
from mesh_sync.trust.verify_history import verify_history
from unit.signed_history import ANNA, EVE, OTTO, A, B, History, line


class Observer:
    """A node that trusts, and has applied, the first commit."""

    def __init__(self, history: History, folder: Path) -> None:
        own = folder / "own"
        own.write_text(line(ANNA) + line(OTTO))
        own.chmod(0o644)
        base = history.git("rev-parse", "base")
        trust = Trust(mode="signed", allowed_signers=own, first_commit=base)
        self.history, self.git = history, GitObjects(history.place / ".git")
        self.node = Node(name="b", repository=Repository(urls=("x",)), trust=trust)
        self.state = State(
            Applied(base, anchor=Anchor(base)), Remote(trusted=Anchor(base), trust_root=trust_root(self.node))
        )

    def look(self, head: str, *, apply: bool = True) -> Refused | None:
        commit = self.history.git("rev-parse", head)
        self.state, problem = verify_history(self.node, self.state, commit, self.git, lambda text: None)
        if apply and not problem:
            self.state = evolve(self.state, applied=Applied(commit, anchor=self.state.remote.trusted))
        return problem

    @property
    def trusted(self) -> str | None:
        trusted = self.state.remote.trusted
        return trusted.commit if trusted else None

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
    monkeypatch.setattr(verify_commits, "edits_of", lambda *_: pytest.fail("read the edits of a stranger"))
    forged = history.forge(signed, "base")
    assert observer.refuses(forged).message == f"commit {forged[:10]} has a signature that does not match it"


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


def test_what_strangers_write_below_a_bad_commit_is_not_read(
    observer: Observer, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = git_history.rules

    def rules(
        repository: GitObjects, names: list[str], *more: dict[git_history.FileVersion, object]
    ) -> dict[str, Rules]:
        read.extend(names)
        return real(repository, names, *more)

    monkeypatch.setattr(git_history, "rules", rules)
    for number in range(100):
        history.commit(None, message=str(number))
    observer.refuses("main")
    assert len(set(read)) < 40


def test_a_push_catches_up_whichever_parent_its_merge_names_first(observer: Observer, history: History) -> None:
    """The one that it needs is trusted, not the last one that is good."""
    start = observer.state
    for first, second in (("main", "side"), ("side", "main")):
        observer.state = start
        history.on("side")
        history.commit(OTTO, b="public_key = 's'\n")
        history.on("main")
        history.commit(ANNA, ANNA, OTTO, A, B, EVE)
        history.commit(EVE)
        history.git("checkout", "-q", first)
        history.merge(ANNA, second)
        observer.refuses("HEAD")
        assert observer.look("HEAD") is None


def test_no_side_branch_forgets_a_removal_of_the_same_push(observer: Observer, history: History) -> None:
    history.on("side")
    side = history.commit(ANNA, b="public_key = 's'\n")
    history.on("main")
    removing = history.commit(ANNA, ANNA, A, B)
    history.commit(None)
    history.merge(ANNA, "side")
    observer.refuses("main")
    assert observer.trusted == removing
    history.on("evil", side)
    assert observer.look(history.commit(OTTO))


def test_what_goes_on_beside_brings_no_removed_key_back(observer: Observer, history: History) -> None:
    history.on("review")
    beside = history.commit(ANNA, a='public_key = "K2"\n')
    history.on("main")
    removing = history.commit(ANNA, ANNA, A, B)
    observer.look(removing, apply=False)
    text = f"commit {beside[:10]} brings back a key that was removed from allowed_signers"
    assert (observer.refuses(beside).message, observer.trusted) == (text, removing)
    history.on("evil", beside)
    assert observer.look(history.commit(None))
    assert observer.trusted == removing


def test_a_remote_that_goes_back_behind_what_is_verified(observer: Observer, history: History) -> None:
    old = history.commit(ANNA)
    new = history.commit(ANNA)
    observer.look(new, apply=False)
    assert "the remote went back" in observer.refuses(old).message
    assert observer.look("base") is None
    assert observer.trusted == new


def test_forged_dates_make_no_old_commit_new(
    observer: Observer, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        history.commit(OTTO, message=str(number))
    history.git("branch", "side")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "100000000 +0000")
    for number in range(10):
        history.commit(A, message=f"old {number}")
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    removing = history.commit(ANNA, ANNA, A, B)
    observer.look(removing)
    history.on("side", "side")
    history.commit(ANNA, b="public_key = 's'\n")
    history.on("main", removing)
    history.merge(ANNA, "side")
    assert len(git_history.commits(observer.git, history.git("rev-parse", "main"), [removing])) == 2
    assert observer.look("main") is None


# -- keys that have expired since


LATE = 'valid-before="20200101Z"'


@pytest.fixture
def old_history(keys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """Begins in 2019, when the keys of otto and of the node a were valid."""
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2019-01-01T00:00:00Z")
    history = History(tmp_path)
    history.commit(ANNA, ANNA, line(OTTO, LATE), line(A, LATE), B)
    history.git("tag", "-f", "base")
    return history


@pytest.mark.parametrize("signer", [OTTO, A])
def test_what_was_signed_in_time_counts_once_an_admin_has_signed_above_it(
    old_history: History, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, signer: str
) -> None:
    """A host that withholds commits until a key has expired would otherwise strand a node for ever."""
    observer = Observer(old_history, tmp_path_factory.mktemp("node"))
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2019-06-01T00:00:00Z")
    old_history.commit(signer, a='public_key = "K2"\n')
    refused = observer.refuses("main")
    assert "expired at 20200101" in refused.message
    assert not refused.lasting
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    above = old_history.commit(B, b='public_key = "K2"\n')
    assert "expired at 20200101" in observer.refuses(above).message
    above = old_history.commit(ANNA)
    assert observer.look(above) is None
    assert observer.trusted == above


@pytest.mark.parametrize("date", ["2019-06-01T00:00:00Z", "2021-06-01T00:00:00Z", "2099-06-01T00:00:00Z"])
def test_what_was_signed_too_late_never_counts(
    old_history: History, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    """Dated back behind a younger commit, dated as it was made, and dated ahead."""
    observer = Observer(old_history, tmp_path_factory.mktemp("node"))
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2020-06-01T00:00:00Z")
    good = old_history.commit(ANNA)
    monkeypatch.setenv("GIT_COMMITTER_DATE", date)
    old_history.commit(OTTO)
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    old_history.commit(ANNA)
    assert "expired at 20200101" in observer.refuses("main").message
    assert observer.trusted == good
