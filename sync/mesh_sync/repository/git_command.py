"""How `git` is started: nothing that a repository could switch on, and no more of the machine than git needs.

What arrives from a git host can be made to fill a disk, the memory or a day: docs/limits.md says what stops it.
"""

from __future__ import annotations

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


def git(*words: str, max_size: int) -> list[str]:
    """The command line; ``max_size``: MiB of one file that git may write."""
    options = [part for setting in _CLOSED + _BOUNDED for part in ("-c", setting)]
    return limited(["git", "--no-replace-objects", *options, *words], memory=MEMORY, file=max_size)
