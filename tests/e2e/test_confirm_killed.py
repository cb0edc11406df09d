"""A trial that is killed at any of its steps: the next run ends in the new state or in the old one, never between."""

from __future__ import annotations

import pytest

from e2e.killed_runs import each, every_step, killed
from e2e.mesh_on_trial import GIT_HOST, cover
from lab import Lab
from lab.commits import Commits
from lab.mesh import Mesh, now, now_json, status, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.snapshot import whole

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AT_ONCE = 5
"""Nodes, each killed at a step of its own: a trial is mostly waiting."""


def test_killed_at_any_step_of_a_trial_that_fails_the_next_run_ends_where_it_began() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        nodes = [mesh.node(f"n{number}", 11 + number) for number in range(AT_ONCE)]
        for node in nodes:
            mesh.configure(node, confirm={"deadline": 3}, repository={"urls": [mesh.url], "deadline": 4})
        stranger(mesh, "c", 30)
        good = mesh.push("good")
        cover(mesh, *GIT_HOST)
        stranger(mesh, "d", 31)
        bad = mesh.push("bad")
        commits = Commits(lab.git.bare)
        commits.publish(good)
        mesh.now()
        wanted = {node.name: whole(node) for node in nodes}

        head = ""

        def kill(node: Node, step: int) -> bool:
            return killed(node, step, "now", may_end=(0, 5))

        def finish(node: Node, step: int) -> bool:
            found = now_json(node, exit_code=5, timeout=90)
            assert whole(node) == wanted[node.name], (step, found)
            told = status(node)
            assert (told["trial"], told["drift"], told["refused_commits"]) == (None, [], [head]), (step, found)
            return False

        def kill_and_finish(step: int) -> bool:
            nonlocal head
            head = commits.publish(bad)
            some = each(kill, nodes, step)
            each(finish, nodes, step)
            return some

        assert every_step(nodes, kill_and_finish) > 30


def test_killed_at_any_step_of_a_rollback_the_node_is_there_and_paused_or_where_it_was() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        nodes = [mesh.node(f"n{number}", 11 + number) for number in range(AT_ONCE)]
        states = []
        for number, name in enumerate("cd", start=30):
            stranger(mesh, name, number, subnets=[f"192.168.{number}.0/24"])
            commit = mesh.push(name)
            mesh.now()
            states.append((commit, {node.name: whole(node) for node in nodes}))
        first_answer(nodes[0], "10.0.0.12")
        (one, before), (two, after) = states

        def kill_and_follow(node: Node, step: int) -> bool:
            was_killed = killed(node, step, "rollback", one)
            now(node, timeout=90)
            told = status(node)
            there = told["commit"] == one
            assert (told["commit"], told["paused"], told["trial"]) == (one if there else two, there, None), step
            assert whole(node) == (before if there else after)[node.name], step
            if there:
                node.run(["mesh-sync", "resume"])
                now(node, timeout=90)
                assert whole(node) == after[node.name], step
            return was_killed

        assert every_step(nodes, lambda step: each(kill_and_follow, nodes, step)) > 15
