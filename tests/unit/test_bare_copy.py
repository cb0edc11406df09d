"""The node's bare copy stays small and quick, however often something is fetched into it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mesh_sync.node.config import Repository
from mesh_sync.repository.git_command import MANY_PACKS
from mesh_sync.repository.git_objects import tree_at
from mesh_sync.repository.remote import Remote


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository with a name to commit under."""
    git(tmp_path, "init", "-q", "-b", "main", "work")
    return tmp_path / "work"


def git(place: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *who, *words], cwd=place, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


def commit(work: Path, text: str) -> str:
    (work / "mesh.toml").write_text(text)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", text[:20])
    return git(work, "rev-parse", "HEAD")


def fetch(work: Path, bare: Path) -> Remote:
    remote = Remote(Repository(urls=(f"file://{work}",)), bare)
    remote.fetch(f"file://{work}")
    return remote


def test_many_fetches_leave_few_packs_and_every_commit(work: Path, tmp_path: Path) -> None:
    bare = tmp_path / "repo.git"
    commits = []
    for number in range(MANY_PACKS + 3):
        commits.append(commit(work, f"number = {number}"))
        remote = fetch(work, bare)
    assert len(list(bare.glob("objects/pack/*.pack"))) <= 3
    assert all(remote.bare.objects.has(one) for one in commits[:: len(commits) // 5])
    assert tree_at(remote.bare.objects, commits[0]).texts == {"mesh.toml": b"number = 0"}


def test_nothing_that_is_fetched_is_unpacked(work: Path, tmp_path: Path) -> None:
    commit(work, "format = 1")
    fetch(work, tmp_path / "repo.git")
    assert not list((tmp_path / "repo.git/objects").glob("??/*"))
