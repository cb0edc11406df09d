"""The reference mesh from nothing, by the commands a person types: four clouds, their LANs, one list in git."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest

from lab import PLACES, Lab, Node, Site, host_pairs, reachability, reference_mesh
from lab.mesh import WORK, dump, now, now_json
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e


def router_state(node: Node) -> Mapping[str, str]:
    """What a node does with other hosts' packets, and where it sends its own."""
    programs = {
        "forwarding": ["sysctl", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"],
        "firewall": ["nft", "list", "ruleset"],
        "rules": ["ip", "rule"],
        "routes": ["ip", "route"],
        "links": ["ip", "-brief", "link"],
    }
    return {what: node.run(argv).stdout for what, argv in programs.items()}


@pytest.fixture(scope="module")
def networks(lab: Lab) -> Mapping[str, Site]:
    return reference_mesh(lab)


@pytest.fixture(scope="module")
def untouched(networks: Mapping[str, Site]) -> Mapping[str, Mapping[str, str]]:
    """The gateways before mesh-sync was ever there."""
    return {name: router_state(site.gateway) for name, site in networks.items()}


@pytest.fixture(scope="module")
def mesh(lab: Lab, networks: Mapping[str, Site], untouched: object) -> Mapping[str, Site]:
    """`init`, a push, four times `join`, and `now` on each."""
    lab.operator.run(["mesh-sync", "init", WORK])
    lab.operator.run(["git", "-C", WORK, "push", lab.git.url, "main"])
    for place in PLACES:
        where = ["--endpoint", place.endpoint, "--subnet", place.lan, "--masquerade", "eth0"]
        networks[place.name].gateway.run(
            ["mesh-sync", "join", lab.git.url, "--name", place.name, *where, "--trust", "none"]
        )
    for site in networks.values():
        now(site.gateway)
    return networks


@pytest.fixture
def aws_down(mesh: Mapping[str, Site]) -> Iterator[Node]:
    gateway = mesh["aws"].gateway
    gateway.run(["mesh-sync", "down"])
    yield gateway
    gateway.run(["mesh-sync", "up"])


def test_every_node_has_the_address_it_was_promised(mesh: Mapping[str, Site]) -> None:
    for place in PLACES:
        gateway = mesh[place.name].gateway
        assert f"inet {place.mesh_address}/32" in gateway.run(["ip", "address", "show", "wg0"]).stdout
        assert len(dump(gateway)) == 1 + 3


def test_all_twelve_pairs_of_nodes_reach_each_other(mesh: Mapping[str, Site]) -> None:
    pairs = [(mesh[source.name].gateway, target.mesh_address) for source, target in itertools.permutations(PLACES, 2)]
    found = reachability(pairs)
    assert len(found) == 12
    assert all(found.values()), found


def test_all_twelve_pairs_of_private_networks_reach_each_other(mesh: Mapping[str, Site]) -> None:
    found = reachability(host_pairs(mesh))
    assert len(found) == 12
    assert all(found.values()), found


def test_a_host_that_knows_no_way_back_answers_because_it_is_asked_by_its_gateway(mesh: Mapping[str, Site]) -> None:
    site = mesh["azure"]
    site.host.ip(f"route replace default via {site.lan.v4[1]}")
    try:
        target = str(site.lan.v4[10])
        assert reachability([(mesh["gcp"].host, target)])["gcp-host", target]
    finally:
        site.host.ip(f"route replace default via {site.lan.v4[2]}")


def test_only_the_list_left_a_node_and_its_secrets_are_its_own(lab: Lab, mesh: Mapping[str, Site]) -> None:
    lab.operator.run(["git", "-C", WORK, "pull", "-q", lab.git.url, "main"])
    files = set(lab.operator.run(["git", "-C", WORK, "ls-files", "peers"]).stdout.split())
    assert {f"peers/{place.name}.toml" for place in PLACES} <= files
    lab.operator.run(["mesh-sync", "check", WORK])
    for place in PLACES:
        gateway = mesh[place.name].gateway
        key, conf = gateway.path("/etc/mesh-sync/private.key"), gateway.path("/etc/wireguard/wg0.conf")
        assert key.stat().st_mode & 0o777 == conf.stat().st_mode & 0o777 == 0o600
        assert not lab.operator.run(["grep", "-rF", key.read_text().strip(), WORK], check=False).stdout


def test_wg0_conf_is_a_file_that_wg_quick_brings_up_too(mesh: Mapping[str, Site], aws_down: Node) -> None:
    aws_down.run(["wg-quick", "up", "wg0"])
    try:
        assert reachability([(aws_down, "10.0.0.3")])["aws-gw", "10.0.0.3"]
    finally:
        aws_down.run(["wg-quick", "down", "wg0"])


def test_down_undoes_forwarding_and_masquerading(
    mesh: Mapping[str, Site], untouched: Mapping[str, Mapping[str, str]]
) -> None:
    gateway = mesh["aws"].gateway
    assert "masquerade" in router_state(gateway)["firewall"]
    assert "ip_forward = 1" in router_state(gateway)["forwarding"]
    gateway.run(["mesh-sync", "down"])
    try:
        assert router_state(gateway) == untouched["aws"]
    finally:
        gateway.run(["mesh-sync", "up"])
    assert "masquerade" in router_state(gateway)["firewall"]
    pair = (mesh["aliyun"].host, str(mesh["aws"].lan.v4[10]))
    assert reachability([pair])[pair[0].name, pair[1]]


def test_down_leaves_forwarding_on_where_it_was_on_before(mesh: Mapping[str, Site], aws_down: Node) -> None:
    aws_down.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    try:
        aws_down.run(["mesh-sync", "up"])
        aws_down.run(["mesh-sync", "down"])
        assert "ip_forward = 1" in router_state(aws_down)["forwarding"]
    finally:
        aws_down.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"])


def test_a_node_that_is_no_gateway_any_longer_has_no_rules_of_one(aws_down: Node) -> None:
    """Forwarding was on before, so that the table alone tells that mesh-sync was here."""
    file = aws_down.path("/etc/mesh-sync/node.toml")
    before = file.read_text()
    for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
        aws_down.run(["sysctl", "-qw", f"net.{name}=1"])
    try:
        now(aws_down)
        assert "masquerade" in router_state(aws_down)["firewall"]
        left = [line for line in before.splitlines(True) if "gateway" not in line and "masquerade" not in line]
        file.write_text("".join(left))
        now(aws_down)
        assert router_state(aws_down)["firewall"] == ""
    finally:
        file.write_text(before)
        for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            aws_down.run(["sysctl", "-qw", f"net.{name}=0"])


def test_down_twice_is_down_and_now_comes_back(mesh: Mapping[str, Site], aws_down: Node) -> None:
    aws_down.run(["mesh-sync", "down"])
    assert "wg0" not in router_state(aws_down)["links"]
    done = now_json(aws_down)
    assert done["result"] == "applied"
    assert done["changes"][0]["kind"] == "interface-added"
    assert now_json(aws_down)["result"] == "in-sync"


def test_joining_again_changes_nothing(lab: Lab, mesh: Mapping[str, Site]) -> None:
    gateway = mesh["gcp"].gateway
    before = [gateway.path(f"/etc/mesh-sync/{name}").read_text() for name in ("node.toml", "private.key")]
    head = (lab.git.bare / "refs/heads/main").read_text()
    gateway.run(["mesh-sync", "join", lab.git.url, "--name", "gcp", "--trust", "none"])
    after = [gateway.path(f"/etc/mesh-sync/{name}").read_text() for name in ("node.toml", "private.key")]
    assert after == before
    assert (lab.git.bare / "refs/heads/main").read_text() == head


def test_joining_again_with_other_wishes_says_that_they_are_not_heard(lab: Lab, mesh: Mapping[str, Site]) -> None:
    join = ["mesh-sync", "join", lab.git.url, "--name", "gcp", "--trust", "none"]
    said = mesh["gcp"].gateway.run([*join, "--subnet", "192.168.99.0/24", "--masquerade", "eth9"]).stdout
    assert "in the list already, and its subnets stay as they are there" in said
    assert "node.toml is there already and stays as it is" in said


def test_joining_by_review_twice_is_one_request(lab: Lab, mesh: Mapping[str, Site]) -> None:
    first, second = lab.node("first", "203.0.113.71"), lab.node("second", "203.0.113.72")
    join = ["mesh-sync", "join", lab.git.url, "--name", "reviewed", "--trust", "none", "--review"]
    assert "once the branch is merged" in first.run(join).stdout
    branch = (lab.git.bare / "refs/heads/join/reviewed").read_text()
    assert "the branch join/reviewed is there already, with this machine's key" in first.run(join).stdout
    done = second.run(join, check=False)
    assert done.returncode == 2
    assert "it is not this machine's" in done.stderr
    assert (lab.git.bare / "refs/heads/join/reviewed").read_text() == branch


def test_a_machine_that_may_not_push_is_told_its_public_key(lab: Lab, mesh: Mapping[str, Site]) -> None:
    node = lab.node("reader", "203.0.113.73")
    hook = lab.git.bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    try:
        done = node.run(["mesh-sync", "join", lab.git.url, "--name", "reader", "--trust", "none"], check=False)
    finally:
        hook.unlink()
    assert done.returncode == 3
    key = keys.public_key(node.path("/etc/mesh-sync/private.key").read_text().strip())
    assert f"mesh-sync peer add reader --public-key {key}" in done.stderr
