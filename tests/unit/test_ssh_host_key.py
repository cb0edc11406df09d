"""Where ssh goes for a remote, and what is kept of the key that answers there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mesh_sync.errors import ConfigError, Unreachable
from mesh_sync.invitation import ssh_host_key
from mesh_sync.invitation.ssh_host_key import HostKeys, SshTarget


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ssh://git@git.example.org/srv/mesh.git", SshTarget("git.example.org", "git")),
        ("ssh://git.example.org:2222/mesh", SshTarget("git.example.org", "", 2222)),
        ("ssh://git@[2001:db8::1]:2222/mesh", SshTarget("2001:db8::1", "git", 2222)),
        ("git+ssh://git@git.example.org/mesh", SshTarget("git.example.org", "git")),
        ("git@git.example.org:mesh.git", SshTarget("git.example.org", "git")),
        ("git.example.org:mesh.git", SshTarget("git.example.org")),
        ("git@[2001:db8::1]:mesh.git", SshTarget("2001:db8::1", "git")),
        ("https://git.example.org/mesh.git", None),
        ("git://git.example.org/mesh", None),
        ("file:///srv/mesh.git", None),
        ("/srv/mesh.git", None),
        ("./a:b", None),
        ("ssh://git.example.org:99999/mesh", None),
        ("ssh://[broken/mesh", None),
    ],
)
def test_where_ssh_goes(url: str, target: SshTarget | None) -> None:
    assert ssh_host_key.ssh_target(url) == target


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`ssh` that says its settings, and `ssh-keyscan` that says nothing, until a test writes others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    settings(folder, port="22")
    program(folder, "ssh-keyscan", "exit 0")
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def settings(folder: Path, **said: str) -> None:
    known = {"hostname": "git.example.org", "userknownhostsfile": str(folder / "known_hosts"), **said}
    program(folder, "ssh", "".join(f"echo '{key} {value}'\n" for key, value in known.items()))


@pytest.fixture
def key(tmp_path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "host"], check=True)
    return " ".join((tmp_path / "host.pub").read_text().split()[:2])


def found() -> HostKeys | None:
    return ssh_host_key.unknown_keys("ssh://git@git.example.org/mesh")


def test_a_host_that_ssh_knows_stays_as_it_is(programs: Path, key: str) -> None:
    (programs / "known_hosts").write_text(f"git.example.org {key}\n")
    assert found() is None


def test_what_an_unknown_host_shows_is_kept_under_the_name_that_ssh_looks_for(programs: Path, key: str) -> None:
    program(programs, "ssh-keyscan", f"echo '# a comment'; echo '10.1.2.3 {key}'; echo 'x broken !!'")
    settings(programs, port="2222")
    shown = found()
    assert shown is not None
    assert shown.text == f"[git.example.org]:2222 {key}\n"
    (programs / "pinned").write_text(shown.text)
    settings(programs, port="2222", userknownhostsfile=str(programs / "pinned"))
    assert found() is None, "ssh finds it there"
    settings(programs, port="2222", hostkeyalias="mesh-host")
    aliased = found()
    assert aliased is not None
    assert aliased.text == f"mesh-host {key}\n"


def test_the_fingerprint_is_the_one_that_ssh_shows(programs: Path, key: str, tmp_path: Path) -> None:
    program(programs, "ssh-keyscan", f"echo 'x {key}'")
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", tmp_path / "host.pub"], capture_output=True, text=True, check=True
    )
    hosts = found()
    assert hosts is not None
    assert hosts.fingerprints == (f"ssh-ed25519 {shown.stdout.split()[1]}",)


def test_a_host_that_shows_no_key_is_not_reached(programs: Path) -> None:
    with pytest.raises(Unreachable, match="shows no SSH host key"):
        found()


def test_a_host_behind_a_proxy_is_left_to_ssh(programs: Path) -> None:
    settings(programs, port="22", proxyjump="bastion")
    with pytest.raises(ConfigError, match="by a proxy"):
        found()


@pytest.mark.parametrize("word", ["no", "accept-new"])
def test_who_has_told_ssh_to_take_every_key_is_not_asked(programs: Path, word: str) -> None:
    settings(programs, stricthostkeychecking=word)
    assert found() is None
