"""Whatever is done with node keys, with push rights and with the git hosts: one push by an admin brings every node to
the same state, and until then each enforces what it last confirmed.

A hypothesis state machine over small real repositories. Its nodes look at the list as `mesh-sync now` does, before it
touches the interface.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mesh_sync.errors import MeshSyncError
from mesh_sync.trust.quota import MOST_COMMITS
from unit.hostile_git_host import chatting, refusing
from unit.hostile_mesh import ANNA, OBSERVERS, OTTO, HostileMesh, peer

POLLS = 3
"""Runs of one minute within which a node has caught up: a key that a push adds counts from the next run on."""
FULL = "No space left on device"
NOISE: tuple[list[bytes], ...] = (
    [], [b"\xff" * 4096], refusing("unable to write"), refusing(FULL), chatting("1" * 40, FULL),
    refusing("error: object 1: fullPathname: x\x0bremote: \x85\x1b]0;x\x07"),
)  # fmt: skip
nodes, hosts, attackers = st.sampled_from(OBSERVERS), st.sampled_from((0, 1)), st.sampled_from("bc")


class Attack(RuleBasedStateMachine):
    """Steps in any order, and in the end one push by an admin."""

    folder: Path
    keys: Path

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(dir=self.folder))
        self.mesh = HostileMesh(self.home, self.keys)
        self.number = 0

    def _push(self, commit: str | None) -> None:
        """Whoever may push does so, forced; the honest hosts show it."""
        self.mesh.head = commit

    def _some(self, data: st.DataObject) -> str:
        """A commit that was made: most often one that a node might follow."""
        applied = (node.state.applied.commit for node in self.mesh.nodes.values())
        likely = [commit for commit in (self.mesh.admins_last, self.mesh.head, *applied) if commit]
        return data.draw(st.one_of(st.sampled_from(likely), st.sampled_from(list(self.mesh.made))))

    # -- what admins do

    @rule(who=st.sampled_from((ANNA, OTTO)), what=st.sampled_from(("change", "remove c", "add e", "take back")))
    def an_admin_pushes(self, who: str, what: str) -> None:
        self.number += 1
        mesh = self.mesh
        if what == "remove c":
            mesh.files.pop("peers/c.toml", None)
            mesh.removed.add("c")
        if what == "add e":
            mesh.files["peers/e.toml"] = peer("e")
        mesh.files["peers/d.toml"] = peer("d", persistent_keepalive=self.number % 60 + 1)
        mesh.admin_pushes(who)

    # -- what is done with the keys of nodes, by any of them who may push

    @rule(who=attackers, data=st.data(), what=st.sampled_from(("own", "bad list", "forbidden", "pile", "large")))
    def a_node_key_signs(self, who: str, data: st.DataObject, what: str) -> None:
        self.number += 1
        mesh, parent = self.mesh, self._some(data)
        files, signer = dict(mesh.made[parent].files), f"{who}@node.lab"
        own = f"peers/{who}.toml"
        legitimate = what != "forbidden" and own in files
        if what == "bad list":
            files[own] = peer(who, mtu=1)
        elif what == "forbidden":
            files["peers/a.toml"] = peer("a", endpoint=f"evil.example:{self.number}")
        elif what == "large":
            files[own] = peer(who, description="x" * 900) + f"# {'y' * 60_000}\n"
        else:
            files[own] = peer(who, listen_port=1024 + self.number)
        for number in range(MOST_COMMITS + 1 if what == "pile" else 1):
            if what == "pile":
                files[own] = peer(who, listen_port=2000 + number)
            parent = mesh.commit(files, [parent], signer, legitimate=legitimate)
        self._push(parent)

    @rule(who=attackers, name=nodes)
    def a_node_key_forces_the_branch_forth_and_back(self, who: str, name: str) -> None:
        """And a node looks in between."""
        self.number += 1
        mesh, parent = self.mesh, self.mesh.head or self.mesh.admins_last
        files = {**mesh.made[parent].files, f"peers/{who}.toml": peer(who, listen_port=1024 + self.number)}
        own = f"peers/{who}.toml" in mesh.made[parent].files
        commit = mesh.commit(files, [parent], f"{who}@node.lab", legitimate=own)
        mesh.nodes[name].ask()
        mesh.nodes[name].show(0, commit)
        mesh.nodes[name].poll()

    @rule(data=st.data())
    def a_stranger_pushes(self, data: st.DataObject) -> None:
        parent = self._some(data)
        files = {**self.mesh.made[parent].files, "peers/a.toml": peer("a", endpoint="evil.example:1")}
        self._push(self.mesh.commit(files, [parent], None, legitimate=False))

    @rule(data=st.data())
    def the_branch_is_forced_back(self, data: st.DataObject) -> None:
        self._push(self._some(data))

    # -- what the hosts do

    @rule(name=nodes, host=hosts, data=st.data())
    def a_host_shows_something_else(self, name: str, host: int, data: st.DataObject) -> None:
        self.mesh.nodes[name].show(host, self._some(data))

    @rule(name=nodes, host=hosts, data=st.data())
    def a_host_shows_a_twin(self, name: str, host: int, data: st.DataObject) -> None:
        """To a node that looks just then."""
        node = self.mesh.nodes[name]
        node.show(host, self.mesh.twin(self._some(data)) or self.mesh.head)
        node.poll()

    @rule(name=nodes)
    def a_host_twists_what_an_admin_pushes(self, name: str) -> None:
        self.an_admin_pushes(ANNA, "change")
        node = self.mesh.nodes[name]
        node.ask()
        node.show(0, self.mesh.twin(self.mesh.admins_last))
        node.poll()

    @rule(name=nodes, host=hosts)
    def a_host_is_emptied(self, name: str, host: int) -> None:
        self.mesh.nodes[name].show(host, None)

    @rule(name=nodes, noise=st.sampled_from(NOISE), first=st.booleans())
    def a_host_answers_with_noise(self, name: str, noise: list[bytes], first: bool) -> None:
        node = self.mesh.nodes[name]
        self.mesh.noise.answers = noise
        honest = str(node.views[1])
        node.ask(*((self.mesh.noise.url, honest) if first else (honest, self.mesh.noise.url)))

    @rule(name=nodes)
    def the_hosts_are_honest_again(self, name: str) -> None:
        node = self.mesh.nodes[name]
        node.ask()
        node.show(0, self.mesh.head)
        node.show(1, self.mesh.head)

    # -- what the nodes do

    @rule(name=nodes, late=st.booleans())
    def a_node_polls(self, name: str, late: bool) -> None:
        node = self.mesh.nodes[name]
        if late:
            node.wait()
        before = node.state.applied
        verdict = node.poll()
        assert verdict.problem is None or isinstance(verdict.problem, MeshSyncError)
        assert "defect" not in (verdict.problem.hint if verdict.problem else "")
        assert verdict.after.applied.desired
        if verdict.after.applied.commit == before.commit:
            assert verdict.after.applied.desired == before.desired

    @rule(name=nodes)
    def a_node_loses_its_copy(self, name: str) -> None:
        self.mesh.nodes[name].lose_copy()

    @invariant()
    def nothing_foreign_is_applied(self) -> None:
        if hasattr(self, "mesh"):
            self.mesh.check_nothing_foreign_is_applied()

    # -- and then

    def teardown(self) -> None:
        if not hasattr(self, "mesh"):
            return
        try:
            self._end()
        finally:
            self.mesh.close()
            shutil.rmtree(self.home, ignore_errors=True)

    def _end(self) -> None:
        """One push by an admin; each node has one host that shows it, and another one that goes on lying."""
        mesh = self.mesh
        mesh.files["peers/d.toml"] = peer("d", persistent_keepalive=99)
        last = mesh.admin_pushes()
        for name, node in mesh.nodes.items():
            honest = node.views[1]
            node.show(1, last)
            node.ask(*(str(honest) if url == str(honest) else url for url in node.node.repository.urls))
            said = []
            for _ in range(POLLS):
                node.wait()
                said.append(node.poll())
            assert node.state.applied.commit == last, (name, [one.problem for one in said], [one.notes for one in said])
            assert node.state.applied.desired
            members = {one.removeprefix("peers/").removesuffix(".toml") for one in mesh.files if "peers/" in one}
            assert {one.name for one in node.state.applied.desired.peers} == members - {name}


@pytest.mark.timeout(600)
def test_one_push_by_an_admin_brings_every_node_to_the_same_state(tmp_path: Path, hostile_keys: Path) -> None:
    machine: Any = type("Attack", (Attack,), {"folder": tmp_path, "keys": hostile_keys})
    attacks = int(os.environ.get("ATTACKS", "0"))  # at random then, and not the same each time
    machine.TestCase.settings = settings(
        max_examples=attacks or 25,
        derandomize=not attacks,
        stateful_step_count=14,
        phases=(Phase.generate,),  # a shorter example would take minutes to find
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase().runTest()
