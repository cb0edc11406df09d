"""The git host, and the node's own bare copy: the `git` program with every door shut that a repository could open.

GitPython is for the places where people make commits; a node on a one-minute timer starts git itself.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from mesh_sync import run as processes
from mesh_sync.errors import CommandError, DeviceError, Refused, TooMuchPrinted, Unreachable
from mesh_sync.files import make_folder
from mesh_sync.findings import Finding, printable
from mesh_sync.node import Repository
from mesh_sync.repository.git_program import MANY_PACKS, git
from mesh_sync.run import run, run_bytes

if TYPE_CHECKING:
    from mesh_sync.mesh.tree import Tree

T = TypeVar("T")
CANDIDATE = "refs/mesh/candidate"
SHORTEST = 0.1
"""Seconds; in less, nobody is asked."""
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SECRET = re.compile(r"([a-z+]+://)([^/\s:]*)(:[^/\s]*)?@")
_FORGED = re.compile(r"object ([0-9a-f]{40,64}): \w+: (.+)")
"""What git's own check of what it is sent (fetch.fsckObjects) says of an object."""
_TROUBLE = (
    ("host key verification failed", "shows another host key than the known one"),
    ("no matching host key|host key for .* has changed", "shows another host key than the known one"),
    ("permission denied|authentication failed|could not read (username|password)|returned error: 403",
     "refuses this node's credentials"),
    ("could not resolve|name or service not|temporary failure in name|unable to look up", "has a name nobody resolves"),
    ("connection refused", "refuses the connection"),
    ("timed out|no answer within|timeout was reached", "gives no answer"),
    ("no route to host|network is unreachable|unable to connect|failed to connect", "cannot be reached"),
    ("out of memory|cannot allocate memory", "sends what needs more memory than git is given here"),
    ("file too large|signal 25|sigxfsz|invalid index-pack output", "has a repository larger than this node takes"),
    ("does not appear to be a git repo|not found|does not exist|not exported", "has no such repository"),
)  # fmt: skip


@frozen
class Head:
    """The branch's commit as one of the remotes tells it."""

    url: str
    commit: str


class Remote:
    """The remotes of one node. All that is asked of them together takes no longer than the deadline.

    ``whole``: the history is to be verified, so nothing of it may be missing. ``seconds``: another deadline than
    node.toml's.
    """

    def __init__(
        self, repository: Repository, bare: Path, *, whole: bool = False, seconds: float | None = None
    ) -> None:
        self.settings = repository
        self.bare = bare
        self.whole = whole
        self._end = time.monotonic() + (repository.deadline if seconds is None else seconds)

    def head(self) -> Head:
        """Ask the remotes, in order, for the branch's commit. Raise Unreachable when none can tell."""
        return self._first(self._ask, self.settings.urls)

    def fetch(self, first: str) -> str:
        """Bring the branch into the bare copy, from ``first`` or else another remote; return the commit that came.

        A damaged copy is made anew. Raise Refused when what is sent is no sound git history.
        """
        urls = [first, *(url for url in self.settings.urls if url != first)]
        self._make_bare()
        try:
            commit = self._first(self._fetch, urls)
        except Unreachable:
            if self._is_sound():
                raise
            self.discard()
            self._make_bare()
            commit = self._first(self._fetch, urls)
        self._tidy()
        return commit

    def give_up(self) -> None:
        """From now on the time is up: no other remote is asked."""
        self._end = time.monotonic()

    @property
    def time_is_up(self) -> bool:
        """Whether no remote is asked any more."""
        return self._end - time.monotonic() < SHORTEST

    def _first(self, action: Callable[[str, float], T], urls: Sequence[str]) -> T:
        problems = []
        for index, url in enumerate(urls):
            seconds = (self._end - time.monotonic()) / (len(urls) - index)
            if seconds < SHORTEST:
                problems.append(f"{public(url)} was not asked: the time is up")
                continue
            try:
                return action(url, seconds)
            except Unreachable as error:
                problems.append(error.message)
            except CommandError as error:
                raise_if_local(error)
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
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", *([] if self.whole else ["--update-shallow"])]
        refspec = f"+refs/heads/{self.settings.branch}:{CANDIDATE}"
        argv = self._git("--git-dir", str(self.bare), "fetch", *options, "--", url, refspec)
        self._sweep()
        run(self._local("update-ref", "-d", CANDIDATE))  # what is there afterwards has come now
        try:
            run(argv, env=environment(self.settings, seconds), deadline=seconds)
        except CommandError as error:
            self._sweep()
            if forged := _FORGED.findall(_own_words(error.stderr)):
                findings = [Finding(".", "", f"{what} (git object {name[:10]})") for name, what in forged]
                raise Refused(f"{public(url)} sends what is no sound git history", findings=findings) from None
            if error.status is None and "no answer within" in error.message:
                text = f"{public(url)} did not deliver branch {self.settings.branch!r} within {seconds:.0f} s"
                raise Unreachable(text) from None
            raise
        if not self.has(CANDIDATE):  # git only warns that it does not take what is shallow
            text = f"{public(url)} has a shortened (shallow) history: what is not there cannot be verified"
            raise Refused(text, hint="git fetch --unshallow in that repository", lasting=False)
        return run(self._local("rev-parse", "--verify", CANDIDATE + "^{commit}")).strip()

    def _sweep(self) -> None:
        """Clear away what a git that was killed left behind: locks that would block the next one, half files."""
        for path in self.bare.rglob("*"):
            if path.suffix == ".lock" or path.name.startswith("tmp_"):
                path.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Join many small packs into one. A copy above the size allowed loses what neither the branch
        nor `keep` needs; one that is too large even so goes as a whole.
        """
        packs, size = self._packs()
        too_large = size > self.settings.max_size << 20
        if len(packs) <= MANY_PACKS and not too_large:
            return
        unneeded = () if too_large else ("--keep-unreachable",)
        try:
            run(self._local("repack", "-a", "-d", "-q", *unneeded), deadline=max(1, self._end - time.monotonic()))
        except CommandError:
            self._sweep()
        if self._packs()[1] > self.settings.max_size << 20:
            self.discard()
            raise Unreachable(f"{public(self.settings.urls[0])} has a repository larger than this node takes")

    def _packs(self) -> tuple[list[Path], int]:
        """The packs of the bare copy, and the bytes that they and their indexes have."""
        files = list(self.bare.glob("objects/pack/*"))
        return [file for file in files if file.suffix == ".pack"], sum(file.stat().st_size for file in files)

    def _is_sound(self) -> bool:
        """Whether nothing is missing or broken in the bare copy, as far as there is time to see."""
        seconds = self._end - time.monotonic()
        if seconds < SHORTEST:
            return True
        try:
            run(self._local("fsck", "--no-dangling", "--no-progress"), deadline=seconds)
        except CommandError as error:
            return error.status is None
        return True

    def tree(self, commit: str) -> Tree:
        """The files of a commit that the bare copy has. Raise CommandError when the copy is damaged, Unreachable when
        it takes too long or too much memory to read.
        """
        from mesh_sync.mesh import tree
        from mesh_sync.repository import objects  # with all that knows a mesh, which an idle run needs not

        try:
            listing = run_bytes(
                self._local("ls-tree", "-r", "-l", "-z", "--full-tree", commit), most=objects.MAX_LISTING
            )
            wanted, findings = tree.choose(objects.entries(listing))
            blobs = "".join(f"{entry.blob}\n" for entry in wanted)
            most = objects.most_packed(wanted)
            packed = run_bytes(self._local("cat-file", "--batch"), input=blobs, most=most) if wanted else b""
        except TooMuchPrinted:
            return tree.Tree({}, (Finding(".", "", tree.TOO_MUCH),))
        except CommandError as error:
            _raise_if_too_hard(error, commit)
            raise
        return tree.Tree(dict(objects.contents(wanted, packed)), tuple(findings))

    def git(
        self,
        *words: str,
        options: Sequence[str] = (),
        input: str | None = None,
        env: Mapping[str, str] | None = None,
        deadline: float = processes.DEADLINE,
    ) -> str:
        """Run a git command on the bare copy, with git's own ``options`` before it. Raise CommandError."""
        base = {"HOME": pwd.getpwuid(os.geteuid()).pw_dir}
        argv = self._git("--git-dir", str(self.bare), *options, *words)
        return run(argv, input=input, env={**base, **(env or {})}, deadline=deadline).strip()

    def is_whole(self) -> bool:
        """Whether the bare copy has all the history that its verification needs."""
        return not (self.whole and (self.bare / "shallow").exists())

    def keep(self, **commits: str | None) -> None:
        """Hold on to these commits of the bare copy, each under a name: git clears away what no name leads to."""
        for name, commit in commits.items():
            if commit and self.has(commit):
                run(self._local("update-ref", f"refs/mesh/{name}", commit))

    def has(self, commit: str) -> bool:
        """Whether the bare copy holds ``commit``."""
        try:
            run(self._local("cat-file", "-e", commit + "^{commit}"))
        except CommandError:
            return False
        return True

    def discard(self) -> None:
        """Throw the bare copy away; the next fetch makes it anew."""
        import shutil

        shutil.rmtree(self.bare, ignore_errors=True)

    def _make_bare(self) -> None:
        if not self.is_whole():
            self.discard()
        if (self.bare / "HEAD").exists():
            return
        try:
            make_folder(self.bare.parent)
            run(
                self._git("init", "--quiet", "--bare", "--template=", str(self.bare)), env=environment(self.settings, 1)
            )
        except OSError as error:
            raise DeviceError(f"{self.bare} cannot be made: {error.strerror}") from None

    def _local(self, *words: str) -> list[str]:
        return self._git("--git-dir", str(self.bare), *words)

    def _git(self, *words: str) -> list[str]:
        return git(*words, max_size=self.settings.max_size)


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
    lines = (line.strip() for line in said.splitlines())
    first = next((line for line in lines if line and not line.lower().startswith("warning:")), "")
    return f"cannot be read: {printable(public(first))}" if first else "cannot be read"


def _own_words(said: str) -> str:
    """What git says itself, without what the remote let it say."""
    return "\n".join(line for line in said.splitlines() if not line.startswith("remote:"))


def raise_if_local(error: CommandError) -> None:
    """What is wrong with this machine is not the remote's fault."""
    if re.search("No space left|couldn't write|unable to write", _own_words(error.stderr)):
        raise DeviceError(error.message) from None
    if "not installed" in error.message:
        raise DeviceError(error.message) from None


def _raise_if_too_hard(error: CommandError, commit: str) -> None:
    """What is not damaged, and yet cannot be read here."""
    said = (error.stderr or error.message).lower()
    if "no answer within" in said:
        raise Unreachable(f"commit {commit[:10]} takes too long to read") from None
    if "out of memory" in said or "cannot allocate memory" in said:
        raise Unreachable(f"commit {commit[:10]} needs more memory than git is given here") from None


def public(text: str) -> str:
    """A remote's address, or a sentence with one in it, without passwords; over HTTP a user name can be a token."""
    return _SECRET.sub(lambda found: f"{found[1]}{found[2]}@" if "ssh" in found[1] else f"{found[1]}...@", text)
