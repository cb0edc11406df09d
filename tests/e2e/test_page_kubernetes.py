"""docs/kubernetes.md: pods and services of a cluster with k3s's addresses, from a laptop in a LAN at home."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.joined_mesh import Signed
from e2e.k3s_lab import Cluster
from lab import Lab, Node, reachability
from lab.mesh import WORK, now
from lab.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs/kubernetes.md"


def fetched(laptop: Node, url: str) -> int:
    """How many bytes come."""
    done = laptop.run(["curl", "-s", "--max-time", "60", "-o", "/dev/null", "-w", "%{size_download}", url], timeout=90)
    return int(done.stdout)


def test_pods_and_services_are_reached_as_the_page_says(lab: Lab) -> None:
    mesh = Signed(lab)
    alice = mesh.operator
    alice.run(["git", "-C", WORK, "remote", "add", "origin", mesh.url])
    cluster = Cluster(lab)
    home = lab.site("home", "192.168.10.0/24", "203.0.113.32")
    mesh.admit(cluster.first, "k3s", "--endpoint", "203.0.113.31:51820")
    mesh.admit(cluster.edge, "edge")
    mesh.admit(home.gateway, "home", "--endpoint", "203.0.113.32:51820", "--subnet", "192.168.10.0/24")
    with home.gateway.path("/etc/mesh-sync/node.toml").open("a") as file:
        file.write("\n[gateway]\n")
    mesh.commit("peer", "set", "edge", "--listen-port", "51821")
    alice.run(["git", "-C", WORK, "push", "-q", "-u", "origin", "main"])
    nodes = {"k3s": cluster.first, "edge": cluster.edge, "home": home.gateway}
    for node in nodes.values():
        now(node)
    story = Story(PAGE, {"alice": alice, "laptop": home.host, **nodes})

    story.tell("The gateway is a node of the cluster")
    assert fetched(home.host, "http://10.43.0.80/large") == 3_000_000
    assert fetched(home.host, "http://10.42.1.80:8080/large") == 3_000_000
    home.gateway.run(["mesh-sync", "doctor"], timeout=120)
    ways = [(pod, "192.168.10.10") for pod in cluster.pods]
    assert list(reachability(ways).values()) == [True, False]

    story.tell("The gateway is another machine in that LAN")
    assert fetched(home.host, "http://10.43.0.80/large") == 3_000_000
    story.tell("Names")
    story.tell("Networks that meet")
    assert not story.untold
