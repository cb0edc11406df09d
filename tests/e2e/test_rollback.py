"""`rollback`, `pause` and `resume`: a node stays at what it has, or goes back, until it is told to follow again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from attrs import frozen

from e2e.mesh_on_trial import GIT_HOST, SHORT, cover
from lab import Lab
from lab.mesh import Mesh, dump, now, now_json, status, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.snapshot import whole

pytestmark = pytest.mark.e2e


@frozen
class Story:
    """a has applied three commits, one after the other: c, then d, then e came. b is alive."""

    mesh: Mesh
    a: Node
    commits: tuple[str, ...]
    wholes: tuple[object, ...]

    def rollback(self, *arguments: str, exit_code: int = 0) -> str:
        done = self.a.run(["mesh-sync", "rollback", *arguments], check=False, timeout=90)
        assert done.returncode == exit_code, f"{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


def applied_three(lab: Lab) -> Story:
    mesh = Mesh(lab)
    a, b = mesh.node("a", 11), mesh.node("b", 12)
    mesh.configure(a, confirm=SHORT)
    commits, wholes = [], []
    for number, name in enumerate("cde", start=13):
        stranger(mesh, name, number)
        commits.append(mesh.push(name))
        mesh.now("a")
        if name == "c":
            mesh.now("b")
            first_answer(b, "10.0.0.11")
        wholes.append(whole(a))
    return Story(mesh, a, tuple(commits), tuple(wholes))


@pytest.fixture
def story() -> Iterator[Story]:
    with Lab() as lab:
        yield applied_three(lab)


@pytest.fixture(scope="module")
def unchanged(lab: Lab) -> Story:
    """One for all the tests that leave it as it is."""
    return applied_three(lab)


def test_it_goes_back_and_stays_there_until_resumed(story: Story) -> None:
    a, (one, two, three) = story.a, story.commits
    assert [past["commit"] for past in status(a)["history"]] == [one, two, three]
    said = story.rollback()
    assert "paused since" in said
    assert whole(a) == story.wholes[1]
    told = status(a)
    assert (told["commit"], told["remote_commit"], told["paused"]) == (two, three, True)
    assert told["paused_reason"] == f"rolled back from {three[:10]}"

    a.ip("link set wg0 mtu 1300")
    found = now_json(a)
    assert (found["result"], [change["kind"] for change in found["changes"]]) == ("applied", ["mtu"])
    assert f"rolled back from {three[:10]}): the remote is at {three[:10]}" in found["message"]
    stranger(story.mesh, "f", 16)
    four = story.mesh.push("f")
    found = now_json(a)
    assert (found["result"], found["commit"], found["remote_commit"]) == ("in-sync", two, four)
    assert whole(a) == story.wholes[1]

    assert "follows the list again" in a.run(["mesh-sync", "resume"]).stdout
    assert now_json(a)["commit"] == four
    told = status(a)
    assert (told["paused"], told["paused_since"]) == (False, None)
    assert "is not paused" in a.run(["mesh-sync", "resume"]).stdout


def test_it_goes_to_any_commit_of_the_history_and_without_a_network(story: Story) -> None:
    a, (one, two, three) = story.a, story.commits
    story.mesh.configure(a, confirm={"deadline": 3})  # b is out of reach, and waited for in vain
    a.port.unplug()
    story.rollback()
    assert status(a)["commit"] == two
    story.rollback()
    assert status(a)["commit"] == one
    assert "there is no earlier applied state" in story.rollback(exit_code=2)
    story.rollback(two[:7])
    story.rollback(one)
    assert whole(a) == story.wholes[0]
    said = story.rollback(three)
    assert f"peers again, with keys that {one[:10]} did not have: d, e; until `mesh-sync resume`" in said
    assert status(a)["commit"] == three
    story.rollback()
    assert status(a)["commit"] == one
    a.port.plug()
    first_answer(a, "10.0.0.12")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("0000000", "0000000 is not among the applied states of this node"),
        ("main", "'main' is not a commit: at least 7 digits of its hash"),
        ("HEAD", "'HEAD' is not a commit"),
        ("", "'' is not a commit"),
        ("\x1b[2J", "'\\x1b[2J' is not a commit"),
        ("../../x", "'../../x' is not a commit"),
    ],
)
def test_what_it_cannot_go_back_to_changes_nothing(unchanged: Story, argument: str, message: str) -> None:
    said = unchanged.rollback(argument, exit_code=2)
    assert message in said
    assert "applied were: " in said
    assert whole(unchanged.a) == unchanged.wholes[2]
    assert not status(unchanged.a)["paused"]


def test_a_damaged_copy_of_the_repository_is_said_and_changes_nothing(unchanged: Story) -> None:
    a = unchanged.a
    objects = a.path("/var/lib/mesh-sync/wg0/repo.git/objects")
    objects.rename(objects.with_name("gone"))
    try:
        assert f"commit {unchanged.commits[1][:10]} cannot be read from" in unchanged.rollback(exit_code=6)
    finally:
        objects.with_name("gone").rename(objects)
    assert whole(a) == unchanged.wholes[2]
    assert not status(a)["paused"]


def test_a_rollback_that_cuts_off_what_was_alive_is_undone(story: Story) -> None:
    """An earlier state routes the git host to nowhere."""
    mesh, a = story.mesh, story.a
    a.ip("route add 203.0.113.10/32 dev eth0 metric 1", "route add 2001:db8::10/128 dev eth0 metric 1")
    cover(mesh, *GIT_HOST)
    mesh.push("covers the git host")
    now(a)
    cover(mesh)
    last = mesh.push("no more")
    now(a)
    a.ip("route del 203.0.113.10/32 dev eth0 metric 1", "route del 2001:db8::10/128 dev eth0 metric 1")
    before = whole(a)
    said = story.rollback(exit_code=5)
    assert ": no remote (" in said
    assert whole(a) == before
    told = status(a)
    assert (told["commit"], told["paused"], told["refused_commits"]) == (last, False, [])


def test_paused_it_stays_and_says_why(story: Story) -> None:
    mesh, a, three = story.mesh, story.a, story.commits[2]
    a.run(["mesh-sync", "pause", "--reason", "the move\x1b[2J"])
    stranger(mesh, "f", 16)
    four = mesh.push("f")
    done = now(a)
    assert "paused since " in done.stdout
    assert f"(the move\\x1b[2J): the remote is at {four[:10]}; continue with `mesh-sync resume`" in done.stdout
    assert status(a)["commit"] == three
    assert whole(a) == story.wholes[2]
    assert "the move\\x1b[2J" in a.run(["mesh-sync", "status"]).stdout
    since = status(a)["paused_since"]
    assert abs(since - time.time()) < 120
    a.run(["mesh-sync", "pause"])
    assert (status(a)["paused_since"], status(a)["paused_reason"]) == (since, "")
    mesh.lab.git.kill()
    now(a, exit_code=3)
    mesh.lab.git.start()
    a.run(["mesh-sync", "resume"])
    assert now_json(a)["commit"] == four


def test_status_tells_the_history(unchanged: Story) -> None:
    said = unchanged.a.run(["mesh-sync", "status"]).stdout
    assert [line.split()[-2:] for line in said.splitlines() if line.startswith("applied ") and "UTC" in line] == [
        [commit[:10], "confirmed"] for commit in reversed(unchanged.commits)
    ]


def test_before_anything_was_applied_there_is_nothing_to_go_back_to() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        a = mesh.node("a", 11)
        done = a.run(["mesh-sync", "rollback"], check=False)
        assert (done.returncode, "there is no earlier applied state" in done.stderr) == (2, True)
        a.run(["mesh-sync", "pause"])
        mesh.push()
        assert now_json(a)["commit"] is None
        a.run(["mesh-sync", "resume"])
        now(a)
        assert set(dump(a)) == {""}
