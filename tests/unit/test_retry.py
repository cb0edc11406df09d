"""What `now --retry` forgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh_sync.node import state
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.state import Bad, Refusal, State
from mesh_sync.reconcile import pipeline
from mesh_sync.repository.head_request import Question, remotes


class Asked(Exception):
    """The state that the remote's answer would be held against."""


@pytest.mark.parametrize(("retry", "forgotten"), [(False, False), (True, True)])
def test_a_refused_and_an_undone_commit_are_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retry: bool, forgotten: bool
) -> None:
    places = Paths(state=tmp_path)
    node = Node(
        name="a", repository=Repository(urls=("x",)), trust=Trust(mode="none"), interface="nosuch", paths=places
    )
    node.state_file.parent.mkdir()
    state.save(node.state_file, State(refusal=Refusal("c" * 40, "wrong"), bad=Bad("d" * 40, "silent")))

    def aim(_: Node, before: State, *__: object) -> None:
        raise Asked(before)

    monkeypatch.setattr(pipeline, "aim", aim)
    with pytest.raises(Asked) as asked:
        pipeline.follow(node, Question(remotes(node)), dry_run=True, retry=retry, wait=0, note=lambda text: None)
    [before] = asked.value.args
    assert (before.refusal is None, before.bad is None) == (forgotten, forgotten)
