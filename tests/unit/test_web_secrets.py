"""What the page says of a change of the mesh secret: where it stands, since when, who has it, and what goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import git
import pytest

from lab.waiting import until
from mesh_sync.fleet.verify import Heard
from mesh_sync.mesh.model import Preshared
from mesh_sync.web.secrets_page import COMMANDS, Applied, applied
from mesh_sync.workspace.committed import Committed, read_commit
from mesh_sync.workspace.sealed_files import Holding
from mesh_sync.workspace.secret_state import SecretState, Stage, having, secret_state
from unit.test_secret_command import Operator
from unit.test_web_fleet import NEW, OLD, OTHER, now, said
from unit.web_page import Running, given_away, place, serving


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def moment(operator: Operator, **after: float) -> Committed:
    """The list as it is committed, looked at so long after the nodes begin to move."""
    found = read_commit(operator.mesh)
    since = found.mesh.preshared and found.mesh.preshared.since
    return Committed(found.directory, found.commit, found.tree, (since or datetime.now(UTC)) + timedelta(**after))


def head(operator: Operator) -> str:
    return git.Repo(operator.mesh).head.commit.hexsha


def test_a_change_is_told_stage_by_stage(operator: Operator) -> None:
    assert secret_state(moment(operator)).stage is Stage.NONE
    operator.with_file("new", "--commit").fine()
    first = head(operator)
    stages = [secret_state(moment(operator, minutes=minutes)).stage for minutes in (-1, 0, 5.9, 6)]
    assert stages == [Stage.ANNOUNCED, Stage.MOVING, Stage.MOVING, Stage.MOVED]
    operator.secret("retire", "--force", "--commit").fine()
    settled = secret_state(moment(operator))
    assert settled.stage is Stage.SETTLED
    assert settled.use is not None
    assert settled.use.secret == 1
    assert settled.began is not None
    assert settled.changed is not None
    assert (settled.began.commit, settled.changed.commit) == (first, head(operator))


def test_since_when_is_not_moved_by_other_changes_of_the_file(operator: Operator) -> None:
    operator.with_file("new", "--commit").fine()
    first = head(operator)
    file = operator.mesh / "mesh.toml"
    file.write_text(file.read_text().replace("format = 1", "format = 1\nmtu = 1400"))
    git.Repo(operator.mesh).git.commit("--quiet", "--all", "-m", "mtu")
    state = secret_state(moment(operator))
    assert state.began == state.changed
    assert state.changed is not None
    assert state.changed.commit == first
    assert abs(state.changed.moment - datetime.now(UTC)) < timedelta(minutes=30)


def test_who_lacks_the_secret_and_whose_config_is_old_is_told(operator: Operator) -> None:
    operator.with_file("new", "--commit").fine()
    operator.add("late", "--via", "aws")
    state = secret_state(moment(operator))
    assert {one.name: one.holding for one in state.held} == {
        "aws": Holding.SEALED, "azure": Holding.SEALED, "late": Holding.NOTHING,
    }  # fmt: skip
    assert (state.lacking, state.unmanaged) == (("late",), ("phone",))


def test_a_secret_in_files_is_sealed_to_no_one_and_no_one_lacks_it(operator: Operator) -> None:
    operator.with_file("new", "--out-of-band", "--commit").fine()
    state = secret_state(moment(operator))
    assert (state.held, state.lacking) == ((), ())


def test_of_the_commits_that_nodes_told_the_later_ones_have_the_change(operator: Operator) -> None:
    before = head(operator)
    operator.with_file("new", "--commit").fine()
    change = head(operator)
    operator.add("later", "--via", "aws")
    assert having(operator.mesh, change, {before, head(operator), "f" * 40}) == {change, head(operator)}


def test_who_has_applied_it_is_told_of_each_node_that_can_be_believed() -> None:
    fleet = now(
        said("a"), said("b", OLD, result="refused", cause="secret"), said("c", OLD, result="in-sync"), Heard("d"),
        said("e", OTHER),
    )  # fmt: skip
    state = SecretState(stage=Stage.MOVING, use=Preshared(secret=2, former=1, since=datetime.now(UTC)))
    assert applied(state, fleet, frozenset({NEW})) == {
        "a": Applied.YES, "b": Applied.REFUSED, "c": Applied.NO, "d": Applied.UNKNOWN, "e": Applied.UNKNOWN,
    }  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Operator, Running]]:
    with place() as folder:
        operator = Operator(folder)
        operator.with_file("new", "--commit").fine()
        operator.add("late", "--via", "aws")
        given_away(folder)
        with serving(operator.mesh) as running:
            yield operator, running.enter()


def test_the_page_says_it_with_the_commands_and_without_a_secret(served: tuple[Operator, Running]) -> None:
    operator, page = served
    until(lambda: "not known here" in page.ask("/secrets").shown, 60)
    answer = page.ask("/secrets")
    for text in (
        "The mesh is about to change", "secret 1 since commit", "is not sealed to one node", "late nothing is sealed",
        "mesh-sync secret seal --secret-file F --push", COMMANDS[Stage.ANNOUNCED], "phone",
    ):  # fmt: skip
        assert text in answer.shown, text
    assert "/secrets" in page.ask("/signers").text
    secret = operator.file.read_text().split()[-1]
    assert secret not in answer.text
    assert page.ask("/quiet/secrets").text.startswith('<div id="secrets"')
