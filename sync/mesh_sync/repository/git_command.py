"""The git program: how it is started, and what its words on stderr mean; no other module matches them.

Nothing that a repository could switch on, and no more of the machine than git needs: what arrives from a git host can
be made to fill a disk, the memory or a day (docs/limits.md). git exits with 1 or 128 for everything, so that only its
words, and those of the ssh it starts, in the C locale, tell its failures apart. Lines that begin with `remote:` are the
git host's, and prove nothing.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.findings import Finding, printable
from mesh_sync.system.run import limited

MEMORY = 192
"""MiB that a git process may allocate; 3,000 peers in 100,000 commits need a third of it."""
MANY_PACKS = 50
"""Packs in the bare copy, one for each fetch, before they are joined; git's own figure (gc.autoPackLimit)."""
_CLOSED = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.askPass=", "credential.interactive=false",
    "protocol.ext.allow=never", "fetch.recurseSubmodules=false", "fetch.fsckObjects=true",
    "advice.detachedHead=false",
)  # fmt: skip
_BOUNDED = (
    "core.bigFileThreshold=1m",  # larger files are read piece by piece
    "core.packedGitWindowSize=16m", "core.packedGitLimit=64m", "core.deltaBaseCacheLimit=16m",
    "pack.threads=1", "pack.windowMemory=32m",
    "fetch.unpackLimit=1",  # what arrives stays packed: unpacked, a megabyte can be gigabytes
    "gc.auto=0", "maintenance.auto=false",  # and is never unpacked later; `BareCopy` joins packs itself
)  # fmt: skip
MOST_QUOTED = 200
"""Characters of git's output that a message quotes: a hostile host can make git print anything."""
OVERTAKEN = ("fetch first", "non-fast-forward", "cannot lock ref")
"""Another push came first."""
NO_SUCH_REF = "remote ref"
OUT_OF_MEMORY = ("out of memory", "Out of memory", "Cannot allocate memory")
CANNOT_VERIFY = ("could not create temp", "cannot run", "No space left", "failed writing detached signature")
"""This machine, not the signature, is why `git verify-commit` fails."""
_DISK = ("No space left", "couldn't write", "unable to write")
_UNSOUND = re.compile(r"object ([0-9a-f]{40,64}): \w+: (.+)")
"""What git's own check of what it receives (fetch.fsckObjects) prints about an object."""
_SECRET = re.compile(r"([a-z+]+://)([^/\s:]*)(:[^/\s]*)?@")
_TROUBLE = (
    ("host key verification failed", "shows another host key than the known one"),
    ("no matching host key|host key for .* has changed", "shows another host key than the known one"),
    ("permission denied|authentication failed|could not read (username|password)|returned error: 403",
     "refuses this node's credentials"),
    ("could not resolve|name or service not|temporary failure in name|unable to look up",
     "has a name that does not resolve"),
    ("connection refused", "refuses the connection"),
    ("timed out|timeout was reached", "gives no answer"),
    ("no route to host|network is unreachable|unable to connect|failed to connect", "cannot be reached"),
    ("out of memory|cannot allocate memory", "sends what needs more memory than git is given here"),
    ("file too large|signal 25|invalid index-pack output", "has a repository larger than this node takes"),
    ("does not appear to be a git repo|not found|does not exist|not exported", "has no such repository"),
)  # fmt: skip


def git(*words: str, max_size: int) -> list[str]:
    """The command line; ``max_size``: MiB of one file that git may write."""
    options = [part for setting in _CLOSED + _BOUNDED for part in ("-c", setting)]
    return limited(["git", "--no-replace-objects", *options, *words], memory=MEMORY, file=max_size)


def trouble(error: CommandError) -> str:
    """Given a git command on a remote that failed, return what is wrong with the remote, as the end of a sentence."""
    if error.reason is Reason.DEADLINE:
        return "gives no answer"
    if error.reason is Reason.SIGNAL and error.status == signal.SIGXFSZ:
        return "has a repository larger than this node takes"
    for pattern, meaning in _TROUBLE:
        if re.search(pattern, error.stderr.lower()):
            return meaning
    lines = (line.strip() for line in (error.stderr or error.message).splitlines())
    first = next((line for line in lines if line and not line.lower().startswith("warning:")), "")
    words = public(first)  # before it is cut: half an address would not be recognized
    words = words if len(words) <= MOST_QUOTED else words[:MOST_QUOTED] + "…"
    return f"cannot be read: {printable(words)}" if words else "cannot be read"


def public(text: str) -> str:
    """A remote's address, or a sentence with one in it, without passwords; over HTTP a user name can be a token."""
    return _SECRET.sub(lambda found: f"{found[1]}{found[2]}@" if "ssh" in found[1] else f"{found[1]}...@", text)


def unsound(error: CommandError) -> Iterator[Finding]:
    """What git's check finds wrong with the objects that a remote sends."""
    for name, what in _UNSOUND.findall(_own_words(error)):
        yield Finding(".", "", f"{what} (git object {name[:10]})")


def raise_if_local(error: CommandError) -> None:
    """Raise DeviceError when this machine is at fault, not the remote."""
    if error.reason is Reason.NOT_FOUND or any(words in _own_words(error) for words in _DISK):
        raise DeviceError(error.message) from None


def _own_words(error: CommandError) -> str:
    """What git prints itself, without what it passes on from the remote."""
    return "\n".join(line for line in error.stderr.splitlines() if not line.startswith("remote:"))
