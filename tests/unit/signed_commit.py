"""A real repository with a commit that a key of some kind has signed, and what git says of other commits."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

from mesh_sync.repository.git_objects import GitObjects
from mesh_sync.trust import signers
from mesh_sync.trust.authorization import Commit
from mesh_sync.trust.commit_signature import is_signed
from mesh_sync.trust.signature import SSH, read
from unit.software_keys import BEGIN, END, header

WHO = "anna@x.org"


class Signed:
    """``kind`` of ssh-keygen's; empty for none, when the test has keys of its own."""

    def __init__(self, place: Path, kind: str) -> None:
        self.place = place
        self.git("init", "-q")
        if kind:
            key = place / "key"
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True)
            self.allow(" ".join(key.with_name("key.pub").read_text().split()[:2]))
            self.git("-c", f"user.signingKey={key}", "commit", "-q", "-S", "--allow-empty", "-m", "one\n\nmore")
            self.commit = self.git("cat-file", "commit", "HEAD")

    def allow(self, public: str, options: str = "") -> None:
        """Have this key alone sign."""
        self.public = public
        (self.place / "allowed").write_text(f"{WHO} {options} {public}\n" if options else f"{WHO} {public}\n")

    def git(self, *words: str, input: bytes = b"") -> bytes:
        who = ["-c", "user.name=n", "-c", "user.email=n@x.org", "-c", "gpg.format=ssh"]
        file = f"gpg.ssh.allowedSignersFile={self.place / 'allowed'}"
        argv = ["git", "-C", str(self.place), *who, "-c", file, *words]
        return subprocess.run(argv, check=True, capture_output=True, input=input).stdout

    def write(self, commit: bytes) -> str:
        """Keep a commit object, whatever git thinks of it; return its name."""
        words = ("hash-object", "--literally", "-t", "commit", "-w", "--stdin")
        return self.git(*words, input=commit).decode().strip()

    def payload(self, commit: bytes) -> bytes:
        """What git takes for signed, in a commit that has a signature of any kind."""
        argv = ["git", "-C", str(self.place), "verify-commit", "--verbose", self.write(commit)]
        return subprocess.run(argv, capture_output=True).stdout

    def verifies(self, commit: bytes) -> bool:
        """Whether git takes another commit object for signed."""
        try:
            self.git("verify-commit", self.write(commit))
        except subprocess.CalledProcessError:
            return False
        return True

    def counts(self, commit: bytes, *, second_opinion: bool = False) -> bool:
        """Whether it counts as signed for a node. Raise Untrusted when git has another opinion."""
        return self._counts(GitObjects(self.place / ".git"), commit, second_opinion)

    def counts_here(self, commit: bytes) -> bool:
        """Whether it counts without git."""
        try:
            return self._counts(NoGit(self.place), commit, False)
        except GitIsAsked:
            return False

    def _counts(self, repository: GitObjects, commit: bytes, second_opinion: bool) -> bool:
        found = read(commit)
        if (found.kind, found.key, found.namespace) != (SSH, self.public, "git"):
            return False
        lines = signers.parse((self.place / "allowed").read_bytes())[0].entries
        return is_signed(repository, Commit(self.write(commit), (), found), lines, second_opinion=second_opinion)


class GitIsAsked(Exception):
    """What a commit's signature would have to be decided with."""


class NoGit(GitObjects):
    """Where nothing can be decided with git."""

    def git(self, *words: str, **_: object) -> bytes:
        raise GitIsAsked(words)


def blob(commit: bytes) -> bytes:
    """The signature of a commit."""
    return base64.b64decode(commit.partition(BEGIN)[2].partition(END)[0])


def with_blob(commit: bytes, data: bytes, columns: int = 70) -> bytes:
    """The commit with another signature."""
    before, _, rest = commit.partition(b"gpgsig " + BEGIN)
    return before + header(data, columns) + rest.partition(END + b"\n")[2]
