"""The command that `join` prints for an admin, where the machine may not do it itself: the admin's list takes it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.errors import MeshSyncError
from mesh_sync.membership.enlist import JoinRequest, enlist
from mesh_sync.node.config import Repository
from mesh_sync.repository.fresh_copy import FreshCopy, with_fresh_copy
from mesh_sync.wireguard import keys
from unit.git_identity import as_alice
from unit.test_publish import make


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    as_alice(monkeypatch)


def printed(home: Path, place: Path, ssh_key: str) -> list[str]:
    """What is to be run when the machine `pc`, with a subnet, may not enlist itself."""
    host = place / "host.git"
    subprocess.run(["git", "clone", "-q", "--bare", home, host], check=True)
    (host / "hooks/pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (host / "hooks/pre-receive").chmod(0o755)
    (place / "node").mkdir()
    (place / "node/signing.key").write_bytes((place / "pc").read_bytes())
    (place / "node/signing.key").chmod(0o600)
    (place / "node/signing.key.pub").write_text(ssh_key)
    request = JoinRequest(config=place / "node/node.toml", url=f"file://{host}", name="pc", trust="signed",
                          subnets=("192.168.3.0/24",), endpoints=("pc.example.org:51820",))  # fmt: skip
    key = keys.public_key(keys.generate())

    def work(copy: FreshCopy) -> None:
        enlist(copy, request, key, ssh_key, lambda text: None)

    with pytest.raises(MeshSyncError) as caught:
        with_fresh_copy(Repository(urls=(request.url,)), request.url, work, whole=True)
    line = next(line for line in caught.value.hint.split("\n") if "mesh-sync peer add" in line)
    return shlex.split(line[line.index("mesh-sync peer add") :])


@pytest.mark.parametrize("world", ["signed", "signed, and the key is listed already", "not signed"])
def test_an_admin_can_run_the_command_that_join_prints(tmp_path: Path, world: str) -> None:
    home, ssh_key = tmp_path / "home", make(tmp_path / "pc")
    make(tmp_path / "admin")
    signer = ("--signer", "alice@example.org", "--signing-key", tmp_path / "admin")
    mesh_sync("init", home, *(signer if "not" not in world else ())).fine()
    if "already" in world:
        mesh_sync("signer", "add", "pc@node.home", ssh_key, "--commit", "-C", home).fine()
        again = mesh_sync("signer", "add", "pc@node.home", ssh_key, "-C", home).fine()
        assert "pc@node.home may sign with this key already; nothing was written" in again
    program, *words = printed(home, tmp_path, ssh_key)
    assert program == "mesh-sync"
    assert "committed" in mesh_sync(*words, "-C", home).fine()
    assert "pc" in mesh_sync("peer", "list", "-C", home).fine()
