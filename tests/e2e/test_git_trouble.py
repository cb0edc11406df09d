"""Whatever the git host does, a run ends in time with one sentence, and the last applied state stays in force."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess

import pytest

from lab import DEAD_RESOLVER, Lab, Node, steady_ping, tarpit
from lab.mesh import Mesh, dump, now, now_json, status, two_peers
from lab.segment import Family
from lab.snapshot import conf_of, device
from lab.waiting import eventually

pytestmark = pytest.mark.e2e

HOST = "git.example.org"
GIT = f"git://{HOST}/mesh.git"
SSH = f"ssh://git@{HOST}/srv/mesh.git"
COPY = "/var/lib/mesh-sync/wg0/repo.git"
FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")
START = 10.0
"""Seconds that a run may take beyond its deadline on a slow and busy machine."""


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    """Peers a and b, up and talking."""
    mesh = two_peers(lab)
    assert reaches(mesh.nodes["a"], "10.0.0.22")
    return mesh


@pytest.fixture
def a(mesh: Mesh) -> Iterator[Node]:
    """The node under test; afterwards it is well again."""
    node = mesh.nodes["a"]
    yield node
    ask(mesh, node, GIT, deadline=20)
    now(node)


def ask(mesh: Mesh, node: Node, *urls: str, deadline: int = 3, **settings: object) -> None:
    """Let the node ask these remotes, with the lab's ssh key and known hosts."""
    ssh = {"identity_file": Node.ssh_key, "known_hosts_file": Node.known_hosts}
    mesh.configure(node, repository={"urls": list(urls), "deadline": deadline, **ssh, **settings})


def reaches(node: Node, address: str, seconds: int = 10) -> bool:
    return node.run(["ping", "-c1", f"-w{seconds}", "-i0.2", address], check=False).returncode == 0


def mtu(node: Node) -> int:
    return int(node.run(["cat", "/sys/class/net/wg0/mtu"]).stdout)


def sentence(done: CompletedProcess[str]) -> str:
    """The one sentence on stderr."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("mesh-sync: ")
    return lines[0].removeprefix("mesh-sync: ")


def unreachable(node: Node, within: float = 3) -> str:
    """Run `now` on a node that has drifted: it says one sentence, in time, and the rest is as ever."""
    before, written, commit = device(node), conf_of(node), status(node)["commit"]
    node.ip("link set wg0 mtu 1300")
    with steady_ping(node, "10.0.0.22") as loss:
        begin = time.monotonic()
        done = now(node, exit_code=3)
        took = time.monotonic() - begin
    assert took < within + START
    assert "MTU 1300 -> 1420" in done.stdout
    assert mtu(node) == 1420
    assert (device(node), conf_of(node), status(node)["commit"]) == (before, written, commit)
    assert loss.lost == 0
    return sentence(done)


# -- the host is not there


@contextmanager
def down(lab: Lab) -> Iterator[None]:
    lab.git.kill()
    try:
        yield
    finally:
        lab.git.start()


@contextmanager
def swallowed(lab: Lab) -> Iterator[None]:
    for family in FAMILIES:
        lab.git.host.port.block(family)
    try:
        yield
    finally:
        for family in FAMILIES:
            lab.git.host.port.unblock(family)


@contextmanager
def frozen(lab: Lab) -> Iterator[None]:
    lab.git.freeze()
    try:
        yield
    finally:
        lab.git.thaw()


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


# -- too much


@pytest.fixture(scope="module")
def huge(lab: Lab, mesh: Mesh) -> str:
    """A repository with a list that is fine, and 3 MiB of noise beside it."""
    lab.git.repository("huge")
    script = f"""git clone -q {GIT} huge && cd huge && head -c 3145728 /dev/urandom >noise &&
        git add . && git commit -q -m noise && git push -q git://{HOST}/huge.git HEAD:main"""
    mesh.operator.run(["sh", "-c", script], cwd="/run/home")
    return f"git://{HOST}/huge.git"


def leftovers(node: Node) -> list[str]:
    names = (path.name for path in node.path(COPY).rglob("*") if path.is_file())
    return [name for name in names if name.startswith("tmp_") or name.endswith(".lock")]


def test_a_repository_larger_than_the_node_takes(mesh: Mesh, a: Node, huge: str) -> None:
    ask(mesh, a, huge, max_size=1, deadline=10)
    assert unreachable(a, within=10) == f"{huge} has a repository larger than this node takes"
    assert leftovers(a) == []
    ask(mesh, a, huge, max_size=8, deadline=10)
    assert now_json(a)["result"] == "in-sync"


def test_a_repository_that_does_not_arrive_in_time(lab: Lab, mesh: Mesh, a: Node, huge: str) -> None:
    a.run(["rm", "-r", COPY])
    ask(mesh, a, huge)
    with slow(lab):
        assert unreachable(a) == f"{huge} did not deliver branch 'main' within 3 s"
    assert leftovers(a) == []


@contextmanager
def slow(lab: Lab) -> Iterator[None]:
    """The git host sends no more than a megabit per second."""
    qdisc = ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "10kb", "latency", "1s"]
    lab.git.host.run(qdisc)
    try:
        yield
    finally:
        lab.git.host.run(["tc", "qdisc", "delete", "dev", "eth0", "root"])


# -- history that is cut short, copies that are damaged: the node copes


def test_a_remote_that_is_a_shallow_clone_serves(lab: Lab, mesh: Mesh, a: Node) -> None:
    a.run(["rm", "-r", COPY])
    first, second = mesh.push("one more"), mesh.push("and another")
    clone = ["git", "clone", "-q", "--bare", "--depth=1", "file:///srv/mesh.git", "/srv/shallow.git"]
    lab.git.host.run(clone)
    assert lab.git.host.run(["git", "-C", "/srv/shallow.git", "rev-list", "main"]).stdout.split() == [second]
    assert first != second
    ask(mesh, a, f"git://{HOST}/shallow.git")
    assert now_json(a)["commit"] == second


def test_a_copy_of_the_nodes_own_that_is_shallow_serves(mesh: Mesh, a: Node) -> None:
    mesh.push("history")
    a.run(["rm", "-r", COPY])
    a.run(["git", "clone", "-q", "--bare", "--depth=1", GIT, COPY])
    assert (a.path(COPY) / "shallow").exists()
    assert applies_the_next_commit(mesh, a)


def applies_the_next_commit(mesh: Mesh, node: Node) -> bool:
    """Push a change of b's keepalive that has not been there before, and see it arrive."""
    b = next(key for key, peer in dump(node).items() if key)
    other = 20 + int(device(node)[b]["keepalive"].replace("off", "0")) % 40
    mesh.set("b", persistent_keepalive=17)
    mesh.set("a", persistent_keepalive=other)
    commit = mesh.push("a change")
    found = now_json(node)
    return (found["result"], found["commit"]) == ("applied", commit) and dump(node)[b]["keepalive"] == str(other)


DAMAGES = {
    "all objects are gone": "rm -rf objects/?? objects/pack/*",
    "all objects are empty": "find objects -type f -exec chmod u+w {} + -exec truncate -s0 {} +",
    "all objects are cut": "find objects -type f -exec chmod u+w {} + -exec truncate -s20 {} +",
    "HEAD is empty": ": >HEAD",
    "the settings are garbage": "echo '[' >config",
    "the ref is empty": ": >refs/mesh/candidate",
    "a git that was killed left locks": "touch shallow.lock packed-refs.lock refs/mesh/candidate.lock",
    "there is nothing in it": "rm -rf ./*",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_copy_heals(mesh: Mesh, a: Node, damage: str) -> None:
    a.run(["sh", "-c", damage], cwd=COPY)
    assert now_json(a)["result"] == "in-sync"
    assert applies_the_next_commit(mesh, a)


def test_a_copy_without_one_file_of_the_commit_heals(mesh: Mesh, a: Node) -> None:
    commit = mesh.push("whole")
    now(a)
    git = ["git", f"--git-dir={COPY}"]
    blob = a.run([*git, "rev-parse", f"{commit}:peers/b.toml"]).stdout.strip()
    a.run([*git, "repack", "-adq"])
    loosen = "mv objects/pack/*.pack . && cat *.pack | git unpack-objects -q && rm -r *.pack objects/pack"
    a.run(["sh", "-c", loosen], cwd=COPY)
    a.run(["rm", f"{COPY}/objects/{blob[:2]}/{blob[2:]}"])
    a.run(["rm", "-r", "/var/lib/mesh-sync/wg0/state.json"])
    assert now_json(a)["commit"] == commit
    assert a.run([*git, "cat-file", "-t", blob]).stdout == "blob\n"


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


# -- stopping


def processes(node: Node) -> str:
    return node.run(["ps", "-eo", "args"]).stdout


STARTED = ("git", "ssh", "/usr/lib/git")


def stopped(node: Node, program: str) -> None:
    """Ctrl-C while `program` hangs ends the run and everything it started."""
    run = node.popen(["mesh-sync", "now"])
    assert eventually(lambda: program in processes(node))
    begin = time.monotonic()
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=2 * START)
    assert time.monotonic() - begin < START
    assert (run.returncode, said.strip()) == (130, "stopped")
    assert eventually(lambda: not any(line.startswith(STARTED) for line in processes(node).splitlines()))


def test_ctrl_c_ends_a_look_that_hangs(lab: Lab, mesh: Mesh, a: Node) -> None:
    ask(mesh, a, SSH, GIT, f"git://{HOST}/other.git", deadline=30)
    with frozen(lab):
        stopped(a, "ls-remote")
    now(a, "--wait=0")


def test_ctrl_c_ends_a_fetch_that_hangs(lab: Lab, mesh: Mesh, a: Node, huge: str) -> None:
    a.run(["rm", "-r", COPY])
    ask(mesh, a, huge, GIT, deadline=30)
    with slow(lab):
        stopped(a, "index-pack")


# -- without anything to go by


def test_a_node_that_never_had_a_list_says_the_same_and_makes_nothing(lab: Lab, mesh: Mesh) -> None:
    new = lab.node("new", "203.0.113.99")
    mesh.configure(new, name="new", repository={"urls": [GIT], "deadline": 3})
    with down(lab):
        assert sentence(now(new, exit_code=3)) == f"{GIT} refuses the connection"
    assert "wg0" not in new.run(["ip", "-brief", "link"]).stdout
    assert not new.path("/etc/wireguard/wg0.conf").exists()


@contextmanager
def no_git_no_dns(lab: Lab) -> Iterator[None]:
    lab.dns.kill()
    lab.git.kill()
    try:
        yield
    finally:
        lab.dns.start()
        lab.git.start()


@pytest.mark.parametrize("command", ["up", "now"])
def test_after_a_reboot_without_git_and_dns_the_mesh_is_up(lab: Lab, mesh: Mesh, a: Node, command: str) -> None:
    ask(mesh, a, GIT)
    written = conf_of(a)
    with no_git_no_dns(lab):
        for node in mesh.nodes.values():
            node.reboot()
            done = node.run(["mesh-sync", command], check=False)
            assert done.returncode == (0 if command == "up" else 3), done.stderr
            assert "gets its last known endpoint, 203.0.113." in done.stdout
        assert reaches(a, "10.0.0.22")
        assert conf_of(a) == written
    found = now_json(a)
    assert (found["result"], found["changes"]) == ("in-sync", [])


def test_a_node_that_lost_its_memory_learns_endpoints_from_the_device(lab: Lab, mesh: Mesh, a: Node) -> None:
    a.run(["rm", "/var/lib/mesh-sync/wg0/state.json"])
    assert now_json(a)["result"] == "in-sync"
    with no_git_no_dns(lab):
        a.reboot()
        assert "gets its last known endpoint, 203.0.113.22:51820" in a.run(["mesh-sync", "up"]).stdout
        assert reaches(a, "10.0.0.22")


def test_an_endpoint_from_memory_gives_way_to_what_dns_says_when_it_is_back(lab: Lab, mesh: Mesh, a: Node) -> None:
    b = next(key for key in dump(a) if key)
    mesh.nodes["b"].port.unplug()
    try:
        with no_git_no_dns(lab):
            a.reboot()
            a.run(["mesh-sync", "up"])
            assert dump(a)[b]["endpoint"] == "203.0.113.22:51820"
            a.reboot()
            a.run(["mesh-sync", "up"])
            assert dump(a)[b]["endpoint"] == "203.0.113.22:51820", "it is remembered for more than one reboot"
        lab.dns.set("b.example", "203.0.113.77")
        now(a)
        assert dump(a)[b]["endpoint"] == "203.0.113.77:51820"
    finally:
        lab.dns.set("b.example", "203.0.113.22")
        mesh.nodes["b"].port.plug()
