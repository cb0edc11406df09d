"""`now` is killed at any of its steps: the next run puts all of it right, and no peer is lost or comes back."""

from __future__ import annotations

import pytest

from e2e.killed_runs import each, every_step, killed
from lab import Lab, steady_ping
from lab.commits import Commits
from lab.mesh import Mesh, dump, key_of, now, now_json, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.snapshot import conf_of, whole

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AT_ONCE = 3
"""Nodes that are killed side by side, each at a step of its own."""


def forget_everything(node: Node) -> None:
    """Back to the machine on which `now` has never run."""
    node.run(["sh", "-c", "ip link delete wg0; rm -rf /var/lib/mesh-sync/* /etc/wireguard/* /run/mesh-sync /run/hook"],
             check=False)  # fmt: skip


def test_a_first_now_killed_at_any_step_is_finished_by_the_next() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        nodes = [mesh.node(f"n{number}", 11 + number) for number in range(AT_ONCE)]
        hooks = {"post_up": ["echo $INTERFACE is up >/run/hook"]}
        for node in nodes:
            mesh.configure(node, hooks=hooks, gateway={"masquerade": "eth0"})
        stranger(mesh, "silent", 30, subnets=["192.168.30.0/24"])
        mesh.push()
        mesh.now()
        wanted = {node.name: whole(node) for node in nodes}

        def kill_and_finish(node: Node, step: int) -> bool:
            forget_everything(node)
            was_killed = killed(node, step, "now")
            assert conf_of(node) in (b"", wanted[node.name][-1]), step
            now(node)
            assert whole(node) == wanted[node.name], step
            assert node.path("/run/hook").read_text() == "wg0 is up\n", step
            return was_killed

        assert every_step(nodes, lambda step: each(kill_and_finish, nodes, step)) > 25
        first_answer(nodes[0], "10.0.0.12")


def test_killed_at_any_step_no_peer_is_lost_and_none_comes_back() -> None:
    """Peers and endpoints come with one commit and go with the next; neither is applied without being killed first."""
    with Lab() as lab:
        mesh = Mesh(lab)
        nodes = [mesh.node(f"n{number}", 11 + number) for number in range(AT_ONCE)]
        lab.dns.set("second.example", "203.0.113.32")
        kept = stranger(mesh, "kept", 30, subnets=["192.168.30.0/24"])
        first = stranger(mesh, "first", 31)
        moving = stranger(mesh, "moving", 33, endpoint=None)
        one = mesh.push()
        mesh.remove("first")
        second = stranger(mesh, "second", 32, endpoint="second.example:51820", subnets=["192.168.32.0/24"])
        mesh.set("moving", endpoint="203.0.113.33:51820")
        mesh.set("kept", subnets=["192.168.30.0/24", "192.168.33.0/24"])
        mesh.set_mesh(mtu=1380)
        two = mesh.push()
        mesh.now()
        confs = {node.name: [conf_of(node)] for node in nodes}
        commits = Commits(lab.git.bare)
        commits.publish(one)
        mesh.now()
        wanted = {node.name: whole(node) for node in nodes}
        for node in nodes:
            confs[node.name].append(conf_of(node))
        own = {node.name: key_of(node) for node in nodes}

        def kill(node: Node, step: int) -> bool:
            was_killed = killed(node, step, "now")
            assert conf_of(node) in confs[node.name], step
            live = dump(node)
            assert {kept, *own.values()} - {own[node.name]} <= set(live), step
            assert live[kept]["endpoint"] == "203.0.113.30:51820", step
            return was_killed

        def finish(node: Node, step: int) -> bool:
            found = now_json(node)
            assert whole(node) == wanted[node.name], (step, found)
            return False

        def there_and_back(step: int) -> bool:
            commits.publish(two)
            some = each(kill, nodes, step)
            commits.publish(one)
            some |= each(kill, nodes, step)
            each(finish, nodes, step)
            return some

        with steady_ping(nodes[0], "10.0.0.12") as loss:
            assert every_step(nodes, there_and_back) > 15
        live = dump(nodes[0])
        assert first in live
        assert live[moving]["endpoint"] == "(none)"
        assert second not in live
        assert loss.lost == 0
