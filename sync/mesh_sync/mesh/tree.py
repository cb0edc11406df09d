"""The files of a mesh repository, from a directory or from a commit, as bytes and never as anything else.

Only regular files of bearable size are read. What is a link, a submodule or too large is a finding.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from mesh_sync.findings import Finding
from mesh_sync.mesh.layout import MESH_FILE, PEERS, POLICY_FILE, SECRETS, SIGNERS_FILE, is_peer_file, is_secret_file

MAX_FILE = 64 * 1024
"""Bytes; a peer file is some hundred."""
MAX_OTHER = 1024 * 1024
"""Bytes of a file that declares nothing; it is only searched for private keys."""
MAX_FILES = 20_000
MAX_MANIFESTS = 4 * 1024 * 1024
"""Bytes of all files that declare something; 3,000 peers have one."""
MAX_TOTAL = 16 * 1024 * 1024
"""Bytes of all files that are read."""
TOO_MUCH = f"more than {MAX_FILES:,} files or {MAX_TOTAL:,} bytes; this is not a mesh repository"
SYMLINK, SUBMODULE = 0o120000, 0o160000
REGULAR = stat.S_IFREG
PLAIN = (REGULAR | 0o644, REGULAR | 0o755)
"""The modes that git gives to files."""
RULES = frozenset({SIGNERS_FILE, POLICY_FILE})
"""The files that say who may change the others."""
GIT_SETTINGS = frozenset({".gitmodules", ".gitconfig", ".lfsconfig"})


@frozen
class Entry:
    """One path of the repository before it is read: its git mode, size in bytes, and where to read it."""

    path: str
    mode: int
    size: int
    blob: str = ""


@frozen
class Tree:
    """What was read: the texts by path, and what had to be left out."""

    texts: Mapping[str, bytes]
    findings: tuple[Finding, ...] = ()

    @property
    def manifests(self) -> dict[str, bytes]:
        """The files that declare the mesh."""
        return {path: text for path, text in self.texts.items() if _is_manifest(path)}


def choose(entries: Iterable[Entry]) -> tuple[list[Entry], list[Finding]]:
    """Given what a repository lists, return what to read and the findings on the rest."""
    wanted: list[Entry] = []
    findings: list[Finding] = []
    total = manifests = 0
    for count, entry in enumerate(entries):
        if count >= MAX_FILES or total > MAX_TOTAL:
            return [], [*findings, Finding(".", "", TOO_MUCH)]
        if manifests > MAX_MANIFESTS:
            return [], [*findings, Finding(PEERS, "", f"more than {MAX_MANIFESTS:,} bytes of peer files are not read")]
        problem = _problem(entry)
        if problem:
            findings.append(Finding(entry.path, "", problem))
        elif entry.size <= MAX_OTHER and stat.S_IFMT(entry.mode) == REGULAR:
            wanted.append(entry)
            total += entry.size
            manifests += entry.size if _is_manifest(entry.path) else 0
    return wanted, findings


def _problem(entry: Entry) -> str:
    kind = stat.S_IFMT(entry.mode)
    ours = _is_manifest(entry.path) or entry.path in RULES or entry.path + "/" in (PEERS, SECRETS)
    if entry.path.rpartition("/")[2].casefold() in GIT_SETTINGS:
        return "configures git; a mesh repository must not contain it"
    if kind == SUBMODULE:
        return "is a submodule; a mesh repository holds plain files"
    if kind == SYMLINK:
        return "is a symbolic link; replace it with a plain file"
    if kind == stat.S_IFDIR:
        return "is a directory; replace it with a plain file"
    if kind != REGULAR:
        return "is not a plain file"
    if entry.mode not in PLAIN:
        return f"has the file mode {entry.mode:o}, which git does not write"
    if ours and entry.size > MAX_FILE:
        return f"is {entry.size:,} bytes long; the limit is {MAX_FILE:,}"
    return ""


def _is_manifest(path: str) -> bool:
    return path == MESH_FILE or is_peer_file(path) or is_secret_file(path)


def from_directory(root: Path) -> Tree:
    """Read a working copy. OSError if ``root`` cannot be listed."""
    wanted, findings = choose(_walk(os.fspath(root)))
    return Tree(_read(root, wanted), tuple(findings))


def some_files(root: Path, paths: Iterable[str]) -> Tree:
    """Some files of a working copy, as far as they are there. OSError if one cannot be read."""
    there = [(path, (root / path).lstat()) for path in paths if os.path.lexists(root / path)]
    wanted, findings = choose(Entry(path, _as_git(status.st_mode), status.st_size) for path, status in there)
    return Tree(_read(root, wanted), tuple(findings))


def _read(root: Path, entries: Iterable[Entry]) -> dict[str, bytes]:
    """The files of a working copy by path. Here and below paths are text: thousands of Path objects take a while."""
    texts = {}
    for entry in entries:
        with open(f"{root}/{entry.path}", "rb", buffering=0) as file:  # noqa: PTH123 - see above
            texts[entry.path] = file.read()
    return texts


def _walk(root: str, inside: str = "") -> Iterator[Entry]:
    """All below ``root``/``inside``, in the order of git's names; ``inside`` is empty or ends with a slash."""
    with os.scandir(f"{root}/{inside}") as found:
        for item in sorted(found, key=lambda item: item.name):
            path = inside + item.name
            if item.name == ".git":
                continue
            if item.is_dir(follow_symlinks=False):
                yield from _folder(root, path)
                yield from _walk(root, path + "/")
            else:
                status = item.stat(follow_symlinks=False)
                yield Entry(path, _as_git(status.st_mode), status.st_size)


def _as_git(mode: int) -> int:
    """The mode that git would record."""
    return PLAIN[bool(mode & stat.S_IXUSR)] if stat.S_ISREG(mode) else stat.S_IFMT(mode)


def _folder(root: str, path: str) -> Iterator[Entry]:
    """A directory counts only where a file should be, or when it is a repository of its own."""
    if Path(root, path, ".git").is_file():
        yield Entry(path, SUBMODULE, 0)
    elif _is_manifest(path):
        yield Entry(path, stat.S_IFDIR, 0)
