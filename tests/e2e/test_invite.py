"""From nothing to a ping by invitation: a git host on one machine, one line, one comparison; and who else tries."""

from __future__ import annotations

import json
import time

import pytest
from attrs import evolve

from e2e.hosted_mesh import PLACE, Hosted, Joining
from e2e.joined_mesh import CONFIG, files
from lab import Lab, Node, reachability
from lab.mesh import WORK, status
from mesh_sync.invitation.line import read, written
from mesh_sync.invitation.token import new_token
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e

NOT_FOR_A_NODE = (
    "", "id", "sh -c id", f"git-upload-pack '{PLACE}'; id", f"git-upload-pack '{PLACE}/../mesh.git'",
    "git-upload-pack '/srv/mesh.git'", f"git-upload-archive '{PLACE}'", "scp -t /tmp", "mesh-sync-host invite",
)  # fmt: skip
"""What its key may not have done at the git host."""


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Hosted:
    return Hosted(lab)


@pytest.fixture
def new(mesh: Hosted) -> Node:
    """A machine that knows nothing yet."""
    return mesh.machine(*mesh.next_name())


def test_two_machines_are_invited_and_reach_each_other(mesh: Hosted) -> None:
    nodes = {}
    for name, number in (("aws", 21), ("home", 22)):
        nodes[name] = mesh.machine(name, number)
        line = mesh.invite(name, "--endpoint", f"203.0.113.{number}:51820")
        joining = Joining(nodes[name], line)
        fingerprint = joining.fingerprint()
        joining.until(f"mesh-sync admit {name} --fingerprint {fingerprint}")
        assert "pushed 1 commit" in mesh.admit(name, fingerprint)
        assert joining.end() == 0, joining.said
        assert status(nodes[name])["commit"] == mesh.head
    nodes["aws"].run(["mesh-sync", "now"])
    assert reachability([(nodes["home"], "10.0.0.1")]) == {("home", "10.0.0.1"): True}
    assert 'first_commit = "' in nodes["home"].path(f"{CONFIG}/node.toml").read_text()
    assert files(nodes["home"]) == ["allowed_signers", "known_hosts", "node.toml", "private.key", "signing.key"]


def test_the_list_is_the_list_of_those_whom_the_git_host_knows(mesh: Hosted) -> None:
    """Who leaves it is out; no key leads to a shell, to another repository or through a tunnel."""
    node = mesh.member("gone")
    assert mesh.ssh(node, f"git-upload-pack '{PLACE}'").stdout.startswith("0")
    for asked in NOT_FOR_A_NODE:
        done = mesh.ssh(node, asked)
        assert "uid=" not in done.stdout
        assert done.returncode == 1 or '"denied"' in done.stdout, (asked, done)
    forwarded = mesh.ssh(node, "", "-W", "127.0.0.1:22")
    assert forwarded.returncode == 255
    mesh.operator.run(["mesh-sync", "peer", "remove", "gone", "-C", WORK, "--push", "--yes"])
    assert mesh.ssh(node, f"git-upload-pack '{PLACE}'").returncode == 255


def test_a_node_pushes_to_the_branch_of_the_mesh_alone(mesh: Hosted) -> None:
    node = mesh.member("pusher")
    ssh = f"ssh -i {CONFIG}/signing.key -oIdentitiesOnly=yes -oUserKnownHostsFile={CONFIG}/known_hosts"
    env = {"GIT_SSH_COMMAND": ssh, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "x.y", "GIT_CONFIG_VALUE_0": "z"}
    node.run(["git", "clone", "-q", mesh.url, "/run/home/clone"], env=env)
    head = mesh.head
    for ref in ("other", "refs/tags/v1", "refs/mesh/x"):
        done = node.run(["git", "-C", "/run/home/clone", "push", "origin", f"HEAD:{ref}"], env=env, check=False)
        assert done.returncode == 1, done.stderr
    node.run(["git", "-C", "/run/home/clone", "commit", "-q", "--allow-empty", "-m", "unsigned"])
    done = node.run(["git", "-C", "/run/home/clone", "push", "origin", "HEAD:main"], env=env, check=False)
    assert "is not signed" in done.stderr, "the hook of the project"
    assert mesh.head == head


def test_a_second_machine_with_the_same_line_is_refused_and_the_admin_sees_whose_keys_came(
    mesh: Hosted, new: Node
) -> None:
    """A stolen line, used before the machine that it was meant for."""
    line = mesh.invite("victim")
    thief = Joining(new, line)
    theirs = thief.fingerprint()
    thief.until("waiting for an admin")
    meant = mesh.machine(*mesh.next_name())
    joining = Joining(meant, line)
    ours = joining.fingerprint()
    assert joining.end() == 4
    assert "another machine has handed over its keys" in joining.said
    assert ours != theirs
    done = mesh.try_to("admit", "victim", "--fingerprint", ours)
    assert done.returncode == 4
    assert "another machine has used the line" in done.stderr
    mesh.invite("victim")
    assert thief.end() == 4, thief.said
    assert "another one for this name has taken its place" in thief.said


def test_a_line_that_is_used_again_after_its_machine_is_in_lets_no_other_in(mesh: Hosted, new: Node) -> None:
    line = mesh.invite("once")
    first = mesh.machine(*mesh.next_name())
    mesh.let_in(first, "once", line)
    first.run(["mesh-sync", "join", line])
    replayed = Joining(new, line)
    assert replayed.end() == 4
    assert "another machine" in replayed.said
    assert not new.path(f"{CONFIG}/node.toml").exists()


def test_an_expired_line_is_worth_nothing(mesh: Hosted, new: Node) -> None:
    line = mesh.invite("late")
    record = mesh.lab.git.host.directory / f"{PLACE.lstrip('/')}/mesh-sync/invitations/late.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "until": time.time() - 1}))
    joining = Joining(new, line)
    assert joining.end() == 4
    assert "has expired" in joining.said
    assert mesh.try_to("admit", "late", "--fingerprint", joining.shown()).returncode == 4


def test_a_forged_line_leads_nowhere(mesh: Hosted, new: Node) -> None:
    line = mesh.invite("forged")
    for broken in (line[:-4], line[:-1] + ("A" if line[-1] != "A" else "B"), "mesh-sync.1.AAAA"):
        done = new.run(["mesh-sync", "join", broken], check=False)
        assert (done.returncode, "is not whole" in done.stderr) == (2, True)
    said = read(line)
    other_host = written(evolve(said, host_keys=(new.path(f"{new.ssh_key}.pub").read_text().rsplit(" ", 1)[0],)))
    done = new.run(["mesh-sync", "join", other_host], check=False)
    assert (done.returncode, "another host key" in done.stderr) == (3, True), done.stderr
    other_token = written(evolve(said, token=new_token()))
    assert new.run(["mesh-sync", "join", other_token], check=False).returncode == 3


def test_a_hostile_git_host_can_neither_put_its_own_keys_in_nor_show_another_mesh(mesh: Hosted, new: Node) -> None:
    line = mesh.invite("target")
    fingerprint, _ = Joining(new, line).interrupt()
    record = mesh.lab.git.host.directory / f"{PLACE.lstrip('/')}/mesh-sync/invitations/target.json"
    there = json.loads(record.read_text())
    evil = {**there["request"], "public_key": keys.public_key(keys.generate())}
    record.write_text(json.dumps({**there, "request": evil}))
    done = mesh.try_to("admit", "target", "--fingerprint", fingerprint)
    assert done.returncode == 4
    assert "were not handed over by this invitation" in done.stderr
    record.write_text(json.dumps(there))
    head = mesh.head
    try:
        mesh.forge_another_mesh()
        mesh.forge_signer("target", there["request"]["signing_key"])
        joining = Joining(new, line)
        assert joining.end() == 4, joining.said
        assert "the fingerprint is not the one" in joining.said
        assert not new.path(f"{CONFIG}/node.toml").exists()
    finally:
        mesh.set_head(head)


def test_without_a_token_the_machine_shows_its_key_and_waits(mesh: Hosted, new: Node) -> None:
    """A git host that `mesh-sync host` has not made."""
    bare = mesh.lab.git.repository("plain")
    mesh.plain_access(True)
    try:
        mesh.operator.run(["git", "-C", WORK, "push", "-q", f"ssh://git@git.example.org/srv/{bare.name}", "main"])
        mesh.operator.run(
            ["git", "-C", WORK, "remote", "set-url", "origin", f"ssh://git@git.example.org/srv/{bare.name}"]
        )
        line = mesh.invite("plain")
        assert not read(line).token
        joining = Joining(new, line, "--wait", "1")
        assert joining.end() == 1
        assert "the git host has to let in this SSH key, to read and to push: ssh-ed25519 " in joining.said
        assert "mesh-sync peer add plain --public-key " in joining.said
        assert "no admin has admitted this machine within 1 s" in joining.said
    finally:
        mesh.plain_access(False)
        mesh.operator.run(["git", "-C", WORK, "remote", "set-url", "origin", mesh.url])


def test_waiting_is_ended_by_ctrl_c_and_goes_on_by_the_same_command(mesh: Hosted, new: Node) -> None:
    line = mesh.invite("patient")
    joining = Joining(new, line)
    fingerprint, code = joining.interrupt()
    assert code == 130
    assert "Traceback" not in joining.said
    mesh.admit("patient", fingerprint)
    assert new.run(["mesh-sync", "join", line]).returncode == 0


def test_host_is_repeated_and_taken_away(mesh: Hosted) -> None:
    """Last: the nodes are out then."""
    before = mesh.authorized_keys.read_text()
    assert "is hosted" in mesh.host()
    assert mesh.authorized_keys.read_text() == before
    mesh.authorized_keys.write_text(f"ssh-ed25519 AAAA another\n{before}")
    mesh.host("--remove")
    assert mesh.authorized_keys.read_text() == "ssh-ed25519 AAAA another\n"
    assert mesh.head
