"""The git program: how it is started, and how its failures are worded; no other module matches its words.

Nothing that a repository could switch on, and no more of the machine than git needs: what arrives from a git host can
be made to fill a disk, the memory or a day (docs/limits.md). git exits with 1 or 128 for everything, and passes on what
the host says: words choose how a failure is put into a sentence, and decide nothing.
"""

from __future__ import annotations

import re
import signal

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.findings import printable
from mesh_sync.system.run import limited

MEMORY = 192
"""MiB that a git process may allocate; 3,000 peers in 100,000 commits need a third of it."""
MANY_PACKS = 50
"""Packs in the bare copy, one for each fetch, before they are joined; git's own figure (gc.autoPackLimit)."""
_CLOSED = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.askPass=", "credential.interactive=false",
    "fetch.recurseSubmodules=false", "advice.detachedHead=false",
    "fetch.fsckObjects=false",  # `Incoming` checks what has come, and not by what git says while a host speaks
    "protocol.allow=never",  # no remote helper of another program, no ext::, no FTP
    *(f"protocol.{name}.allow=always" for name in ("file", "git", "ssh", "http", "https")),
    "transfer.bundleURI=false",  # nothing from another place that a host would send git to
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
LARGER = "has a repository larger than this node takes"
ROOM = "raise max_size in node.toml, or have an admin push --force a branch without what made it so large"
"""What to do about that."""
DUMB = "is served without git's own protocol (dumb HTTP), which this node does not take"
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
    ("file too large|signal 25|invalid index-pack output", LARGER),
    ("dumb http", DUMB),
    (r"transport '\w*' not allowed|unable to find remote helper|is not a git command",
     "has an address of another kind than git://, ssh://, https://, http:// or a path"),
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
    if error.reason is Reason.TOO_MUCH_OUTPUT:
        return "answers without end"
    if error.reason is Reason.SIGNAL and error.status == signal.SIGXFSZ:
        return LARGER
    for pattern, meaning in _TROUBLE:
        if re.search(pattern, error.stderr.lower()):
            return meaning
    lines = (line.strip() for line in (error.stderr or error.message).split("\n"))
    first = next((line for line in lines if line and not line.lower().startswith("warning:")), "")
    return f"cannot be read: {quoted(first)}" if first else "cannot be read"


def quoted(text: str) -> str:
    """What git or a host has said, as a message quotes it: without passwords, on one line, cut if it is long."""
    words = printable(public(" ".join(text.split())))  # before it is cut: half an address would not be recognized
    return words if len(words) <= MOST_QUOTED else words[:MOST_QUOTED] + "…"


def public(text: str) -> str:
    """A remote's address, or a sentence with one in it, without passwords; over HTTP a user name can be a token."""
    return _SECRET.sub(lambda found: f"{found[1]}{found[2]}@" if "ssh" in found[1] else f"{found[1]}...@", text)


def raise_if_local(error: CommandError) -> None:
    """Raise DeviceError when git did not even start: that is this machine's fault, not the remote's."""
    if error.reason in (Reason.NOT_FOUND, Reason.NOT_STARTED):
        raise DeviceError(error.message) from None
