"""Whatever the git host does, a run ends in time with one sentence, and the last applied state stays in force."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from e2e.failing_git_host import GIT, HOST, SSH, START, ask, down, frozen, swallowed, unreachable
from lab import DEAD_RESOLVER, Lab, Node, tarpit
from lab.mesh import Mesh, dump, now, now_json, status
from lab.service import Service, listening
from lab.waiting import until
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("url", [GIT, SSH])
def test_a_host_that_refuses_connections(lab: Lab, mesh: Mesh, a: Node, url: str) -> None:
    ask(mesh, a, url)
    with down(lab):
        assert unreachable(a) == f"{url} refuses the connection"


@pytest.mark.parametrize("url", [GIT, SSH])
def test_a_host_whose_packets_get_lost(lab: Lab, mesh: Mesh, a: Node, url: str) -> None:
    ask(mesh, a, url, deadline=2)
    with swallowed(lab):
        assert unreachable(a, within=2) == f"{url} gives no answer"


@pytest.mark.parametrize("url", [GIT, SSH])
def test_a_host_that_takes_connections_and_never_answers(lab: Lab, mesh: Mesh, a: Node, url: str) -> None:
    ask(mesh, a, url, deadline=2)
    with frozen(lab):
        assert unreachable(a, within=2) == f"{url} gives no answer"


def test_the_deadline_is_20_seconds_by_default(lab: Lab, mesh: Mesh, a: Node) -> None:
    mesh.configure(a, repository={"urls": [GIT]})
    with frozen(lab):
        begin = time.monotonic()
        assert unreachable(a, within=20) == f"{GIT} gives no answer"
        assert time.monotonic() - begin > 19


def test_a_host_without_an_address(mesh: Mesh, a: Node) -> None:
    url = "git://nowhere.example.org/mesh.git"
    ask(mesh, a, url)
    assert unreachable(a) == f"{url} has a name that does not resolve"


@pytest.mark.parametrize("url", [GIT, SSH])
def test_a_resolver_that_is_dead(lab: Lab, mesh: Mesh, a: Node, url: str) -> None:
    ask(mesh, a, url, deadline=6)
    a.set_resolvers(DEAD_RESOLVER)
    try:
        assert unreachable(a, within=6) == f"{url} has a name that does not resolve"
    finally:
        a.set_resolvers(lab.dns.address)


# -- the host is there, the list is not


def test_a_host_with_another_key(lab: Lab, mesh: Mesh, a: Node) -> None:
    ask(mesh, a, SSH)
    assert now_json(a)["result"] == "in-sync"
    lab.git.change_host_key()
    try:
        assert unreachable(a) == f"{SSH} shows another host key than the known one"
    finally:
        for node in (a, lab.operator, mesh.nodes["b"]):
            lab.git.introduce(node)
    now(a)


def test_a_host_that_nobody_has_vouched_for(mesh: Mesh, a: Node) -> None:
    ask(mesh, a, SSH, known_hosts_file="/dev/null")
    assert unreachable(a) == f"{SSH} shows another host key than the known one"


def test_credentials_that_are_refused(lab: Lab, mesh: Mesh, a: Node) -> None:
    ask(mesh, a, SSH)
    lab.git.allow([])
    try:
        assert unreachable(a) == f"{SSH} refuses this node's credentials"
    finally:
        lab.git.introduce(a)
    now(a)


def test_an_empty_repository(lab: Lab, mesh: Mesh, a: Node) -> None:
    lab.git.repository("empty")
    url = f"git://{HOST}/empty.git"
    ask(mesh, a, url)
    assert unreachable(a) == f"{url} has no branch 'main' (is the repository empty?)"


def test_a_branch_that_is_missing(mesh: Mesh, a: Node) -> None:
    ask(mesh, a, GIT, branch="release")
    assert unreachable(a) == f"{GIT} has no branch 'release' (is the repository empty?)"


@pytest.mark.parametrize("url", [f"git://{HOST}/other.git", f"ssh://git@{HOST}/srv/other.git"])
def test_a_repository_that_is_missing(mesh: Mesh, a: Node, url: str) -> None:
    ask(mesh, a, url)
    assert unreachable(a) == f"{url} has no such repository"


def test_status_tells_since_when_no_remote_has_answered(mesh: Mesh, a: Node) -> None:
    assert status(a)["unreachable_since"] is None
    ask(mesh, a, f"git://{HOST}/other.git")
    begun = time.time()
    now(a, exit_code=3)
    since = status(a)["unreachable_since"]
    assert begun <= since <= time.time()
    assert "no remote has answered since 20" in a.run(["mesh-sync", "status"]).stdout
    state = a.path("/var/lib/mesh-sync/wg0/state.json")
    written = state.stat().st_mtime_ns
    now(a, exit_code=3)
    assert (status(a)["unreachable_since"], state.stat().st_mtime_ns) == (since, written)
    ask(mesh, a, GIT)
    now(a)
    assert status(a)["unreachable_since"] is None
    assert "no remote answers" not in a.run(["mesh-sync", "status"]).stdout


# -- passwords


@pytest.mark.parametrize("secret", ["//anna:pa5sw0rd@", "//pa5sw0rd@"])
def test_a_password_in_the_address_is_not_shown(mesh: Mesh, a: Node, secret: str) -> None:
    ask(mesh, a, f"http:{secret}{HOST}/mesh.git")
    done = now(a, "--verbose", exit_code=3)
    assert f"http://...@{HOST}/mesh.git cannot be reached" in done.stderr
    assert "pa5sw0rd" not in done.stdout + done.stderr
    found = now_json(a, exit_code=3)
    assert found["result"] == "unreachable"
    assert "pa5sw0rd" not in found["message"]


def test_a_web_server_that_never_answers(lab: Lab, mesh: Mesh, a: Node) -> None:
    ask(mesh, a, f"http://anna:pa5sw0rd@{HOST}/mesh.git", deadline=2)
    server = tarpit(lab.git.host, 80)
    try:
        assert unreachable(a, within=2) == f"http://...@{HOST}/mesh.git gives no answer"
    finally:
        server.kill()


# -- what the host says

SAYING = """
import socket, sys
server = socket.create_server(("", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin-1"))
"""
WORDS = (
    "unable to write", "fatal: No space left on device", "out of memory",
    "x\\x0bremote: error: object 1: fullPathname\\x0c\\x1b]0;owned\\x07\\xc2\\x85",
)  # fmt: skip


@contextmanager
def saying(lab: Lab, words: str) -> Iterator[str]:
    """A host that answers each request with an ERR packet; its address."""
    text = f"ERR {words}\\n"
    length = len(text.encode().decode("unicode_escape")) + 4
    server = Service(
        lab.git.host, [sys.executable, "-c", SAYING, "9419", f"{length:04x}{text}"], listening("tcp", 9419)
    )
    server.start()
    try:
        yield f"git://{HOST}:9419/mesh.git"
    finally:
        server.kill()


@pytest.mark.parametrize("words", WORDS)
def test_what_a_host_says_is_no_fault_of_this_machine(lab: Lab, mesh: Mesh, a: Node, words: str) -> None:
    """Drift is repaired, and the next remote is asked."""
    with saying(lab, words) as url:
        ask(mesh, a, url)
        said = unreachable(a)
        assert said.startswith(f"{url} ")
        assert said.isprintable()
        ask(mesh, a, url, GIT)
        commit = mesh.push("by the second")
        assert now_json(a)["commit"] == commit


def test_a_peer_expires_whatever_a_host_says(lab: Lab, mesh: Mesh, a: Node) -> None:
    guest, end = keys.public_key(keys.generate()), datetime.now(UTC) + timedelta(seconds=30)
    mesh.set("guest", public_key=guest, addresses=["10.0.0.77"], managed=False, expires=end)
    mesh.push()
    now(a)
    assert guest in dump(a)
    with saying(lab, WORDS[0]) as url:
        ask(mesh, a, url)
        until(lambda: now(a, exit_code=3) and guest not in dump(a), seconds=90)


# -- several remotes


def test_the_next_remote_is_asked_within_the_same_deadline(lab: Lab, mesh: Mesh, a: Node) -> None:
    refusing, hanging = "git://dns.example.org/mesh.git", f"http://{HOST}/mesh.git"
    lab.dns.set("dns.example.org", lab.dns.address)
    server = tarpit(lab.git.host, 80)
    try:
        ask(mesh, a, hanging, refusing, GIT, deadline=6)
        commit = mesh.push("by the third")
        begin = time.monotonic()
        assert now_json(a)["commit"] == commit
        assert time.monotonic() - begin < 6 + START
        ask(mesh, a, hanging, refusing, deadline=3)
        assert unreachable(a) == f"{hanging} gives no answer; {refusing} refuses the connection"
    finally:
        server.kill()
