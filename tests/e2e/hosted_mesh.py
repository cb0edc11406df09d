"""A git host of `mesh-sync host` in the lab, and an admin who begins a mesh there and invites machines."""

from __future__ import annotations

import itertools
import signal

from e2e.joined_mesh import ALICE, CONFIG, KEY, Done
from lab import Lab, Node
from lab.mesh import WORK
from lab.program import Program

AS_GIT = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
"""sshd of the lab runs so, as the user `git` (lab.githost)."""
PLACE = "/srv/home.git"


class Hosted:
    """`alice` at the operator's machine owns the repository; no other key of the lab leads to the git host.

    Unless ``begun``, there is no mesh in it yet.
    """

    def __init__(self, lab: Lab, *, begun: bool = True) -> None:
        self.lab, self.operator = lab, lab.operator
        self._numbers = itertools.count(100)
        self.url = f"ssh://git@git.example.org{PLACE}"
        self.authorized_keys = lab.git.host.directory / "authorized_keys"
        lab.git.allow(())
        self.host("--key", self.operator.path(f"{KEY}.pub").read_text().strip())
        begin = ["mesh-sync", "init", WORK, "--name", "lab", "--signer", ALICE, "--remote", self.url, "--push"]
        if begun:
            self.operator.run(begin)

    def host(self, *words: str) -> str:
        """`mesh-sync host`, as the git host's ordinary user; what it prints."""
        argv = [*AS_GIT, "mesh-sync", "host", PLACE, "--authorized-keys", str(self.authorized_keys), *words]
        return self.lab.git.host.run(argv).stdout

    def machine(self, name: str, number: int) -> Node:
        """A fresh machine: ssh knows no host, and no host knows its key."""
        keys = self.authorized_keys.read_text()
        node = self.lab.node(name, f"203.0.113.{number}")
        self.authorized_keys.write_text(keys)
        node.path(node.known_hosts).write_text("")
        return node

    def next_name(self) -> tuple[str, int]:
        """A name for one more machine, and the last part of its address."""
        number = next(self._numbers)
        return f"new{number}", number

    @property
    def head(self) -> str:
        """The branch at the git host."""
        host = self.lab.git.host.directory
        return (host / PLACE.lstrip("/") / "refs/heads/main").read_text().strip()

    def invite(self, name: str, *words: str) -> str:
        """The line."""
        return self.operator.run(["mesh-sync", "invite", name, "-C", WORK, *words]).stdout.strip()

    def admit(self, name: str, fingerprint: str) -> str:
        return self.operator.run(["mesh-sync", "admit", name, "-C", WORK, "--fingerprint", fingerprint]).stdout

    def try_to(self, *words: str) -> Done:
        """A command in the working copy that may fail."""
        return self.operator.run(["mesh-sync", *words, "-C", WORK], check=False)

    def let_in(self, node: Node, name: str, line: str) -> None:
        joining = Joining(node, line)
        fingerprint = joining.fingerprint()
        joining.until("waiting for an admin")
        self.admit(name, fingerprint)
        assert joining.end() == 0, joining.said

    def member(self, name: str) -> Node:
        """A node that was invited and is in."""
        node = self.machine(*self.next_name())
        self.let_in(node, name, self.invite(name))
        return node

    def ssh(self, node: Node, asked: str, *options: str) -> Done:
        """What a node's own key gets at the git host."""
        identity = ["-i", f"{CONFIG}/signing.key", "-oIdentitiesOnly=yes", f"-oUserKnownHostsFile={CONFIG}/known_hosts"]
        argv = ["ssh", "-T", "-oBatchMode=yes", *identity, *options, "git@git.example.org", *([asked] if asked else [])]
        return node.run(argv, input="0000", check=False)

    def plain_access(self, there: bool) -> None:
        """Let the operator's key in without any command, as another git host does."""
        text, key = self.authorized_keys.read_text(), self.operator.path(f"{KEY}.pub").read_text()
        self.authorized_keys.write_text(key + text if there else text.removeprefix(key))

    # -- what a git host can do that is not honest

    def git(self, *words: str, input: str | None = None) -> str:
        who = ["-c", "user.name=Mallory", "-c", "user.email=m@example.org"]
        argv = [*AS_GIT, "git", *who, "-C", PLACE, *words]
        return self.lab.git.host.run(argv, input=input).stdout.strip()

    def set_head(self, commit: str) -> None:
        self.git("update-ref", "refs/heads/main", commit)

    def forge_another_mesh(self) -> None:
        """The same files, with another history."""
        self.set_head(self.git("commit-tree", "-m", "begun", "main^{tree}"))

    def forge_signer(self, name: str, key: str) -> None:
        """Let a node in, as far as the host is concerned."""
        text = self.git("show", "main:allowed_signers") + f"\n{name}@node.lab {key}\n"
        blob = self.git("hash-object", "-w", "--stdin", input=text)
        entries = self.git("ls-tree", "main").splitlines()
        listed = [line for line in entries if not line.endswith("\tallowed_signers")]
        tree = self.git("mktree", input="\n".join([*listed, f"100644 blob {blob}\tallowed_signers"]) + "\n")
        self.set_head(self.git("commit-tree", "-m", "lets in", "-p", "main", tree))


class Joining:
    """`mesh-sync join LINE` on a machine, while it waits."""

    def __init__(self, node: Node, line: str, *words: str) -> None:
        self.program: Program = node.popen(["mesh-sync", "join", line, *words])
        self.said = ""

    def until(self, text: str) -> str:
        """Read until a line with ``text``; return it."""
        assert self.program.stdout
        for raw in self.program.stdout:
            line = raw if isinstance(raw, str) else raw.decode()
            self.said += line
            if text in line:
                return line
        raise AssertionError(self.said)

    def fingerprint(self) -> str:
        return self.until("fingerprint ").rsplit(" ", 1)[1].strip()

    def shown(self) -> str:
        """The fingerprint that it has shown."""
        return self.said.partition("fingerprint ")[2].split()[0]

    def interrupt(self) -> tuple[str, int]:
        """Ctrl-C, once the keys are handed over; return their fingerprint, and the exit code."""
        fingerprint = self.fingerprint()
        self.until("waiting for an admin")
        self.program.send_signal(signal.SIGINT)
        return fingerprint, self.end()

    def end(self) -> int:
        assert self.program.stdout
        rest = self.program.stdout.read()
        self.said += rest if isinstance(rest, str) else rest.decode()
        return self.program.wait(60)
