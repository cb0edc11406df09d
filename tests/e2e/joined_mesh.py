"""A mesh whose commits are signed, begun and changed by the commands that an admin types, over real ssh."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence

from lab import Lab, Node
from lab.mesh import WORK, status

ALICE = "alice@example.org"
KEY = "/run/home/.ssh/id_ed25519"
CONFIG = "/etc/mesh-sync"
RUNS = 4
"""A key counts from the run after the one that saw it added: how many a node that was away may take at most."""
Done = subprocess.CompletedProcess[str]


class Signed:
    """`alice` at the operator's machine is its only admin."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.operator, self.url = lab, lab.operator, lab.git.url
        self.nodes: dict[str, Node] = {}
        self.operator.run(["mesh-sync", "init", WORK, "--name", "lab", "--signer", ALICE, "--signing-key", KEY])
        self.push()

    def push(self) -> str:
        """Take what is committed to the git host; return the commit."""
        self.operator.run(["git", "-C", WORK, "push", "-q", self.url, "HEAD:main"])
        return self.operator.run(["git", "-C", WORK, "rev-parse", "HEAD"]).stdout.strip()

    def pull(self) -> None:
        """Take in what nodes have pushed."""
        self.operator.run(["git", "-C", WORK, "pull", "-q", "--ff-only", self.url, "main"])

    def run(self, *words: str) -> str:
        """A command in the working copy, `mesh-sync` left out; what it prints."""
        return self.operator.run(["mesh-sync", *words], cwd=WORK).stdout

    def commit(self, *words: str) -> str:
        """A command that commits, then a push; return the commit."""
        self.pull()
        self.run(*words, "--commit")
        return self.push()

    def by_hand(self, command: str) -> str:
        """Type a line into the admin's shell, then push; return the commit."""
        self.pull()
        self.operator.run(shlex.split(command), cwd=WORK)
        return self.push()

    @contextlib.contextmanager
    def signing_with(self, key: str) -> Iterator[None]:
        """Commit with another key for a while."""
        setting = ["git", "-C", WORK, "config", "user.signingKey"]
        before = self.operator.run(setting).stdout.strip()
        self.operator.run([*setting, key])
        yield
        self.operator.run([*setting, before])

    def rewind(self, commit: str) -> None:
        """Have this commit again at the git host and in the working copy, and forget what came after it."""
        self.operator.run(["git", "-C", WORK, "reset", "-q", "--hard", commit])
        self.operator.run(["git", "-C", WORK, "push", "-q", "--force", self.url, "HEAD:main"])

    def signers(self) -> list[dict[str, object]]:
        """The keys of the list."""
        found: list[dict[str, object]] = json.loads(self.run("signer", "list", "--json"))["signers"]
        return found

    @property
    def fingerprint(self) -> str:
        return str(json.loads(self.run("signer", "list", "--json"))["fingerprint"])

    @property
    def head(self) -> str:
        """The branch at the git host."""
        return (self.lab.git.bare / "refs/heads/main").read_text().strip()

    def join(self, node: Node, name: str, *options: str, exit_code: int = 0) -> Done:
        """`mesh-sync join` on a node where nobody sits at a terminal."""
        done = node.run(join(self.url, name, *options), check=False)
        assert done.returncode == exit_code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def public_key(self, node: Node) -> str:
        """Of the signing key that `join` has made on a node."""
        return node.run(["ssh-keygen", "-y", "-f", f"{CONFIG}/signing.key"]).stdout.strip()

    def member(self, name: str, number: int) -> Node:
        """A node that has joined: asked, been added by the admin, and asked again."""
        node = self.lab.node(name, f"203.0.113.{number}")
        return self.admit(node, name, "--endpoint", f"203.0.113.{number}:51820")

    def admit(self, node: Node, name: str, *options: str) -> Node:
        """The same for a machine that is there already."""
        stopped = self.join(node, name, *options, "--fingerprint", self.fingerprint, exit_code=1)
        self.by_hand(command(stopped.stderr))
        self.join(node, name)
        self.nodes[name] = node
        return node


def join(url: str, name: str, *options: str) -> list[str]:
    return ["mesh-sync", "join", url, "--name", name, "--trust", "signed", *options]


def command(said: str) -> str:
    """The command for an admin, as a `join` that was stopped has printed it."""
    [line] = [line for line in said.splitlines() if line.startswith("  mesh-sync peer add")]
    return line.strip()


def files(node: Node) -> list[str]:
    """What is beside node.toml."""
    return sorted(file.name for file in node.path(CONFIG).iterdir())


def follows(node: Node, commit: str) -> int:
    """Run `now` until the node has applied ``commit``; return how many runs were refused before."""
    for refused in range(RUNS):
        done = node.run(["mesh-sync", "now"], check=False)
        assert done.returncode in (0, 4), done.stderr
        if done.returncode == 0:
            assert status(node)["commit"] == commit
            return refused
    raise AssertionError(f"still refused: {done.stderr}")


def at_terminal(node: Node, argv: Sequence[str], answer: str, *, timeout: float = 30) -> tuple[int, str]:
    """Run a program at a terminal, and answer what it asks; return its exit code and all that was to be seen."""
    ours, theirs = pty.openpty()
    program = node.popen(argv, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, end = b"", time.monotonic() + timeout
    with contextlib.suppress(OSError):  # EIO: the other side has closed it
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                seen += os.read(ours, 4096)
                if seen.rstrip().endswith(b"[y/N]:"):
                    os.write(ours, answer.encode() + b"\n")
    os.close(ours)
    return program.wait(timeout), seen.decode()
