"""Joining a mesh whose commits are signed: what a stranger can compare, what is kept, and what is not believed."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Callable, Iterator

import pytest

from e2e.joined_mesh import ALICE, CONFIG, KEY, Signed, at_terminal, command, files, follows, join
from lab import Lab, Node
from lab.mesh import WORK, now, now_json

pytestmark = pytest.mark.e2e

NUMBERS = itertools.count(100)


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Signed:
    """One mesh; its node `a` follows it."""
    mesh = Signed(lab)
    now(mesh.member("a", 21))
    return mesh


@pytest.fixture
def new(lab: Lab) -> Node:
    """A machine that knows nothing yet."""
    number = next(NUMBERS)
    return lab.node(f"new{number}", f"203.0.113.{number}")


@pytest.fixture
def stranger(mesh: Signed) -> Iterator[Callable[..., str]]:
    """Somebody who may push and is nobody's signer: `stranger("commit", …)` runs git in a clone; all is undone."""
    head, place = mesh.head, "/run/home/stranger"

    def git(*words: str) -> str:
        settings = ["-c", "user.name=Mallory", "-c", "user.email=m@example.org"]
        return mesh.operator.run(["git", "-C", place, *settings, *words]).stdout.strip()

    mesh.operator.run(["git", "clone", "-q", mesh.url, place])
    yield git
    git("push", "-q", "--force", "origin", f"{head}:main")
    mesh.operator.run(["rm", "-rf", place])


def nothing_happened(mesh: Signed, node: Node, head: str) -> None:
    assert files(node) == [], "nothing was written"
    assert mesh.head == head, "nothing was pushed"


def test_a_machine_comes_as_far_as_it_may_and_an_admin_types_what_it_says(mesh: Signed, new: Node) -> None:
    head = mesh.head
    stopped = mesh.join(new, "b", "--fingerprint", mesh.fingerprint, "--endpoint", "b.example:51820", exit_code=1)
    assert "allowed_signers does not have the signing key of b" in stopped.stderr
    assert mesh.head == head
    modes = {name: stat.S_IMODE(new.path(f"{CONFIG}/{name}").stat().st_mode) for name in files(new)}
    assert modes == {"allowed_signers": 0o644, "node.toml": 0o600, "private.key": 0o600, "signing.key": 0o600}
    assert f'first_commit = "{head}"' in new.path(f"{CONFIG}/node.toml").read_text()
    mesh.by_hand(command(stopped.stderr))
    assert "this machine is b, 10.0.0." in mesh.join(new, "b").stdout
    now(new)
    found = now_json(mesh.nodes["a"])
    assert [change["peer"] for change in found["changes"] if change["kind"] == "peer-added"] == ["b"]


def test_a_machine_that_was_let_in_before_adds_itself_and_all_others_take_it(mesh: Signed, new: Node) -> None:
    mesh.join(new, "c", "--fingerprint", mesh.fingerprint, exit_code=1)
    mesh.commit("signer", "add", "c@node.lab", mesh.public_key(new))
    assert "pushed peers/c.toml to main" in mesh.join(new, "c").stdout
    mesh.pull()
    shown = mesh.operator.run(["git", "-C", WORK, "log", "-1", "--format=%an <%ae> %G? %GS"]).stdout.strip()
    assert shown == "c <c@node.lab> G c@node.lab"
    now(new)
    now(mesh.nodes["a"], exit_code=4)  # a key counts from the run after the one that saw it added
    found = now_json(mesh.nodes["a"])
    assert (found["commit"], found["result"]) == (mesh.head, "applied")


def test_what_nodes_would_not_take_from_it_is_left_to_an_admin(mesh: Signed, new: Node) -> None:
    """Subnets are none of a node's own: a stolen laptop could announce everything."""
    mesh.join(new, "d", "--fingerprint", mesh.fingerprint, exit_code=1)
    head = mesh.commit("signer", "add", "d@node.lab", mesh.public_key(new))
    stopped = mesh.join(new, "d", "--subnet", "192.168.40.0/24", exit_code=1)
    assert "may not change subnets in peers/d.toml" in stopped.stderr
    assert "--subnet 192.168.40.0/24" in command(stopped.stderr)
    assert mesh.head == head
    mesh.join(new, "d")


def test_another_fingerprint_is_another_mesh(mesh: Signed, new: Node) -> None:
    head = mesh.head
    done = mesh.join(new, "x", "--fingerprint", mesh.fingerprint[:-1] + "x", exit_code=4)
    assert "the fingerprint is not the one that was given" in done.stderr
    nothing_happened(mesh, new, head)


def test_where_nobody_can_compare_something_has_to_be_given(mesh: Signed, new: Node) -> None:
    head = mesh.head
    done = mesh.join(new, "x", exit_code=2)
    assert "--fingerprint X" in done.stderr
    assert "--signers FILE" in done.stderr
    nothing_happened(mesh, new, head)


def test_a_file_of_signers_that_came_another_way_does_instead(mesh: Signed, new: Node) -> None:
    head = mesh.head
    public = mesh.operator.path(f"{KEY}.pub").read_text()
    new.path("/run/home/signers").write_text(f"{ALICE} {public}")
    stopped = mesh.join(new, "e", "--signers", "/run/home/signers", exit_code=1)
    assert command(stopped.stderr).startswith("mesh-sync peer add e ")
    assert mesh.head == head


def test_a_file_of_other_signers_does_not(mesh: Signed, new: Node) -> None:
    head = mesh.head
    public = new.path(f"{KEY}.pub").read_text()
    new.path("/run/home/signers").write_text(f"{ALICE} {public}")
    done = mesh.join(new, "x", "--signers", "/run/home/signers", exit_code=4)
    assert "none of these admins has signed" in done.stderr
    nothing_happened(mesh, new, head)


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_at_a_terminal_a_person_is_shown_what_to_compare_and_asked(mesh: Signed, new: Node, answer: str) -> None:
    head = mesh.head
    status, seen = at_terminal(new, join(mesh.url, "f", "--endpoint", "f.example:51820"), answer)
    assert f"fingerprint {mesh.fingerprint}" in seen
    alice = mesh.operator.run(["ssh-keygen", "-l", "-f", KEY]).stdout.split()[1]
    assert f"admin   {ALICE}  ssh-ed25519 {alice}" in seen
    assert f"newest    {head[:10]}" in seen
    assert "Is this what your mesh's admin told you?" in seen
    if answer == "y":
        assert status == 1, "an admin has to add it"
        assert files(new) == ["allowed_signers", "node.toml", "private.key", "signing.key"]
    else:
        assert status == 2
        nothing_happened(mesh, new, head)


def test_a_reviewed_machine_comes_in_by_a_signed_merge(mesh: Signed, new: Node) -> None:
    mesh.join(new, "r", "--fingerprint", mesh.fingerprint, exit_code=1)
    mesh.commit("signer", "add", "r@node.lab", mesh.public_key(new))
    assert "once the branch is merged" in mesh.join(new, "r", "--review").stdout
    follows(mesh.nodes["a"], mesh.head)
    mesh.operator.run(["git", "-C", WORK, "pull", "-q", "--no-ff", "--no-edit", mesh.url, "join/r"])
    merged = mesh.push()
    found = now_json(mesh.nodes["a"])
    assert (found["commit"], found["result"]) == (merged, "applied")
    now(new)


def test_a_machine_that_believes_everybody_does_not_stop_those_that_do_not(mesh: Signed, new: Node) -> None:
    """Its unsigned commit would; an admin adds it, and later it can begin to verify."""
    head = mesh.head
    unsigned = ["mesh-sync", "join", mesh.url, "--name", "n", "--trust", "none"]
    stopped = new.run(unsigned, check=False)
    assert (stopped.returncode, mesh.head) == (1, head)
    mesh.by_hand(command(stopped.stderr))
    new.run(unsigned)
    now(new)
    done = mesh.join(new, "n", "--fingerprint", mesh.fingerprint, exit_code=2)
    assert "move it away first" in done.stderr
    new.path(f"{CONFIG}/node.toml").rename(new.path(f"{CONFIG}/node.toml.old"))
    said = mesh.join(new, "n", "--fingerprint", mesh.fingerprint).stdout
    assert "mesh-sync signer add n@node.lab" in said
    assert now_json(new)["commit"] == mesh.head


# -- what the git host, or somebody who may push, makes up


def forged_signers(git: Callable[..., str], mesh: Signed) -> None:
    """A list in which the stranger is an admin."""
    key = mesh.operator.run(
        ["sh", "-c", "ssh-keygen -q -t ed25519 -N '' -f /run/home/stranger/key; cat /run/home/stranger/key.pub"]
    )
    with mesh.operator.path("/run/home/stranger/allowed_signers").open("a") as file:
        file.write(f"mallory@example.org {key.stdout}")
    git("-c", "gpg.format=ssh", "-c", "user.signingKey=/run/home/stranger/key", "commit", "-q", "-S", "-am", "me too")


def forged_node(git: Callable[..., str], mesh: Signed) -> None:
    """A list in which the stranger has a node's key: the fingerprint does not cover it, alice's signature does."""
    with mesh.operator.path("/run/home/stranger/allowed_signers").open("a") as file:
        file.write(f"evil@node.lab {mesh.nodes['a'].path(f'{KEY}.pub').read_text()}")
    git("commit", "-q", "-am", "evil")


def unsigned(git: Callable[..., str], mesh: Signed) -> None:
    git("commit", "-q", "--allow-empty", "-m", "unsigned")


def orphan(git: Callable[..., str], mesh: Signed) -> None:
    """The same files, without the history."""
    git("checkout", "-q", "--orphan", "other")
    git("commit", "-q", "-m", "begun anew")


@pytest.mark.parametrize(
    ("forge", "complaint"),
    [
        (forged_signers, "the fingerprint is not the one"),
        (forged_node, "is not signed"),
        (unsigned, "is not signed"),
        (orphan, "the fingerprint is not the one"),
    ],
)
def test_a_mesh_that_is_made_up_is_not_joined(
    mesh: Signed, new: Node, stranger: Callable[..., str], forge: Callable[..., None], complaint: str
) -> None:
    fingerprint = mesh.fingerprint
    forge(stranger, mesh)
    stranger("push", "-q", "--force", "origin", "HEAD:main")
    done = mesh.join(new, "x", "--fingerprint", fingerprint, exit_code=4)
    assert complaint in done.stderr
    nothing_happened(mesh, new, mesh.head)


def test_what_was_compared_once_holds_for_the_second_try(mesh: Signed, new: Node, stranger: Callable[..., str]) -> None:
    mesh.join(new, "g", "--fingerprint", mesh.fingerprint, exit_code=1)
    before = {name: new.path(f"{CONFIG}/{name}").read_text() for name in files(new)}
    orphan(stranger, mesh)
    stranger("push", "-q", "--force", "origin", "HEAD:main")
    done = mesh.join(new, "g", exit_code=4)
    assert "does not descend from" in done.stderr
    assert {name: new.path(f"{CONFIG}/{name}").read_text() for name in files(new)} == before


# -- the git host's own key; these come last: the git host changes its key


def test_where_nobody_verifies_the_host_key_is_what_there_is_to_compare(mesh: Signed, new: Node) -> None:
    new.path(new.known_hosts).write_text("")
    head, unsigned = mesh.head, ["mesh-sync", "join", mesh.url, "--name", "u", "--trust", "none"]
    done = new.run(unsigned, check=False)
    assert done.returncode == 2
    assert "give --known-hosts-file" in done.stderr
    assert at_terminal(new, unsigned, "n")[0] == 2
    nothing_happened(mesh, new, head)
    status, seen = at_terminal(new, unsigned, "y")
    assert "Is that its key?" in seen
    assert status == 1, "an admin has to add it"
    assert "known_hosts" in files(new)


def test_a_host_key_that_ssh_does_not_know_is_shown_and_kept(mesh: Signed, new: Node) -> None:
    new.path(new.known_hosts).write_text("")
    status, seen = at_terminal(new, join(mesh.url, "h"), "y")
    key = mesh.lab.git.host.run(
        ["ssh-keygen", "-l", "-f", mesh.lab.git.host.directory / "host_key.pub"]
    ).stdout.split()[1]
    assert f"host key  ssh-ed25519 {key}" in seen
    assert status == 1
    assert "known_hosts" in files(new)
    assert f'known_hosts_file = "{CONFIG}/known_hosts"' in new.path(f"{CONFIG}/node.toml").read_text()
    mesh.by_hand(command(seen))
    mesh.join(new, "h")
    now(new)
    assert not new.path(new.known_hosts).read_text(), "ssh's own file is not ours"
    mesh.lab.git.change_host_key()
    assert "shows another host key than the known one" in now(new, exit_code=3).stderr
