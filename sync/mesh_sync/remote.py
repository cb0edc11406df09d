"""The git host, and the node's own bare copy: the `git` program with every door shut that a repository could open.

GitPython is for the places where people make commits; a node on a one-minute timer starts git itself.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from mesh_sync.errors import CommandError, DeviceError, Unreachable
from mesh_sync.node import Repository
from mesh_sync.run import run, run_bytes
from mesh_sync.tree import Entry, Tree, choose

T = TypeVar("T")
CANDIDATE = "refs/mesh/candidate"
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_CLOSED = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.askPass=", "credential.interactive=false",
    "protocol.ext.allow=never", "fetch.recurseSubmodules=false", "fetch.fsckObjects=true",
    "gc.autoDetach=false", "maintenance.autoDetach=false", "advice.detachedHead=false",
)  # fmt: skip
_TROUBLE = (
    ("host key verification failed", "shows another host key than the known one"),
    ("no matching host key|host key for .* has changed", "shows another host key than the known one"),
    ("permission denied|authentication failed|could not read (username|password)", "refuses this node's credentials"),
    ("could not resolve|name or service not|temporary failure in name|unable to look up", "has a name nobody resolves"),
    ("connection refused", "refuses the connection"),
    ("timed out|no answer within", "gives no answer"),
    ("no route to host|network is unreachable|unable to connect", "cannot be reached"),
    ("file too large|signal 25|sigxfsz", "has a repository larger than this node takes"),
    ("does not appear to be a git repo|not found|does not exist|not exported", "has no such repository"),
)  # fmt: skip


@frozen
class Head:
    """The branch's commit as one of the remotes tells it."""

    url: str
    commit: str


class Remote:
    """The remotes of one node. All that is asked of them together takes no longer than the deadline."""

    def __init__(self, repository: Repository, bare: Path) -> None:
        self.settings = repository
        self.bare = bare
        self._end = time.monotonic() + repository.deadline

    def head(self) -> Head:
        """Ask the remotes, in order, for the branch's commit. Raise Unreachable when none can tell."""
        return self._first(self._ask, self.settings.urls)

    def fetch(self, first: str) -> str:
        """Bring the branch into the bare copy, from ``first`` or else another remote; return the commit that came."""
        urls = [first, *(url for url in self.settings.urls if url != first)]
        self._make_bare()
        return self._first(self._fetch, urls)

    def _first(self, action: Callable[[str, float], T], urls: Sequence[str]) -> T:
        problems = []
        for index, url in enumerate(urls):
            seconds = (self._end - time.monotonic()) / (len(urls) - index)
            if seconds < 0.1:
                problems.append(f"{public(url)} was not asked: the time is up")
                continue
            try:
                return action(url, seconds)
            except Unreachable as error:
                problems.append(error.message)
            except CommandError as error:
                _raise_if_local(error)
                problems.append(f"{public(url)} {trouble(error.stderr or error.message)}")
        raise Unreachable("; ".join(problems))

    def _ask(self, url: str, seconds: float) -> Head:
        ref = f"refs/heads/{self.settings.branch}"
        text = run(self._git("ls-remote", "--", url, ref), env=environment(self.settings, seconds), deadline=seconds)
        for line in text.splitlines():
            commit, _, name = line.partition("\t")
            if name == ref and _COMMIT.fullmatch(commit):
                return Head(url, commit)
        raise Unreachable(f"{public(url)} has no branch {self.settings.branch!r} (is the repository empty?)")

    def _fetch(self, url: str, seconds: float) -> str:
        limit = ["prlimit", f"--fsize={self.settings.max_size * 1024 * 1024}"]
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--no-auto-maintenance"]
        refspec = f"+refs/heads/{self.settings.branch}:{CANDIDATE}"
        argv = limit + self._git("--git-dir", str(self.bare), "fetch", *options, "--", url, refspec)
        run(argv, env=environment(self.settings, seconds), deadline=seconds)
        return run(self._local("rev-parse", "--verify", CANDIDATE + "^{commit}")).strip()

    def tree(self, commit: str) -> Tree:
        """The files of a commit that the bare copy has. CommandError when the copy is damaged."""
        listing = run_bytes(self._local("ls-tree", "-r", "-l", "-z", "--full-tree", commit))
        wanted, findings = choose(_entry(line) for line in listing.split(b"\0") if line)
        blobs = "".join(f"{entry.blob}\n" for entry in wanted)
        packed = run_bytes(self._local("cat-file", "--batch"), input=blobs) if wanted else b""
        return Tree(dict(_unpack(wanted, packed)), tuple(findings))

    def has(self, commit: str) -> bool:
        """Whether the bare copy holds ``commit``."""
        try:
            run(self._local("cat-file", "-e", commit + "^{commit}"))
        except CommandError:
            return False
        return True

    def discard(self) -> None:
        """Throw the bare copy away; the next fetch makes it anew."""
        shutil.rmtree(self.bare, ignore_errors=True)

    def _make_bare(self) -> None:
        if (self.bare / "HEAD").exists():
            return
        try:
            self.bare.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            run(
                self._git("init", "--quiet", "--bare", "--template=", str(self.bare)), env=environment(self.settings, 1)
            )
        except OSError as error:
            raise DeviceError(f"{self.bare} cannot be made: {error.strerror}") from None

    def _local(self, *words: str) -> list[str]:
        return self._git("--git-dir", str(self.bare), *words)

    def _git(self, *words: str) -> list[str]:
        options = [part for setting in _CLOSED for part in ("-c", setting)]
        return ["git", "--no-replace-objects", *options, *words]


def environment(repository: Repository, seconds: float) -> dict[str, str]:
    """git's environment: root's own git and ssh settings count, questions are never asked.

    ``seconds`` bounds ssh's attempt to connect.
    """
    ssh = ["ssh", "-oBatchMode=yes", f"-oConnectTimeout={max(1, int(seconds))}"]
    if repository.identity_file:
        ssh += ["-oIdentitiesOnly=yes", "-i", str(repository.identity_file)]
    if repository.known_hosts_file:
        ssh += [f"-oUserKnownHostsFile={repository.known_hosts_file}", "-oStrictHostKeyChecking=yes"]
    return {
        "HOME": pwd.getpwuid(os.geteuid()).pw_dir,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": shlex.join(ssh),
        "SSH_ASKPASS_REQUIRE": "never",
        "RES_OPTIONS": "timeout:1 attempts:2",  # a dead first resolver costs one second, not five
    }


def trouble(said: str) -> str:
    """Given what git said on stderr, return what is wrong with its remote, as the end of a sentence."""
    for pattern, meaning in _TROUBLE:
        if re.search(pattern, said.lower()):
            return meaning
    lines = [line for line in said.splitlines() if line.strip()]
    return f"cannot be read: {lines[-1].strip()}" if lines else "cannot be read"


def _raise_if_local(error: CommandError) -> None:
    """What is wrong with this machine is not the remote's fault."""
    if "No space left" in error.stderr or "not installed" in error.message:
        raise DeviceError(error.message) from None


def public(url: str) -> str:
    """A remote's address without the password that may be in it."""
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:...@", url)


def _entry(line: bytes) -> Entry:
    attributes, _, path = line.partition(b"\t")
    mode, _, blob, size = attributes.decode().split()
    return Entry(path.decode(errors="backslashreplace"), int(mode, 8), 0 if size == "-" else int(size), blob)


def _unpack(entries: Sequence[Entry], packed: bytes) -> Iterator[tuple[str, bytes]]:
    position = 0
    for entry in entries:
        begin = packed.index(b"\n", position) + 1
        yield entry.path, packed[begin : begin + entry.size]
        position = begin + entry.size + 1
