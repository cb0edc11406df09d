"""The lab's DNS server and git host serve, and fail in every way that tests need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import DEAD_RESOLVER, Lab, Node

pytestmark = pytest.mark.e2e

HOME = "/run/home"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


def resolve(node: Node, name: str, family: str = "ahostsv4") -> set[str]:
    answer = node.run(["getent", family, name], check=False)
    return {line.split()[0] for line in answer.stdout.splitlines()}


# -- DNS


def test_a_name_follows_its_updates(lab: Lab) -> None:
    a = lab.node("a", "203.0.113.5", "2001:db8::5")
    assert resolve(a, "aws.com") == set()
    lab.dns.set("aws.com", "203.0.113.11", "203.0.113.12", "2001:db8::11")
    assert resolve(a, "aws.com") == {"203.0.113.11", "203.0.113.12"}
    assert resolve(a, "aws.com", "ahostsv6") == {"2001:db8::11"}
    lab.dns.set("aws.com", "203.0.113.13")
    assert resolve(a, "aws.com") == {"203.0.113.13"}
    lab.dns.remove("aws.com")
    assert resolve(a, "aws.com") == set()


def test_dns_can_be_frozen_killed_and_dead(lab: Lab) -> None:
    a = lab.node("a", "203.0.113.5")
    lab.dns.set("aws.com", "203.0.113.11")
    dig = ["dig", "+time=1", "+tries=1", "+short"]
    lab.dns.freeze()
    assert "timed out" in a.run([*dig, "aws.com"], check=False).stdout
    lab.dns.thaw()
    assert a.run([*dig, "aws.com"]).stdout == "203.0.113.11\n"
    lab.dns.kill()
    assert "refused" in a.run([*dig, "aws.com"], check=False).stdout
    lab.dns.start()
    assert a.run([*dig, "aws.com"]).stdout == "203.0.113.11\n"
    a.set_resolvers(DEAD_RESOLVER)
    assert "timed out" in a.run([*dig, "aws.com"], check=False).stdout


# -- git


def test_what_the_operator_pushes_a_node_clones_over_ssh_and_git(lab: Lab) -> None:
    a, operator = lab.node("a", "203.0.113.5"), lab.operator
    operator.run(["git", "clone", lab.git.url, "mesh"], cwd=HOME)
    commit = "echo 'format = 1' >mesh.toml && git add . && git commit -m 'mesh: start' && git push origin main"
    operator.run(["sh", "-c", commit], cwd=f"{HOME}/mesh")
    for url in (lab.git.url, lab.git.daemon_url):
        a.run(["git", "clone", url, "copy"], cwd=HOME)
        assert a.path(f"{HOME}/copy/mesh.toml").read_text() == "format = 1\n"
        a.run(["rm", "-r", "copy"], cwd=HOME)
    assert (lab.git.bare / "refs/heads/main").exists()


def test_git_can_refuse_vanish_hang_and_be_somebody_else(lab: Lab) -> None:
    a = lab.node("a", "203.0.113.5", "2001:db8::5")
    ssh = {"GIT_SSH_COMMAND": "ssh -o ConnectTimeout=1 -o BatchMode=yes"}

    def look(url: str = lab.git.url) -> str:
        return a.run(["git", "ls-remote", url], env=ssh, check=False).stderr

    assert look() == ""
    lab.git.allow([])
    assert "Permission denied" in look()
    lab.git.allow([a])
    lab.git.freeze()
    assert "timed out" in look()
    lab.git.thaw()
    lab.git.kill()
    assert "refused" in look()
    assert "refused" in look(lab.git.daemon_url)
    lab.git.start()
    assert look(lab.git.daemon_url) == ""
    lab.git.change_host_key()
    assert "IDENTIFICATION HAS CHANGED" in look()
