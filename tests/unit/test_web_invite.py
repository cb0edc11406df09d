"""Invitations by the page, with the real git host behind a program that stands for ssh and sshd."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define

from lab.waiting import until
from mesh_sync.errors import ConfigError
from mesh_sync.invitation import token
from mesh_sync.invitation.answer import Question, Request, read_answer, text_of
from mesh_sync.invitation.line import Invitation
from mesh_sync.invitation.line import read as read_line
from mesh_sync.invitation.token import Keys
from mesh_sync.workspace import proposal
from unit.git_identity import VARIABLES
from unit.list_keeper import key
from unit.test_web_changes import Desk
from unit.web_page import IN_PLACE, place, serving

pytestmark = pytest.mark.timeout(900)

SOON = 200
"""Seconds: each question starts a program or two."""
PROGRAM = str(Path(sys.executable).with_name("mesh-sync"))
SSH = """\
#!/bin/sh
# What `ssh` is to the page: its settings are asked for (-G), or it starts what sshd would, for an admin's key.
[ -e "{folder}/down" ] && {{ echo "ssh: connect to host git.example.org port 22: No route to host" >&2; exit 255; }}
for last; do
    [ "$last" = -G ] && echo "hostname git.example.org" && echo "userknownhostsfile {folder}/known" && exit
done
SSH_ORIGINAL_COMMAND=$last exec {program} host-session {folder}/host.git owner x
"""


@define
class Inviter(Desk):
    """An operator whose git host takes requests."""

    def host(self, *words: str, input: str = "", **env: str) -> str:
        """Something at the git host, as its user."""
        argv = [*IN_PLACE, PROGRAM, *words]
        there = {**os.environ, "HOME": str(self.folder), "GIT_CONFIG_GLOBAL": os.devnull, **env}
        done = subprocess.run(argv, input=input, env=there, capture_output=True, text=True, check=True, timeout=SOON)
        return done.stdout

    def invite(self, name: str, **more: str) -> Invitation:
        """Invite by the page; what the line says that it shows."""
        self.page.follow(self.page.ask("/invite", {"name": name} | more))
        until(lambda: f"Show the line once {name}" in self.page.ask("/quiet/invite").text, SOON, what=self.part)
        shown = self.page.ask("/invite/line", {"name": name})
        [line] = re.findall(r"mesh-sync join (\S+?)</pre>", shown.text)
        return read_line(line)

    def part(self) -> str:
        return self.page.ask("/quiet/invite").shown

    def hand_over(self, said: Invitation, keys: Keys) -> str:
        """What `join` does on the invited machine; the state that the host tells."""
        request = Request(
            public_key=keys.public_key, signing_key=keys.signing_key, signature=token.sign(said.token, said.name, keys)
        )
        asked = text_of(Question(request=request))
        place = str(self.folder / "host.git")
        words = ("host-session", place, "invited", said.name)
        out = self.host(*words, input=asked, SSH_ORIGINAL_COMMAND="mesh-sync-host ask")
        answer = read_answer(out.encode())
        assert answer
        return answer.state

    def wait_for(self, text: str) -> str:
        """Ask the git host, and wait until the page says so; the part of the page."""
        self.page.follow(self.page.ask("/invite/ask", {}))
        until(lambda: text in self.part(), SOON, what=self.part)
        return self.part()

    def record(self, name: str) -> Path:
        return self.folder / f"host.git/mesh-sync/invitations/{name}.json"


@pytest.fixture(scope="module")
def served() -> Iterator[Inviter]:
    with place() as folder:
        folder.chmod(0o755)
        (folder / "bin").mkdir()
        ssh = folder / "bin/ssh"
        ssh.write_text(SSH.format(folder=folder, program=PROGRAM))
        ssh.chmod(0o755)
        (folder / "known").write_text(f"git.example.org {token.public_half(token.new_token())}\n")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "signing")], check=True)
        path = f"{folder}/bin:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull, **VARIABLES}
        public = " ".join((folder / "signing.pub").read_text().split()[:2])

        def run(*words: str) -> None:
            argv = [*IN_PLACE, PROGRAM, *words]
            done = subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, timeout=SOON, check=False)
            assert done.returncode == 0, done.stderr

        run("host", str(folder / "host.git"), "--authorized-keys", str(folder / "authorized_keys"), "--key", public)
        url = f"ssh://git@git.example.org{folder}/host.git"
        who = ["--signer", "alice@example.org", "--signing-key", str(folder / "signing")]
        run("init", str(folder / "mesh"), "--name", "home", *who, "--remote", url, "--push")
        with serving(folder / "mesh", env={"PATH": path}, who=IN_PLACE) as running:
            yield Inviter(folder, running.enter(), IN_PLACE)


@pytest.fixture
def desk(served: Inviter) -> Inviter:
    served.drop()
    return served


def keys_of_a_machine() -> Keys:
    return Keys(key(), token.public_half(token.new_token()))


def test_a_machine_is_invited_compared_let_in_and_pushed(desk: Inviter) -> None:
    said = desk.invite("home", endpoint="home.example.org:51820", subnets="192.168.7.0/24", masquerade="eth0")
    assert (said.name, said.masquerade, said.url.startswith("ssh://git@")) == ("home", "eth0", True)
    assert "has not handed over its keys yet" in desk.wait_for("has not handed over")
    keys = keys_of_a_machine()
    assert desk.hand_over(said, keys) == "waiting"
    shown = desk.wait_for("waits to be admitted")
    for text in (keys.fingerprint, keys.public_key, "home.example.org:51820", "192.168.7.0/24"):
        assert text in shown
    form = {"name": "home", "fingerprint": keys.fingerprint}
    assert "was not compared" in desk.page.ask("/invite/let-in", form).shown
    plan = desk.page.follow(desk.page.ask("/invite/let-in", form | {"same": "1"}))
    assert "home joins the mesh" in plan.shown
    assert "is in the plan" in desk.part()
    assert desk.hand_over(said, keys) == "waiting", "nothing is pushed yet"
    assert "Pushed commit" in desk.push()
    assert desk.hand_over(said, keys) == "in"
    assert keys.public_key in (desk.mesh / "peers/home.toml").read_text()
    assert f'home@node.home namespaces="git" {keys.signing_key}' in (desk.mesh / "allowed_signers").read_text()
    assert "has made no invitations" in desk.part(), "it is forgotten once the list has the peer"


def test_a_line_is_shown_once_and_its_token_is_in_no_file_of_the_clone(desk: Inviter) -> None:
    said = desk.invite("once")
    again = desk.page.ask("/invite/line", {"name": "once"})
    assert (again.status, said.token in again.text) == (409, False)
    content = b"".join(path.read_bytes() for path in desk.folder.rglob("*") if path.is_file())
    assert said.token.encode() not in content
    assert token.public_half(said.token).encode() in content, "by which its keys are recognized"


def test_other_keys_than_those_that_were_seen_are_not_let_in(desk: Inviter) -> None:
    said, seen = desk.invite("swapped"), keys_of_a_machine()
    form = {"name": "swapped", "fingerprint": seen.fingerprint, "same": "1"}
    assert desk.page.ask("/invite/let-in", form).status == 409, "none have come"
    desk.hand_over(said, keys_of_a_machine())
    desk.wait_for("waits to be admitted")
    assert "not the keys that you saw" in desk.page.ask("/invite/let-in", form).shown
    assert "There are no edits" in desk.page.ask("/plan").shown


def test_keys_that_the_git_host_has_put_in_itself_are_not_offered(desk: Inviter) -> None:
    said, other = desk.invite("target"), keys_of_a_machine()
    keys = keys_of_a_machine()
    desk.hand_over(said, keys)
    record = desk.record("target")
    record.write_text(record.read_text().replace(keys.public_key, other.public_key))
    shown = desk.wait_for("do not let these keys in")
    assert "were not handed over by this invitation" in shown
    assert other.fingerprint not in shown
    form = {"name": "target", "fingerprint": Keys(other.public_key, keys.signing_key).fingerprint, "same": "1"}
    assert desk.page.ask("/invite/let-in", form).status == 409


def test_an_invitation_is_withdrawn_at_the_git_host(desk: Inviter) -> None:
    said = desk.invite("gone")
    desk.page.follow(desk.page.ask("/invite/withdraw", {"name": "gone"}))
    until(lambda: "gone" not in desk.part(), SOON, what=desk.part)
    assert desk.hand_over(said, keys_of_a_machine()) == "withdrawn"


def test_a_git_host_that_cannot_be_reached_is_said_and_not_asked_on(desk: Inviter) -> None:
    (desk.folder / "down").touch()
    try:
        desk.page.follow(desk.page.ask("/invite", {"name": "lost"}))
        until(lambda: "hx-get" not in desk.page.ask("/quiet/invite").text, SOON, what=desk.part)
        assert "git.example.org" in desk.part()
        assert "Show the line once lost" not in desk.page.ask("/quiet/invite").text
    finally:
        (desk.folder / "down").unlink()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"name": "Not A Name"}, "is not a peer name"),
        ({"name": "../../x"}, "is not a peer name"),
        ({"name": "long", "minutes": "0"}, "is good for 1 to"),
        ({"name": "long", "minutes": "9" * 400}, "is good for 1 to"),
    ],
    ids=str,
)
def test_what_cannot_be_invited_is_said_in_the_form(desk: Inviter, said: dict[str, str], told: str) -> None:
    answer = desk.page.ask("/invite", said)
    assert (answer.status, told in answer.shown) == (400, True), answer.shown
    assert desk.page.ask("/invite/withdraw", {"name": "../../x"}).status == 404


def test_what_join_prints_for_an_admin_is_looked_at_and_let_in(desk: Inviter) -> None:
    keys = keys_of_a_machine()
    text = (
        f"mesh-sync peer add office --public-key {keys.public_key} --signing-key '{keys.signing_key}' "
        "--endpoint office.example.org:51820 \\\n --subnet 192.168.9.0/24 --commit --push"
    )
    shown = desk.page.ask("/invite/by-hand", {"text": text})
    for part in (keys.fingerprint, "office.example.org:51820", "192.168.9.0/24", "office asks to be admitted"):
        assert part in shown.shown
    assert "There are no edits" in desk.page.ask("/plan").shown
    plan = desk.page.follow(desk.page.ask("/invite/by-hand", {"text": text, "same": "1"}))
    assert "office joins the mesh" in plan.shown
    assert f'+office@node.home namespaces="git" {keys.signing_key}' in plan.shown
    wrong = desk.page.ask("/invite/by-hand", {"text": "rm -rf /"})
    assert (wrong.status, "not what `join` printed" in wrong.shown, "rm -rf /" in wrong.text) == (400, True, True)


PUBLIC = f"{'A' * 42}I="
"""A key; the same in each process of a test run."""


@pytest.mark.parametrize(
    "text",
    [
        "", "mesh-sync peer add", f"mesh-sync peer add ../x --public-key {PUBLIC}", "mesh-sync peer add x",
        f"mesh-sync peer add x --public-key {PUBLIC} --signing-key /etc/passwd",
        f"mesh-sync peer add x --public-key {PUBLIC} --new-key /tmp/x",
        f"mesh-sync peer add x --public-key {PUBLIC}; id", f"mesh-sync peer add x --public-key '{PUBLIC}",
        f"mesh-sync peer remove x --public-key {PUBLIC}", "\x00", "x" * 100_000,
    ],
    ids=lambda text: text[:60],
)  # fmt: skip
def test_what_is_no_such_command_is_no_proposal(text: str) -> None:
    with pytest.raises(ConfigError):
        proposal.read(text)
