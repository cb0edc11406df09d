"""Root's own git and ssh settings, good or bad: they choose the way to the git host, and break no run of `now`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.failing_git_host import SSH, ask, sentence
from lab import Lab
from lab.mesh import Mesh, now, now_json, status, stranger
from lab.node import Node
from lab.waiting import eventually

pytestmark = pytest.mark.e2e

ASKED = "/run/home/asked"
"""Written by whatever should not be run."""
GITCONFIG = """
[core]
    hooksPath = /run/home/hooks
    fsmonitor = /run/home/yes
    pager = /run/home/yes
    sshCommand = /run/home/yes
    attributesFile = /run/home/attributes
    sharedRepository = 0666
    quotePath = false
    abbrev = 4
    worktree = /run/home
[fetch]
    fsckObjects = false
    prune = true
    pruneTags = true
    recurseSubmodules = true
    writeCommitGraph = true
    negotiationAlgorithm = noop
    output = compact
[transfer]
    fsckObjects = false
[gc]
    auto = 1
[color]
    ui = always
[log]
    showSignature = true
[alias]
    fetch = !touch /run/home/asked
    ls-remote = !touch /run/home/asked
[filter "x"]
    smudge = /run/home/yes
    clean = /run/home/yes
    process = /run/home/yes
[diff]
    external = /run/home/yes
[safe]
    bareRepository = explicit
[submodule]
    recurse = true
[init]
    templateDir = /run/home/template
    defaultRefFormat = reftable
    defaultObjectFormat = sha256
[gpg]
    program = /run/home/yes
[gpg "ssh"]
    program = /run/home/yes
    allowedSignersFile = /run/home/anyone
    revocationFile = /run/home/nobody
[fetch "fsck"]
    hasDotgit = ignore
    skipList = /run/home/no-such-file
[uploadpack]
    packObjectsHook = /run/home/yes
"""
SSH_CONFIG = """
Host *
    ControlMaster auto
    ControlPath /run/home/.ssh/%C
    ControlPersist 10m
    ForwardAgent yes
    RequestTTY force
    RemoteCommand cat /etc/hostname
    RemoteForward 22 127.0.0.1:22
    ExitOnForwardFailure yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    UpdateHostKeys yes
    VerifyHostKeyDNS yes
    CheckHostIP yes
    LogLevel QUIET
    VisualHostKey yes
"""


@pytest.fixture
def own(a: Node) -> Iterator[Node]:
    """Node a, whose root has settings of every kind; they go afterwards."""
    files = {"/run/home/.gitconfig": GITCONFIG, "/run/home/.ssh/config": SSH_CONFIG}
    before = {path: a.path(path).read_text() if a.path(path).exists() else None for path in files}
    yes = a.path("/run/home/yes")
    yes.write_text(f'#!/bin/sh\necho "$0 $@" >>{ASKED}\n')
    yes.chmod(0o755)
    for folder in ("hooks", "template/hooks"):
        a.path(f"/run/home/{folder}").mkdir(parents=True, exist_ok=True)
        for hook in ("reference-transaction", "post-index-change", "pre-auto-gc"):
            a.path(f"/run/home/{folder}/{hook}").write_text(f"#!/bin/sh\ntouch {ASKED}\n")
            a.path(f"/run/home/{folder}/{hook}").chmod(0o755)
    for path, text in files.items():
        a.path(path).write_text(text)
    yield a
    for path, known in before.items():
        a.path(path).write_text(known) if known is not None else a.path(path).unlink()


def test_a_run_is_what_it_is_without_them(lab: Lab, mesh: Mesh, own: Node) -> None:
    """With a bare copy that is there, and with one that it has to make."""
    ask(mesh, own, SSH, deadline=20)
    for number in (31, 32):
        stranger(mesh, f"n{number}", number)
        commit = mesh.push("one more")
        found = now_json(own)
        assert (found["result"], found["commit"]) == ("applied", commit)
        assert now_json(own)["result"] == "in-sync"
        own.run(["rm", "-rf", "/var/lib/mesh-sync/wg0/repo.git"])
    assert not own.path(ASKED).exists(), own.path(ASKED).read_text()
    assert eventually(lambda: "ssh" not in own.run(["ps", "-eo", "comm"]).stdout.split())
    assert not [file for file in own.path("/run/home/.ssh").iterdir() if file.is_socket()]


def test_the_host_key_that_was_agreed_on_is_the_only_one(lab: Lab, mesh: Mesh, own: Node) -> None:
    ask(mesh, own, SSH, deadline=20)
    now(own)
    known = own.path(Node.known_hosts).read_bytes()
    lab.git.change_host_key()
    try:
        assert sentence(now(own, exit_code=3)) == f"{SSH} shows another host key than the known one"
        assert own.path(Node.known_hosts).read_bytes() == known
    finally:
        lab.git.introduce(own)
    assert status(own)["drift"] == []
